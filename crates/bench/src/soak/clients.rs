//! Clients of a soak: each asks on a connection of its own, with numbers that nobody else uses, and knows what every
//! answer has to be.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use demo::{CLASSES, samples};
use serde_json::Value;

use crate::client::{Client, Reply};

/// Of one tally, this many violations are kept with their words.
const KEPT: usize = 5;

/// A request's numbers stay exact in single precision: clients × this is at most 2^22.
const NUMBERS: u32 = 1 << 18;

/// A picture and the class it shows.
pub(super) struct Picture {
    pub(super) bytes: Vec<u8>,
    class: usize,
}

/// The committed pictures of one class each.
pub(super) fn pictures() -> Result<Vec<Picture>> {
    let folder = samples::default_folder().join("substrates");
    let mut pictures = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let class = CLASSES
            .iter()
            .position(|class| name.starts_with(class))
            .with_context(|| format!("{}: no known class", path.display()))?;
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        pictures.push(Picture { bytes, class });
    }
    Ok(pictures)
}

/// What is asked, and what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Double,
    Keyed,
    Picture,
    /// A model that comes and goes, in whichever version is its default.
    Guest,
    GuestFirst,
    GuestSecond,
    NotNumbers,
    UnknownModel,
    UnknownPath,
    /// Goes away before its answer.
    Leaves,
}

impl Kind {
    /// Of a hundred requests: mostly right ones.
    fn of(die: u32) -> Self {
        match die % 100 {
            0..50 => Kind::Double,
            50..60 => Kind::Keyed,
            60..64 => Kind::Picture,
            64..74 => Kind::Guest,
            74..79 => Kind::GuestFirst,
            79..84 => Kind::GuestSecond,
            84..88 => Kind::NotNumbers,
            88..91 => Kind::UnknownModel,
            91..94 => Kind::UnknownPath,
            _ => Kind::Leaves,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Double => "double",
            Kind::Keyed => "keyed",
            Kind::Picture => "substrate",
            Kind::Guest => "guest (comes and goes)",
            Kind::GuestFirst => "guest, version 1.0",
            Kind::GuestSecond => "guest, version 2.0",
            Kind::NotNumbers => "no numbers: 400",
            Kind::UnknownModel => "unknown model: 404",
            Kind::UnknownPath => "unknown path: 404",
            Kind::Leaves => "leaves before its answer",
        }
    }
}

/// Asks until `stop`.
pub(super) fn ask(
    address: SocketAddr,
    client: usize,
    pictures: &[Picture],
    stop: &AtomicBool,
) -> Tally {
    let mut connection = Client::new(address);
    let mut tally = Tally::default();
    let mut die = Die(0x9e37_79b9 ^ (client as u32 + 1));
    let first = client as u32 * NUMBERS;
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let kind = Kind::of(die.roll());
        let number = f64::from(first + turn % NUMBERS);
        let outcome = one(&mut connection, kind, number, pictures, die.roll());
        tally.count(kind.name(), outcome);
    }
    tally
}

/// One request; the error says what was wrong with its answer.
fn one(
    connection: &mut Client,
    kind: Kind,
    number: f64,
    pictures: &[Picture],
    die: u32,
) -> Result<(), String> {
    let body = format!("[{number:?}, {:?}]", number + 0.5).into_bytes();
    let lost = |error: anyhow::Error| format!("lost: {error:#}");
    let path = match kind {
        Kind::Leaves => {
            let share = f64::from(die % 101) / 100.0;
            return connection
                .leave("/predictions/double", &body, share)
                .map_err(lost);
        }
        Kind::Picture => {
            let picture = &pictures[die as usize % pictures.len()];
            let reply = connection
                .post("/predictions/substrate", &picture.bytes)
                .map_err(lost)?;
            return due(is_class(&reply, picture.class), &reply);
        }
        Kind::NotNumbers => {
            let reply = connection
                .post("/predictions/double", b"[1.0, \"two\"]")
                .map_err(lost)?;
            return due(reply.status == 400, &reply);
        }
        Kind::Double => "/predictions/double",
        Kind::Keyed => "/predictions/keyed",
        Kind::Guest => "/predictions/guest",
        Kind::GuestFirst => "/predictions/guest/1.0",
        Kind::GuestSecond => "/predictions/guest/2.0",
        Kind::UnknownModel => "/predictions/nobody",
        Kind::UnknownPath => "/nowhere",
    };
    let reply = connection.post(path, &body).map_err(lost)?;
    due(is_due(kind, number, &reply), &reply)
}

fn due(is_due: bool, reply: &Reply) -> Result<(), String> {
    if is_due {
        return Ok(());
    }
    Err(format!("answered {}: {}", reply.status, reply.text()))
}

