//! Handlers in Python: the same archive on this daemon and on TorchServe itself, on one machine in one run, slice by slice in
//! turn; and what a large tensor costs on its way to a worker by either protocol (`python/protocols.rs`).
//!
//! TorchServe is whatever `torchserve` an environment has (`python/torchserve.rs`). Without one, only our side is measured.

mod protocols;
mod torchserve;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::client::Client;
use crate::daemon::{Daemon, Start};
use crate::load::{Load, Slice};
use crate::plan::Plan;
use crate::process;
use crate::report::{Echo, EchoRow, Python};
use crate::stats::{Ratio, median, quantile};
use torchserve::TorchServe;

const NAME: &str = "echo";
/// Requests at once.
const AT_ONCE: [usize; 2] = [1, 32];
/// A short text: what is measured is what is around a handler.
const BODY: &[u8] = b"What is said here comes back from a handler that does nothing else.";

const HANDLER: &str = "\
def handle(data, context):
    if data is None:
        return None
    return [row.get('data') or row.get('body') for row in data]
";
/// On either server, and what a batch would bring is another matter.
const CONFIG: &str = "minWorkers: 2\nmaxWorkers: 2\nbatchSize: 1\n";
const MANIFEST: &str = r#"{"runtime": "python", "model": {"modelName": "echo", "modelVersion": "1.0",
  "handler": "handler.py:handle", "configFile": "model-config.yaml"}}"#;

/// Measures both. `environment` is a virtual environment that has TorchServe; `progress` is told what is at hand.
pub fn measure(
    folder: &Path,
    environment: &Path,
    plan: Plan,
    progress: &mut dyn FnMut(&str),
) -> Result<Python> {
    let folder = folder.join("python");
    let archive = folder.join(NAME);
    for (name, text) in [
        ("MAR-INF/MANIFEST.json", MANIFEST),
        ("handler.py", HANDLER),
        ("model-config.yaml", CONFIG),
    ] {
        let path = archive.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&archive))
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let interpreter = environment.join("bin/python");
    let theirs = if environment.join("bin/torchserve").is_file() {
        progress("TorchServe: starting");
        Some(TorchServe::start(&folder, environment, NAME)?)
    } else {
        progress(&format!(
            "no TorchServe in {}: it is left out",
            environment.display()
        ));
        None
    };
    // The same interpreter for both, where there are both.
    let config = match &theirs {
        Some(_) => format!("python_executable={}\n", interpreter.display()),
        None => String::new(),
    };
    let mut daemon = Daemon::start(&Start {
        program: None,
        folder: &folder,
        models: &format!("{NAME}={NAME}"),
        config: &config,
        log: None,
    })?;
    daemon.wait_until_ready()?;

    let mut servers = vec![Server::new("Torchrelay", daemon.address, daemon.id())];
    if let Some(theirs) = &theirs {
        servers.push(Server::new("TorchServe", theirs.address, theirs.id()));
    }
    for server in &servers {
        server.check()?;
    }
    let mut rows = Vec::new();
    for at_once in AT_ONCE {
        progress(&format!("echo in Python: {at_once} at once"));
        rows.extend(turns(&servers, at_once, plan)?);
    }
    daemon.check_alive()?;
    let version = theirs.as_ref().map(|theirs| theirs.version.clone());
    drop((daemon, theirs));
    progress("a tensor to a worker, by either protocol");
    Ok(Python {
        echo: Echo { version, rows },
        protocols: protocols::measure(&folder, plan)?,
    })
}

/// A server that has the model.
struct Server {
    title: &'static str,
    address: SocketAddr,
    /// Its process, above those of its workers.
    id: u32,
}

impl Server {
    fn new(title: &'static str, address: SocketAddr, id: u32) -> Self {
        Server { title, address, id }
    }

    fn path() -> String {
        format!("/predictions/{NAME}")
    }

    /// Fails unless it gives back what it is asked.
    fn check(&self) -> Result<()> {
        let reply = Client::new(self.address).post(&Server::path(), BODY)?;
        if reply.status != 200 || reply.body != BODY {
            bail!("{} answered {}: {}", self.title, reply.status, reply.text());
        }
        Ok(())
    }
}

/// Slices of each server in turn, after one of each that does not count: a virtual machine compiles what is often run.
fn turns(servers: &[Server], at_once: usize, plan: Plan) -> Result<Vec<EchoRow>> {
    let mut loops = Vec::new();
    for server in servers {
        let mut load = Load::open(server.address, at_once, &Server::path(), BODY)?;
        load.run(2 * plan.slice, || Ok(0.0))?;
        loops.push((server, load, Vec::new()));
    }
    for turn in 0..plan.pairs {
        // Neither always has what the other has warmed or left behind.
        for place in 0..loops.len() {
            let last = loops.len() - 1;
            let index = if turn % 2 == 0 { place } else { last - place };
            let (server, load, slices) = &mut loops[index];
            let mut slice = load.run(plan.slice, || process::tree_cpu_seconds(server.id))?;
            slices.push(Figures::of(&mut slice));
        }
    }
    // The last is what the others are beside.
    let beside: Vec<Figures> = loops
        .last()
        .map(|(_, _, slices)| slices.clone())
        .unwrap_or_default();
    let row = |(server, _, own): (&Server, Load, Vec<Figures>)| {
        let of = |figure: fn(&Figures) -> f64| median(&own.iter().map(figure).collect::<Vec<_>>());
        let pairs = own.iter().zip(&beside);
        EchoRow {
            at_once,
            server: server.title,
            per_second: of(|it| it.per_second),
            median_ms: of(|it| it.median_ms),
            p99_ms: of(|it| it.p99_ms),
            cpu_ms: of(|it| it.cpu_ms),
            speed: Ratio::of_pairs(pairs.map(|(own, rest)| (own.per_second, rest.per_second))),
        }
    };
    Ok(loops.into_iter().map(row).collect())
}

/// What one slice says.
#[derive(Debug, Clone, Copy)]
struct Figures {
    per_second: f64,
    median_ms: f64,
    p99_ms: f64,
    cpu_ms: f64,
}

impl Figures {
    fn of(slice: &mut Slice) -> Self {
        let per_second = slice.per_second();
        let cpu_ms = 1e3 * slice.metered / slice.answers as f64;
        let mut millis = |q| {
            let micros = quantile(&mut slice.latencies, q);
            micros.map_or(f64::NAN, |micros| f64::from(micros) / 1e3)
        };
        Figures {
            per_second,
            median_ms: millis(0.5),
            p99_ms: millis(0.99),
            cpu_ms,
        }
    }
}
