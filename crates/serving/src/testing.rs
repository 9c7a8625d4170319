//! A scripted engine for tests: it answers, waits, fails or panics as the request's own text says.
//!
//! The first word of a request's body is the cue: `echo …` answers the whole body, `wait MS` answers after that many
//! milliseconds, `bad` is a bad input, `fail` fails the whole batch, `panic` panics, `die` kills the
//! servable, `faint` kills it once it has answered, `hang` waits until it is ended from outside, which kills the servable, `batch` answers how many inputs were
//! in the batch, `worker` answers the name of the thread, `parts N MS …` gives so many parts, each after so many milliseconds
//! and as long as somebody takes them, and then does what the rest says. Anything else is echoed. Inputs share a batch if their content
//! types are the same.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use servable::{
    Abort, BatchError, Device, Input, JobError, LoadError, Loader, Output, Parts, Reason, Servable,
    Value,
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
    /// Whether answers may come in parts unasked.
    in_parts: bool,
    /// How many parts somebody has taken.
    parts: Arc<AtomicUsize>,
}

impl ScriptedLoader {
    /// Forbids that requests share a batch.
    pub fn apart() -> Self {
        ScriptedLoader {
            apart: true,
            ..ScriptedLoader::default()
        }
    }

    /// Gives answers in parts to everybody.
    pub fn in_parts() -> Self {
        ScriptedLoader {
            in_parts: true,
            ..ScriptedLoader::default()
        }
    }

    /// How many parts somebody has taken.
    pub fn parts(&self) -> usize {
        self.parts.load(Ordering::SeqCst)
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
    fn load(&self, device: Device) -> Result<Box<dyn Servable>, LoadError> {
        self.load_abortable(device, &Abort::default())
    }

    fn load_abortable(
        &self,
        _device: Device,
        abort: &Abort,
    ) -> Result<Box<dyn Servable>, LoadError> {
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
        // What hangs waits for the sender to be dropped, which firing does, and so does disarming.
        let (sender, ended) = sync_channel::<()>(0);
        abort.arm(move || drop(sender));
        Ok(Box::new(Scripted {
            fainted: false,
            ended,
            alive: Arc::clone(&self.alive),
            parts: Arc::clone(&self.parts),
        }))
    }

    fn bucket(&self, input: &Input) -> u64 {
        let mut hasher = DefaultHasher::new();
        let content_type = input.payload().map(|part| part.content_type.as_str());
        content_type.unwrap_or_default().hash(&mut hasher);
        hasher.finish()
    }

    fn answers_in_parts(&self) -> bool {
        self.in_parts
    }

    fn merges(&self) -> bool {
        !self.apart
    }

    fn labels(&self) -> Vec<String> {
        ["sand", "rock"].map(str::to_owned).into()
    }
}

struct Scripted {
    /// Dead, though nobody has noticed.
    fainted: bool,
    ended: Receiver<()>,
    alive: Arc<AtomicUsize>,
    parts: Arc<AtomicUsize>,
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
            .map(|input| self.play(input, inputs.len()))
            .collect()
    }

    fn is_alive(&mut self) -> bool {
        !self.fainted
    }

    fn looked_at_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(10))
    }
}

impl Scripted {
    fn play(
        &mut self,
        input: &Input,
        batch: usize,
    ) -> Result<Result<Output, JobError>, BatchError> {
        let value = input
            .payload()
            .map(|part| part.value.clone())
            .unwrap_or_default();
        let body = value.clone().into_body();
        let text = String::from_utf8_lossy(&body);
        let mut words = text.split_whitespace();
        self.fainted |= words.clone().next() == Some("faint");
        if words.clone().next() == Some("hang") {
            // Nothing is ever sent.
            let _ = self.ended.recv();
            let error = BatchError::dead(Reason::Failed, "Worker died.");
            return Err(error.with_detail("ended from outside"));
        }
        if words.clone().next() != Some("parts") {
            return play(words, value, batch);
        }
        words.next();
        let mut number = || words.next().and_then(|word| word.parse().ok());
        let (count, millis) = (number().unwrap_or(0), number().unwrap_or(0));
        for part in 0..count {
            std::thread::sleep(Duration::from_millis(millis));
            let put = |parts: &Parts| parts.put(Output::new(format!("part {part}")));
            match input.parts_to.as_ref().map(put) {
                Some(Ok(())) => self.parts.fetch_add(1, Ordering::SeqCst),
                Some(Err(unwanted)) => return Ok(Err(unwanted.into())),
                None => 0,
            };
        }
        let rest = words.clone().collect::<Vec<_>>().join(" ");
        play(words, Value::from(rest), batch)
    }
}

fn play<'w>(
    mut words: impl Iterator<Item = &'w str>,
    value: Value,
    batch: usize,
) -> Result<Result<Output, JobError>, BatchError> {
    match words.next() {
        Some("wait") => {
            let millis = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            std::thread::sleep(Duration::from_millis(millis));
            Ok(Ok(Output::new(value)))
        }
        Some("bad") => Ok(Err(JobError::bad_input("the input is bad"))),
        Some("fail") => Err(BatchError::new(Reason::Failed, "Prediction failed")),
        Some("panic") => panic!("as scripted"),
        Some("die") => {
            Err(BatchError::dead(Reason::Failed, "Worker died.").with_detail("as scripted"))
        }
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
