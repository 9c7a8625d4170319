//! A scripted engine for tests: it answers, waits, fails or panics as the request's own text says.
//!
//! The first word of a request's body is the cue: `echo …` answers the whole body, `wait MS` answers after that many
//! milliseconds, `bad` is a bad input, `fail` fails the whole batch, `panic` panics, `batch` answers how many inputs were
//! in the batch, `worker` answers the name of the thread. Anything else is echoed. Inputs share a batch if their content
//! types are the same.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use servable::{
    BatchError, Device, Input, JobError, LoadError, Loader, Output, Reason, Servable, Value,
};

/// Loads [scripted](self) servables, or refuses to.
#[derive(Default)]
pub struct ScriptedLoader {
    refuse: Option<String>,
    load_time: Duration,
    /// How many loads fail before one succeeds.
    failures: AtomicUsize,
    loads: AtomicUsize,
    alive: Arc<AtomicUsize>,
    /// Whether requests must not share a batch.
    apart: bool,
}

impl ScriptedLoader {
    /// Forbids that requests share a batch.
    pub fn apart() -> Self {
        ScriptedLoader {
            apart: true,
            ..ScriptedLoader::default()
        }
    }

    /// Takes that long to load.
    pub fn slow(load_time: Duration) -> Self {
        ScriptedLoader {
            load_time,
            ..ScriptedLoader::default()
        }
    }

    /// Fails to load so many times, then loads.
    pub fn failing_first(times: usize) -> Self {
        ScriptedLoader {
            failures: AtomicUsize::new(times),
            ..ScriptedLoader::default()
        }
    }

    /// Never loads, for that reason.
    pub fn refusing(reason: &str) -> Self {
        ScriptedLoader {
            refuse: Some(reason.into()),
            ..ScriptedLoader::default()
        }
    }

    /// How often a servable was loaded.
    pub fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// How many servables are loaded and not yet dropped.
    pub fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }
}

impl Loader for ScriptedLoader {
    fn load(&self, _device: Device) -> Result<Box<dyn Servable>, LoadError> {
        std::thread::sleep(self.load_time);
        if let Some(reason) = &self.refuse {
            return Err(LoadError::Invalid(reason.clone()));
        }
        let take = |left: usize| left.checked_sub(1);
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .is_ok()
        {
            return Err(LoadError::OutOfMemory("as scripted".into()));
        }
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.alive.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Scripted {
            alive: Arc::clone(&self.alive),
        }))
    }

    fn bucket(&self, input: &Input) -> u64 {
        let mut hasher = DefaultHasher::new();
        let content_type = input.payload().map(|part| part.content_type.as_str());
        content_type.unwrap_or_default().hash(&mut hasher);
        hasher.finish()
    }

    fn merges(&self) -> bool {
        !self.apart
    }

    fn labels(&self) -> Vec<String> {
        ["sand", "rock"].map(str::to_owned).into()
    }
}

struct Scripted {
    alive: Arc<AtomicUsize>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Servable for Scripted {
    fn predict(
        &mut self,
        inputs: &[Input],
        _threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        inputs
            .iter()
            .map(|input| play(input, inputs.len()))
            .collect()
    }
}

fn play(input: &Input, batch: usize) -> Result<Result<Output, JobError>, BatchError> {
    let value = input
        .payload()
        .map(|part| part.value.clone())
        .unwrap_or_default();
    let body = value.clone().into_body();
    let text = String::from_utf8_lossy(&body);
    let mut words = text.split_whitespace();
    match words.next() {
        Some("wait") => {
            let millis = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            std::thread::sleep(Duration::from_millis(millis));
            Ok(Ok(Output::new(value)))
        }
        Some("bad") => Ok(Err(JobError::bad_input("the input is bad"))),
        Some("fail") => Err(BatchError::new(Reason::Failed, "Prediction failed")),
        Some("panic") => panic!("as scripted"),
        Some("worker") => {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            Ok(Ok(Output::new(Value::from(name))))
        }
        Some("batch") => Ok(Ok(Output::new(Value::Int(
            batch.try_into().unwrap_or(i64::MAX),
        )))),
        _ => Ok(Ok(Output::new(value))),
    }
}
