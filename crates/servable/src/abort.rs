//! The way to end, from another thread, what an engine is at.
//!
//! A thread that hangs in a model cannot be ended; a process can. Whoever starts a worker keeps one end, and fires it when
//! the worker has taken too long; an engine whose models are processes arms the other end with what kills them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A handle that clones share. Firing it where nothing is armed ends whatever is armed later, at once.
#[derive(Clone, Default)]
pub struct Abort(Arc<Mutex<State>>);

type End = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    fired: bool,
    end: Option<End>,
}

impl Abort {
    /// From now on, firing calls `end`, once, on the thread that fires. It must not block. Takes the place of what was
    /// armed before.
    pub fn arm(&self, end: impl FnOnce() + Send + 'static) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.fired {
            drop(state);
            return end();
        }
        state.end = Some(Box::new(end));
    }

    /// There is nothing left to end.
    pub fn disarm(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = state.end.take();
        drop(state);
        drop(end);
    }

    /// Ends what is armed. Nothing happens the second time.
    pub fn fire(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.fired = true;
        let end = state.end.take();
        drop(state);
        if let Some(end) = end {
            end();
        }
    }

    /// Whether nobody waits any more for what is done here.
    pub fn is_fired(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fired
    }
}

impl fmt::Debug for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Abort")
            .field("fired", &state.fired)
            .field("armed", &state.end.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// What ends how often, by a line of steps.
    fn check(steps: &str, expected: [usize; 2]) {
        let abort = Abort::default();
        let ends: [Arc<AtomicUsize>; 2] = Default::default();
        for step in steps.split(' ') {
            let armed = |which: usize| {
                let end = Arc::clone(&ends[which]);
                move || {
                    end.fetch_add(1, Ordering::Relaxed);
                }
            };
            match step {
                "first" => abort.arm(armed(0)),
                "second" => abort.arm(armed(1)),
                "disarm" => abort.disarm(),
                _ => abort.clone().fire(),
            }
        }
        let found = ends.map(|end| end.load(Ordering::Relaxed));
        assert_eq!(found, expected, "{steps}");
        assert_eq!(abort.is_fired(), steps.contains("fire"), "{steps}");
    }

    #[test]
    fn what_is_armed_ends_once() {
        check("first fire fire", [1, 0]);
        check("first second fire", [0, 1]);
        check("first disarm fire", [0, 0]);
        check("fire first", [1, 0]);
        check("fire first second", [1, 1]);
        check("first second", [0, 0]);
    }
}
