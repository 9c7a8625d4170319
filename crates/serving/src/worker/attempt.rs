//! What came of one call of a servable, and what is said of it in the log.

use servable::{BatchError, JobError, Output, Reason};
use tracing::{debug, warn};

use crate::error::Error;

pub(super) enum Attempt {
    Answered(Vec<Result<Output, JobError>>),
    Failed(JobError),
    /// The servable panicked, or says that it is dead: another must be loaded.
    Died(Died),
}

/// How a servable came to its end.
#[derive(Debug, Clone)]
pub(super) struct Died {
    pub(super) why: String,
    pub(super) out_of_memory: bool,
    /// Whether what it was asked may have killed it, rather than a mistake of ours.
    pub(super) by_request: bool,
}

impl Attempt {
    pub(super) fn into_error(self) -> Error {
        match self {
            Attempt::Answered(_) => Error::WorkerDied("answered, then lost".into()),
            Attempt::Failed(error) => Error::Job(error),
            Attempt::Died(died) => died.into_error(),
        }
    }
}

impl Died {
    pub(super) fn of_panic(panic: &(dyn std::any::Any + Send)) -> Self {
        Died {
            why: panic_text(panic),
            out_of_memory: false,
            by_request: false,
        }
    }

    pub(super) fn of_batch(error: BatchError) -> Self {
        let detail = error.detail.as_deref().unwrap_or(&error.message);
        Died {
            why: detail.lines().next().unwrap_or_default().to_owned(),
            out_of_memory: error.reason == Reason::OutOfMemory,
            by_request: true,
        }
    }

    pub(super) fn into_error(self) -> Error {
        let error = Error::WorkerDied(self.why);
        if self.out_of_memory {
            return Error::Job(JobError {
                reason: Reason::OutOfMemory,
                message: error.to_string(),
            });
        }
        error
    }
}

/// One line for the operator; what the engine said at length is for whoever looks for it. Of a death, all of it is in the
/// line, and what comes next.
pub(super) fn log_batch_error(worker: &str, error: &BatchError) {
    if error.dead {
        let how = death(error);
        return warn!(worker, "the worker died: {how}; another takes its place");
    }
    let (line, wall) = log_lines(error);
    warn!(worker, "{line}");
    if let Some(wall) = wall {
        debug!(worker, "the engine's words: {wall}");
    }
}

/// How a servable died, in one line.
fn death(error: &BatchError) -> String {
    let detail = error.detail.as_deref().unwrap_or(&error.message);
    let lines = detail.lines().map(str::trim);
    lines.collect::<Vec<_>>().join("; ")
}

/// The line that sums the error up, and its detail where that is more than a line.
fn log_lines(error: &BatchError) -> (String, Option<&str>) {
    let detail = error.detail.as_deref().map(str::trim);
    match detail.filter(|detail| !error.message.contains(detail)) {
        Some(detail) if detail.contains('\n') => (error.to_string(), Some(detail)),
        Some(detail) => (format!("{error}: {detail}"), None),
        None => (error.to_string(), None),
    }
}

pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into());
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(detail: Option<&str>, expected: (&str, Option<&str>)) {
        let mut error = BatchError::new(Reason::Failed, "Prediction failed: odd shapes");
        error.detail = detail.map(Into::into);
        let (line, wall) = log_lines(&error);
        assert_eq!((line.as_str(), wall), expected);
    }

    #[test]
    fn a_death_is_one_line() {
        let error = BatchError::dead(Reason::Failed, "Worker died.");
        assert_eq!(death(&error), "Worker died.");
        let error = error.with_detail("signal 6, SIGABRT\nprocess 71");
        assert_eq!(death(&error), "signal 6, SIGABRT; process 71");
        let died = Died::of_batch(error);
        assert_eq!(
            died.into_error().to_string(),
            "Worker died. (signal 6, SIGABRT)"
        );
    }

    #[test]
    fn a_failed_batch_is_one_line_and_the_traceback_stands_apart() {
        let alone = "Prediction failed: odd shapes";
        check(None, (alone, None));
        check(Some("odd shapes\n"), (alone, None));
        check(
            Some("3 rows"),
            ("Prediction failed: odd shapes: 3 rows", None),
        );
        let wall = "Traceback:\n  forward\nRuntimeError: odd shapes";
        check(Some(wall), (alone, Some(wall)));
    }
}