fn is_due(kind: Kind, number: f64, reply: &Reply) -> bool {
    let doubled = |key| doubles(&reply.body, key, number);
    let answered = reply.status == 200;
    // Not there, or going: 404 and 503 are right for a guest at any time.
    let away = matches!(reply.status, 404 | 503);
    match kind {
        Kind::Double => answered && doubled(None),
        Kind::Keyed => answered && doubled(Some("twice")),
        Kind::Guest => away || answered && (doubled(None) || doubled(Some("second"))),
        Kind::GuestFirst => away || answered && doubled(None),
        Kind::GuestSecond => away || answered && doubled(Some("second")),
        Kind::NotNumbers => reply.status == 400,
        Kind::UnknownModel | Kind::UnknownPath => reply.status == 404,
        Kind::Picture | Kind::Leaves => true,
    }
}

/// Whether the answer is twice `[number, number + 0.5]`, bare or under a key.
fn doubles(body: &[u8], key: Option<&str>, number: f64) -> bool {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    let list = match key {
        Some(key) => answer.get(key),
        None => Some(&answer),
    };
    let numbers: Option<Vec<f64>> =
        list.and_then(|list| list.as_array()?.iter().map(Value::as_f64).collect());
    numbers.is_some_and(|numbers| numbers == [2.0 * number, 2.0 * number + 1.0])
}

/// Whether an answer `{"1": 0.98}` names this class.
fn is_class(reply: &Reply, class: usize) -> bool {
    let answer = serde_json::from_slice::<Value>(&reply.body).ok();
    let best = answer
        .as_ref()
        .and_then(|answer| answer.as_object()?.keys().next());
    reply.status == 200 && best.is_some_and(|best| *best == class.to_string())
}

/// A small generator of our own: which request comes when need not be the same on every machine, only mixed.
struct Die(u32);

impl Die {
    fn roll(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 >> 3
    }
}

/// What was done, by kind, and what of it went wrong.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: BTreeMap<&'static str, (usize, usize)>,
    told: Vec<String>,
}

impl Tally {
    pub(super) fn count(&mut self, name: &'static str, outcome: Result<(), String>) {
        let (sent, wrong) = self.counts.entry(name).or_default();
        *sent += 1;
        if let Err(words) = outcome {
            *wrong += 1;
            if self.told.len() < KEPT {
                self.told.push(format!("{name}: {words}"));
            }
        }
    }

    pub(super) fn add(&mut self, other: Tally) {
        for (name, (sent, wrong)) in other.counts {
            let counts = self.counts.entry(name).or_default();
            counts.0 += sent;
            counts.1 += wrong;
        }
        self.told.extend(other.told);
    }

    pub(super) fn sent(&self) -> usize {
        self.counts.values().map(|(sent, _)| sent).sum()
    }

    pub(super) fn violations(&self) -> usize {
        self.counts.values().map(|(_, wrong)| wrong).sum()
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.counts.iter().map(|(name, (sent, wrong))| {
            format!("{name:<34} {sent:>10} {:>10} {wrong:>10}", sent - wrong)
        })
    }

    pub(super) fn told(&self) -> impl Iterator<Item = &str> {
        self.told.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, status: u16, body: &str, expected: bool) {
        let reply = Reply {
            status,
            body: body.into(),
        };
        assert_eq!(
            is_due(kind, 7.0, &reply),
            expected,
            "{kind:?} {status} {body}"
        );
    }

    #[test]
    fn answers_belong_to_their_questions() {
        check(Kind::Double, 200, "[14.0, 15.0]", true);
        check(Kind::Double, 200, "[16.0, 17.0]", false);
        check(Kind::Double, 200, "[14.0]", false);
        check(Kind::Double, 503, "[14.0, 15.0]", false);
        check(Kind::Keyed, 200, r#"{"twice": [14.0, 15.0]}"#, true);
        check(Kind::Keyed, 200, "[14.0, 15.0]", false);
    }

    #[test]
    fn guests_may_be_away_but_never_wrong() {
        check(Kind::Guest, 404, "", true);
        check(Kind::Guest, 503, "", true);
        check(Kind::Guest, 500, "", false);
        check(Kind::Guest, 200, "[14.0, 15.0]", true);
        check(Kind::Guest, 200, r#"{"second": [14.0, 15.0]}"#, true);
        check(Kind::GuestFirst, 200, r#"{"second": [14.0, 15.0]}"#, false);
        check(Kind::GuestSecond, 200, "[14.0, 15.0]", false);
        check(Kind::Guest, 200, "[14.0, 15.5]", false);
    }

    #[test]
    fn wrong_requests_have_their_statuses() {
        check(Kind::NotNumbers, 400, "", true);
        check(Kind::NotNumbers, 200, "[14.0, 15.0]", false);
        check(Kind::UnknownModel, 404, "", true);
        check(Kind::UnknownPath, 503, "", false);
    }

    #[test]
    fn tallies_add_up() {
        let mut all = Tally::default();
        for _ in 0..2 {
            let mut one = Tally::default();
            one.count("a", Ok(()));
            one.count("a", Err("crossed".into()));
            all.add(one);
        }
        assert_eq!((all.sent(), all.violations()), (4, 2));
        assert_eq!(all.told().collect::<Vec<_>>(), ["a: crossed", "a: crossed"]);
        let lines: Vec<String> = all.lines().collect();
        assert_eq!(
            lines,
            [format!("{:<34} {:>10} {:>10} {:>10}", "a", 4, 2, 2)]
        );
    }
}
