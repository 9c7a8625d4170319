//! A bounded channel from a worker's thread to the request's task: parts of an answer on their way to its client.
//!
//! The worker waits while the client is behind, because what it has computed must be somewhere; and because others may wait
//! in the same batch, it waits no longer than a client may stand still, once, and not past the request's deadline. Then the
//! client counts as gone.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use servable::{Output, PartSink, Parts, Unwanted};
use tokio::sync::Notify;

/// The most parts that wait for a client.
const MOST: usize = 64;

/// The most bytes that they hold; one that holds more waits alone.
const MOST_BYTES: usize = 1 << 20;

/// How the parts of one answer are handed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How long a client may take nothing while there is no room.
    pub(crate) stall: Duration,
    /// Nothing is waited for after this instant.
    pub(crate) deadline: Instant,
}

/// Both ends.
pub(crate) fn channel(terms: Terms) -> (Parts, PartsReceiver) {
    let shared = Arc::new(Shared {
        waiting: Mutex::default(),
        room: Condvar::new(),
        came: Notify::new(),
        terms,
    });
    let parts = Parts::new(Arc::new(PartsSender(Arc::clone(&shared))));
    (parts, PartsReceiver(shared))
}

struct Shared {
    waiting: Mutex<Waiting>,
    /// The receiver has taken a part, or is gone.
    room: Condvar,
    /// A part has come.
    came: Notify,
    terms: Terms,
}

#[derive(Default)]
struct Waiting {
    parts: VecDeque<Output>,
    bytes: usize,
    /// Whether a part has ever come.
    begun: bool,
    /// Whether the receiver is gone, or was given up.
    unwanted: bool,
}

struct PartsSender(Arc<Shared>);

/// The request's end. Dropping it tells the worker that nobody waits.
pub(crate) struct PartsReceiver(Arc<Shared>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartSink for PartsSender {
    fn put(&self, part: Output) -> Result<(), Unwanted> {
        let shared = &self.0;
        let bytes = part.value.bytes();
        let mut waiting = shared.lock();
        if !waiting.has_room_for(bytes) && !waiting.unwanted {
            let left = shared
                .terms
                .deadline
                .saturating_duration_since(Instant::now());
            let patience = shared.terms.stall.min(left);
            let full = |waiting: &mut Waiting| !waiting.has_room_for(bytes) && !waiting.unwanted;
            let waited = shared.room.wait_timeout_while(waiting, patience, full);
            let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            waiting = after;
            waiting.unwanted |= timeout.timed_out();
        }
        if waiting.unwanted {
            return Err(Unwanted);
        }
        waiting.begun = true;
        waiting.bytes += bytes;
        waiting.parts.push_back(part);
        drop(waiting);
        shared.came.notify_one();
        Ok(())
    }

    fn is_unwanted(&self) -> bool {
        self.0.lock().unwanted || self.0.terms.deadline <= Instant::now()
    }

    fn has_begun(&self) -> bool {
        self.0.lock().begun
    }
}

impl Waiting {
    fn has_room_for(&self, bytes: usize) -> bool {
        let light = self.bytes + bytes <= MOST_BYTES || self.parts.is_empty();
        light && self.parts.len() < MOST
    }
}

impl PartsReceiver {
    /// The next part, when there is one. Loses nothing where it is dropped.
    pub(crate) async fn next(&mut self) -> Output {
        loop {
            if let Some(part) = self.take() {
                return part;
            }
            self.0.came.notified().await;
        }
    }

    /// A part that is there already.
    pub(crate) fn take(&mut self) -> Option<Output> {
        let mut waiting = self.0.lock();
        let part = waiting.parts.pop_front()?;
        waiting.bytes = waiting.bytes.saturating_sub(part.value.bytes());
        drop(waiting);
        self.0.room.notify_one();
        Some(part)
    }

    /// Whether the client was given up because it took nothing for too long.
    pub(crate) fn is_given_up(&self) -> bool {
        self.0.lock().unwanted
    }
}

impl Drop for PartsReceiver {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.unwanted = true;
        // What nobody reads any more need not be held until the model is done.
        waiting.parts.clear();
        drop(waiting);
        self.0.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use servable::Value;

    use super::*;

    fn terms(stall: Duration) -> Terms {
        Terms {
            stall,
            deadline: Instant::now() + Duration::from_secs(60),
        }
    }

    fn part(number: usize) -> Output {
        Output::new(Value::Int(i64::try_from(number).expect("small")))
    }

    #[tokio::test]
    async fn parts_come_in_their_order_and_their_maker_waits_for_room() {
        let (parts, mut receiver) = channel(terms(Duration::from_secs(60)));
        let count = 5 * MOST;
        let maker = thread::spawn(move || {
            for number in 0..count {
                parts.put(part(number)).expect("somebody waits");
                assert!(parts.has_begun());
            }
        });
        for number in 0..count {
            let came = receiver.next().await;
            assert!(matches!(came.value, Value::Int(found) if found == number as i64));
            assert!(receiver.0.lock().parts.len() <= MOST);
        }
        maker.join().expect("it is done");
        assert!(receiver.take().is_none());
    }

    #[test]
    fn a_client_that_takes_nothing_is_given_up_once() {
        let (parts, receiver) = channel(terms(Duration::from_millis(20)));
        for number in 0..MOST {
            parts.put(part(number)).expect("room");
        }
        assert!(!parts.is_unwanted());
        assert_eq!(parts.put(part(0)), Err(Unwanted));
        assert!(parts.is_unwanted() && receiver.is_given_up());
        // The others of the batch wait for it no second time.
        drop(receiver);
        assert_eq!(parts.put(part(0)), Err(Unwanted));
    }

    #[test]
    fn parts_are_bounded_by_their_bytes_too_and_a_large_one_goes_alone() {
        let (parts, mut receiver) = channel(terms(Duration::from_millis(20)));
        let heavy = || Output::new(Value::from("x".repeat(MOST_BYTES + 1)));
        parts.put(heavy()).expect("nothing else waits");
        assert!(receiver.take().is_some());
        parts.put(part(1)).expect("room");
        assert_eq!(parts.put(heavy()), Err(Unwanted));
    }

    #[test]
    fn a_maker_that_waits_hears_that_the_client_has_gone() {
        let (parts, receiver) = channel(terms(Duration::from_secs(3600)));
        for number in 0..MOST {
            parts.put(part(number)).expect("room");
        }
        let maker = thread::spawn(move || parts.put(part(MOST)));
        drop(receiver);
        assert_eq!(maker.join().expect("it is done"), Err(Unwanted));
    }
}
