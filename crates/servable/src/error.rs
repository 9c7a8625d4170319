//! Failures of an engine, by what their reader will do next. Messages are for clients; causes are for the log.

use thiserror::Error;

/// What kind of failure ended a job or a batch; the server chooses a status by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request is at fault: not a picture, wrong JSON, wrong shape.
    BadInput,
    /// The model cannot do what was asked for, for any input (an explanation, say).
    Unsupported,
    /// Memory ran out, on the host or on the device.
    OutOfMemory,
    /// The model failed; another request may well succeed.
    Failed,
    /// The handler chose a status of HTTP for this failure. It may be any number.
    Chosen(i32),
}

/// Why one job failed while the rest of its batch was served.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct JobError {
    pub reason: Reason,
    /// One line that a client may read.
    pub message: String,
}

impl JobError {
    pub fn bad_input(message: impl Into<String>) -> Self {
        JobError {
            reason: Reason::BadInput,
            message: message.into(),
        }
    }

    pub fn unsupported(message: impl Into<String>) -> Self {
        JobError {
            reason: Reason::Unsupported,
            message: message.into(),
        }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        JobError {
            reason: Reason::Failed,
            message: message.into(),
        }
    }
}

/// Why a whole batch failed. The caller may run its members again one by one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct BatchError {
    pub reason: Reason,
    /// One line that a client may read.
    pub message: String,
    /// What the engine said in full, for the log only.
    pub detail: Option<String>,
    /// Whether the servable is dead: nothing can be asked of it any more, and another must be loaded.
    pub dead: bool,
}

impl BatchError {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        BatchError {
            reason,
            message: message.into(),
            detail: None,
            dead: false,
        }
    }

    /// The servable has died of this batch, or while it had it.
    pub fn dead(reason: Reason, message: impl Into<String>) -> Self {
        BatchError {
            dead: true,
            ..BatchError::new(reason, message)
        }
    }

    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl From<BatchError> for JobError {
    /// The detail is dropped: it is for the log of whoever held the batch.
    fn from(error: BatchError) -> Self {
        JobError {
            reason: error.reason,
            message: error.message,
        }
    }
}

/// Why a servable could not be loaded. Each message names the file, key or handler at fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    /// The archive itself is at fault: a missing file, a wrong setting, weights that cannot be read.
    #[error("{0}")]
    Invalid(String),
    /// The archive is sound, but asks for something this server cannot do.
    #[error("{0}")]
    Unsupported(String),
    /// Memory ran out, on the host or on the device.
    #[error("{0}")]
    OutOfMemory(String),
}
