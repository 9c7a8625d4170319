//! Which requests have killed workers and are not given to another for a while. Pure: time is passed in.
//!
//! A worker that is a process can be killed by what a request brings. One death may be anybody's fault: the machine's, or
//! that of a request in the same batch. A request that kills again is the cause, and refusing it spares the others the time
//! that the next worker takes to load.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::time::{Duration, Instant};

use servable::{Input, Value};

/// How many deaths make a request the cause.
const DEATHS: u32 = 2;

/// How long it is refused, and how long a first death is remembered.
const REFUSED_FOR: Duration = Duration::from_secs(300);

/// The most requests that are remembered.
const MOST: usize = 1024;

/// What a request brings, as one number. Chance alone makes two of them equal, and nobody can make it happen, because each
/// table has a key of its own.
pub(crate) type Digest = u64;

#[derive(Default)]
pub(crate) struct Poison {
    key: RandomState,
    known: HashMap<Digest, Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    deaths: u32,
    until: Instant,
}

impl Poison {
    /// Whether there is nothing to look for, so that no request need be digested.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Of the task, the function and all parts; headers change with each attempt.
    pub(crate) fn digest(&self, input: &Input) -> Digest {
        let mut hasher = self.key.build_hasher();
        input.task.hash(&mut hasher);
        input.function.hash(&mut hasher);
        input.parts.len().hash(&mut hasher);
        for part in &input.parts {
            part.name.hash(&mut hasher);
            part.content_type.hash(&mut hasher);
            digest(&part.value, &mut hasher);
        }
        hasher.finish()
    }

    /// For how much longer it is refused, if it is.
    pub(crate) fn refused(&mut self, digest: Digest, now: Instant) -> Option<Duration> {
        let known = *self.known.get(&digest)?;
        if known.until <= now {
            self.known.remove(&digest);
            return None;
        }
        (known.deaths >= DEATHS).then(|| known.until - now)
    }

    /// So many more workers have died of it.
    pub(crate) fn killed(&mut self, digest: Digest, deaths: u32, now: Instant) {
        let Some(until) = now.checked_add(REFUSED_FOR) else {
            return;
        };
        if !self.known.contains_key(&digest) {
            self.make_room(now);
        }
        let known = self
            .known
            .entry(digest)
            .or_insert(Known { deaths: 0, until });
        if known.until <= now {
            known.deaths = 0;
        }
        known.deaths = known.deaths.saturating_add(deaths);
        known.until = until;
    }

    fn make_room(&mut self, now: Instant) {
        if self.known.len() < MOST {
            return;
        }
        self.known.retain(|_, known| known.until > now);
        if self.known.len() < MOST {
            return;
        }
        let oldest = self.known.iter().min_by_key(|(_, known)| known.until);
        if let Some((&oldest, _)) = oldest {
            self.known.remove(&oldest);
        }
    }
}

fn digest(value: &Value, hasher: &mut impl Hasher) {
    std::mem::discriminant(value).hash(hasher);
    match value {
        Value::Null => {}
        Value::Bool(flag) => flag.hash(hasher),
        Value::Int(number) => number.hash(hasher),
        Value::Float(number) => number.to_bits().hash(hasher),
        Value::Text(text) => text.hash(hasher),
        Value::Bytes(bytes) => bytes.hash(hasher),
        Value::Image(image) => match (image.file(), image.decoded()) {
            (Some(file), _) => file.hash(hasher),
            (None, Some(pixels)) => digest(&Value::Tensor(pixels), hasher),
            (None, None) => {}
        },
        Value::Tensor(tensor) => {
            tensor.dtype().hash(hasher);
            tensor.shape().hash(hasher);
            tensor.bytes().hash(hasher);
        }
        Value::List(items) => {
            items.len().hash(hasher);
            items.iter().for_each(|item| digest(item, hasher));
        }
        Value::Map(items) => {
            items.len().hash(hasher);
            for (name, item) in items.iter() {
                name.hash(hasher);
                digest(item, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps like `kill 1`, `batch 1` (a death in company, then one alone), `wait 299`, and what is refused after them.
    fn check(steps: &str, expected: &[(Digest, u64)]) {
        let mut now = Instant::now();
        let mut poison = Poison::default();
        for step in steps.split(", ") {
            let (what, number) = step.split_once(' ').expect("two words");
            let number: u64 = number.parse().expect("a number");
            match what {
                "wait" => now += Duration::from_secs(number),
                "kill" => poison.killed(number, 1, now),
                _ => poison.killed(number, 2, now),
            }
        }
        let refused = |digest| Some((digest, poison.refused(digest, now)?.as_secs()));
        let found: Vec<_> = (0..10).filter_map(refused).collect();
        assert_eq!(found, expected, "{steps}");
    }

    #[test]
    fn who_kills_again_is_refused_for_a_while() {
        check("kill 1", &[]);
        check("kill 1, kill 2", &[]);
        check("kill 1, kill 1", &[(1, 300)]);
        check("kill 1, wait 100, kill 1, wait 10", &[(1, 290)]);
        check("batch 3, kill 1", &[(3, 300)]);
        check("batch 3, wait 300", &[]);
        // A death that is long ago is forgotten.
        check("kill 1, wait 301, kill 1", &[]);
    }

    #[test]
    fn the_table_is_bounded_and_the_oldest_leave_it() {
        let now = Instant::now();
        let mut poison = Poison::default();
        for digest in 0..2 * MOST as u64 {
            poison.killed(digest, 2, now + Duration::from_millis(digest));
        }
        assert_eq!(poison.known.len(), MOST);
        let last = 2 * MOST as u64 - 1;
        assert!(poison.refused(last, now).is_some() && poison.refused(0, now).is_none());
    }

    #[test]
    fn a_request_is_what_it_brings() {
        let poison = Poison::default();
        let plain = Input::body("text/plain", "boom");
        let mut later = plain.clone();
        later.id = "another".into();
        later.headers.push(("X-Attempt".into(), "2".into()));
        assert_eq!(poison.digest(&plain), poison.digest(&later));
        let others = [
            Input::body("text/plain", "bomb"),
            Input::body("", "boom"),
            Input::body("text/plain", Value::Bytes("boom".into())),
            Input::body("text/plain", Value::list([Value::from("boom")])),
        ];
        for other in others {
            assert_ne!(poison.digest(&plain), poison.digest(&other), "{other:?}");
        }
    }
}
