//! The states of one version of a model, and which may follow which. Pure: the pool owns the value and asks here.

use std::fmt;

/// Where a version stands between being known and being gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Known and checked; no worker has been asked for.
    Registered,
    /// At least one worker is loading, none has loaded yet. Jobs may queue.
    Loading,
    /// At least one worker can serve.
    Ready,
    /// No new jobs; those inside are being finished.
    Draining,
    /// Every worker is gone.
    Unloaded,
    /// No worker could load.
    Failed,
}

impl State {
    pub fn may_become(self, next: State) -> bool {
        use State::{Draining, Failed, Loading, Ready, Registered, Unloaded};
        match (self, next) {
            // Workers come and go until the version does.
            (Registered | Loading | Ready | Failed, Registered | Loading | Ready | Failed) => {
                self != next
            }
            (Registered | Loading | Ready | Failed, Draining) | (Draining, Unloaded) => true,
            (Registered | Loading | Ready | Failed, Unloaded) | (Draining | Unloaded, _) => false,
        }
    }

    /// Whether a job may be queued.
    pub fn accepts_jobs(self) -> bool {
        matches!(self, State::Loading | State::Ready)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Registered => "registered",
            State::Loading => "loading",
            State::Ready => "ready",
            State::Draining => "draining",
            State::Unloaded => "unloaded",
            State::Failed => "failed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::State::{self, Draining, Failed, Loading, Ready, Registered, Unloaded};

    fn check(from: State, expected: &[State]) {
        let all = [Registered, Loading, Ready, Draining, Unloaded, Failed];
        let allowed: Vec<State> = all
            .into_iter()
            .filter(|&next| from.may_become(next))
            .collect();
        assert_eq!(allowed, expected, "from {from}");
    }

    #[test]
    fn transitions() {
        check(Registered, &[Loading, Ready, Draining, Failed]);
        check(Loading, &[Registered, Ready, Draining, Failed]);
        check(Ready, &[Registered, Loading, Draining, Failed]);
        check(Failed, &[Registered, Loading, Ready, Draining]);
        check(Draining, &[Unloaded]);
        check(Unloaded, &[]);
    }
}
