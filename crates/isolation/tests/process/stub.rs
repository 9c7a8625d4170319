//! What stands for an engine: scripted servables, and some that end their process.

use std::fs;
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use servable::{
    Around, BatchError, DType, Device, Input, JobError, LoadError, Loader, Output, Port, Servable,
    Signature, TensorType, Value,
};
use serving::testing::ScriptedLoader;

/// The loader of that description: `stub`, `refuses`, `lacks`, `wants`, `aborts`.
pub(crate) fn loader(description: &str) -> Result<Arc<dyn Loader>, LoadError> {
    match description {
        "refuses" => Err(LoadError::Unsupported("not by this one".into())),
        "stub" | "lacks" | "wants" | "aborts" => Ok(Arc::new(Stub(description.to_owned()))),
        other => Err(LoadError::Invalid(format!("{other} is nothing"))),
    }
}

struct Stub(String);

impl Loader for Stub {
    fn load(&self, device: Device) -> Result<Box<dyn Servable>, LoadError> {
        match self.0.as_str() {
            "lacks" => Err(LoadError::OutOfMemory(format!("none on {device}"))),
            "wants" => Err(LoadError::Invalid("wants another archive".into())),
            "aborts" => std::process::abort(),
            _ => Ok(Box::new(Cued(ScriptedLoader::default().load(device)?))),
        }
    }

    fn signature(&self) -> Signature {
        let mut signature = Signature::default();
        let of = TensorType {
            dtype: Some(DType::F32),
            shape: None,
        };
        signature.ports.takes = vec![Port::new("x", of)];
        signature
    }

    fn labels(&self) -> Vec<String> {
        ScriptedLoader::default().labels()
    }
}

/// A scripted servable that knows some more cues.
struct Cued(Box<dyn Servable>);

impl Servable for Cued {
    fn predict(
        &mut self,
        inputs: &[Input],
        threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        let text = inputs.first().and_then(|input| input.payload());
        let text = text.map(|part| part.value.clone()).unwrap_or_default();
        let answer = |value: Value| Ok(vec![Ok(Output::new(value))]);
        let Value::Text(text) = text else {
            // Values come back as they are, whatever part they are in.
            for part in inputs.iter().flat_map(|input| &input.parts) {
                if let (Value::Image(image), "turn") = (&part.value, &*part.name) {
                    image.note_upright();
                }
            }
            let values = inputs
                .iter()
                .map(|input| Ok(Output::new(input.parts[0].value.clone())));
            return Ok(values.collect());
        };
        match &*text {
            "abort" => std::process::abort(),
            "exit" => std::process::exit(7),
            "overflow" => answer(Value::Int(deeper(1))),
            "eat" => {
                let mut eaten: Vec<Vec<u8>> = Vec::new();
                loop {
                    eaten.push(vec![1; 16 << 20]);
                }
            }
            "spin" => loop {
                std::hint::black_box(0);
            },
            "start another" => {
                #[expect(clippy::zombie_processes, reason = "it is to outlive this one")]
                let sleeper = Command::new("sleep").arg("3600").spawn().expect("started");
                answer(Value::Int(sleeper.id().into()))
            }
            "pid" => answer(Value::Int(std::process::id().into())),
            "threads" => answer(Value::Int(threads.get() as i64)),
            "limits" => answer(Value::from(
                fs::read_to_string("/proc/self/limits").expect("it"),
            )),
            "status" => answer(Value::from(
                fs::read_to_string("/proc/thread-self/status").expect("it"),
            )),
            "variables" => {
                let names = std::env::vars().map(|(name, _)| Value::from(name));
                answer(Value::list(names))
            }
            "full" => Ok(vec![Ok(Output {
                value: Value::Null,
                content_type: Some("text/plain".into()),
                status: Some((418, "no tea".into())),
                headers: vec![("x-a".into(), "1".into()), ("x-a".into(), "2".into())],
            })]),
            _ => self.0.predict(inputs, threads),
        }
    }

    fn is_alive(&mut self) -> bool {
        self.0.is_alive()
    }

    fn looked_at_every(&self) -> Option<Duration> {
        self.0.looked_at_every()
    }

    fn around(&self) -> Option<Around> {
        Some(Around {
            before: Duration::from_nanos(17),
            after: Duration::from_millis(3),
        })
    }
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn deeper(depth: i64) -> i64 {
    let space = std::hint::black_box([depth; 64]);
    deeper(depth + 1) + space[7]
}
