//! A tensor of 12 MB between the daemon's engine and a worker, by TorchServe's protocol, which copies it through a socket, and
//! by the second one, which hands over memory. No wire of the daemon is in between.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use python_engine::{ModelFiles, PythonEngine, Settings};
use servable::{Device, Input, Loader, Servable, Value};
use tempfile::TempDir;

use crate::plan::Plan;
use crate::report::{ProtocolRow, Protocols};
use crate::stats::{Ratio, median};

const BYTES: usize = 12_000_000;

/// What the worker does with it: it looks at its ends, or sends it back.
const TAKES: &str = "\
def handle(data, context):
    return ['%d' % (row['body'][0] + row['body'][-1]) for row in data] if data else None
";
const RETURNS: &str = "\
def handle(data, context):
    return [row['body'] for row in data] if data else None
";

pub(super) fn measure(folder: &Path, plan: Plan) -> Result<Protocols> {
    let mut rows = Vec::new();
    for (title, handler) in [("to the worker", TAKES), ("there and back", RETURNS)] {
        rows.push(row(folder, title, handler, plan)?);
    }
    Ok(Protocols { bytes: BYTES, rows })
}

/// Slices of each protocol in turn.
fn row(folder: &Path, title: &'static str, handler: &str, plan: Plan) -> Result<ProtocolRow> {
    let mut one = Worker::start(folder, handler, 1)?;
    let mut two = Worker::start(folder, handler, 2)?;
    let tensor = Value::Bytes(vec![7; BYTES].into());
    let mut pairs = Vec::with_capacity(plan.pairs);
    for _ in 0..plan.pairs {
        pairs.push((one.slice(&tensor, plan)?, two.slice(&tensor, plan)?));
    }
    let (ones, twos): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Ok(ProtocolRow {
        title,
        one_ms: median(&ones),
        two_ms: median(&twos),
        ratio: Ratio::of_pairs(pairs),
    })
}

/// A worker, and the folder of its engine, which goes after it.
struct Worker {
    servable: Box<dyn Servable>,
    _folder: TempDir,
}

impl Worker {
    fn start(folder: &Path, handler: &str, protocol: u8) -> Result<Self> {
        let dir = folder.join("tensor");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("handler.py"), handler)
            .with_context(|| format!("cannot write in {}", dir.display()))?;
        // Paths of sockets are short, and those of a build may be long.
        let own = tempfile::tempdir()?;
        let engine = PythonEngine::new(Settings {
            protocol,
            most_answer: 2 * BYTES,
            ..Settings::new(own.path().join("run"), folder.join("environments"))
        })?;
        let loader = engine.loader(ModelFiles {
            name: "tensor".into(),
            dir,
            handler: "handler.py:handle".into(),
            batch_size: 1,
            ..ModelFiles::default()
        })?;
        Ok(Worker {
            servable: loader.load(Device::Cpu)?,
            _folder: own,
        })
    }

    /// The median of a slice, in milliseconds.
    fn slice(&mut self, tensor: &Value, plan: Plan) -> Result<f64> {
        let begin = Instant::now();
        let mut times = Vec::new();
        while begin.elapsed() < plan.slice {
            let input = Input::body("application/octet-stream", tensor.clone());
            let asked = Instant::now();
            let results = self.servable.predict(&[input], NonZeroUsize::MIN);
            let results = results.map_err(|error| anyhow!("the worker: {}", error.message))?;
            times.push(1e3 * asked.elapsed().as_secs_f64());
            if !matches!(results.as_slice(), [Ok(_)]) {
                bail!("the worker refused the tensor");
            }
        }
        Ok(median(&times))
    }
}
