//! A loader whose processes are this program, and what its servables answer.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isolation::{Bounds, IsolatedLoader, Isolation};
use servable::{
    Abort, BatchError, Device, Input, JobError, LoadError, Loader, Output, Servable, Value,
};

use crate::stub;

/// How long a test waits for what must come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn isolated(description: &str, bounds: Bounds) -> IsolatedLoader {
    let engine = stub::loader("stub").expect("a stub");
    let arguments = [
        "the_child",
        "--exact",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ];
    IsolatedLoader::new(
        engine,
        Isolation {
            model: "m".into(),
            program: "/proc/self/exe".into(),
            arguments: arguments.map(Into::into).into(),
            folder: std::env::temp_dir(),
            description: description.into(),
            bounds,
        },
    )
}

/// A servable in a process of its own.
pub(crate) fn loaded() -> Box<dyn Servable> {
    within(Bounds::default())
}

pub(crate) fn within(bounds: Bounds) -> Box<dyn Servable> {
    isolated("stub", bounds)
        .load(Device::Cpu)
        .expect("it loads")
}

pub(crate) fn abortable(abort: &Abort) -> Box<dyn Servable> {
    let loader = isolated("stub", Bounds::default());
    loader.load_abortable(Device::Cpu, abort).expect("it loads")
}

/// The same in this process.
pub(crate) fn direct() -> Box<dyn Servable> {
    let loader: Arc<dyn Loader> = stub::loader("stub").expect("a stub");
    loader.load(Device::Cpu).expect("it loads")
}

pub(crate) fn refusal(description: &str) -> LoadError {
    let loaded = isolated(description, Bounds::default()).load(Device::Cpu);
    loaded.err().expect("it does not load")
}

pub(crate) fn text(text: &str) -> Input {
    Input::body("text/plain", text)
}

pub(crate) type Answers = Result<Vec<Result<Output, JobError>>, BatchError>;

pub(crate) fn ask(servable: &mut dyn Servable, inputs: &[Input]) -> Answers {
    servable.predict(inputs, NonZeroUsize::MIN)
}

/// The only answer's value.
pub(crate) fn value(servable: &mut dyn Servable, input: Input) -> Value {
    let mut answers = ask(servable, &[input]).expect("a batch that does not fail");
    answers.pop().expect("an answer").expect("an output").value
}

pub(crate) fn number(servable: &mut dyn Servable, cue: &str) -> i64 {
    let found = value(servable, text(cue));
    let Value::Int(number) = found else {
        panic!("{cue}: {found:?}");
    };
    number
}

/// Waits until a process is gone; a zombie is not gone.
#[track_caller]
pub(crate) fn wait_for_end(pid: i64) {
    wait_until("its end", || {
        (!Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
}

#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}
