//! libtorch alone over the same network: the loop that a server is compared with, in a process of its own, so that
//! neither memory nor threads mix with the daemon's or with ours. The parent holds a [`Bare`]; the child runs [`serve`].
//! They exchange a line of JSON for a line of JSON.

use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use servable::{Tensor, Value};
use torch_engine::BareNetwork;

use crate::plan::Configuration;
use crate::stats::quantile;
use crate::subject::Subject;

#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// The network's output for one request.
    Answer,
    Run {
        configuration: Configuration,
        seconds: f64,
    },
}

/// What one run gave.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Run {
    /// Requests' worth of work in a second, by all workers.
    pub per_second: f64,
    /// Of one batch, in microseconds.
    pub median: u32,
}

/// The child, idle unless it is told to run.
pub struct Bare {
    child: Child,
    orders: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Bare {
    pub fn start(subject: &Subject, folder: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bare", subject.name])
            .arg(folder)
            // As the daemon has it: threads that wait for work sleep.
            .env("OMP_WAIT_POLICY", "passive")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the bare loop could not be started")?;
        let replies = BufReader::new(child.stdout.take().context("piped")?);
        Ok(Bare {
            orders: child.stdin.take(),
            replies,
            child,
        })
    }

    pub fn answer(&mut self) -> Result<Vec<f32>> {
        self.ask(&Order::Answer)
    }

    pub fn run(&mut self, configuration: Configuration, time: Duration) -> Result<Run> {
        self.ask(&Order::Run {
            configuration,
            seconds: time.as_secs_f64(),
        })
    }

    fn ask<T: for<'de> Deserialize<'de>>(&mut self, order: &Order) -> Result<T> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        let orders = self.orders.as_mut().context("the bare loop has ended")?;
        orders
            .write_all(line.as_bytes())
            .context("the bare loop takes no orders")?;
        let mut reply = String::new();
        self.replies.read_line(&mut reply)?;
        serde_json::from_str::<Result<T, String>>(&reply)
            .with_context(|| format!("the bare loop replied {reply:?}"))?
            .map_err(|error| anyhow!("the bare loop: {error}"))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It ends with its input.
        self.orders = None;
        let _ = self.child.wait();
    }
}

/// The child's side: runs what it is told until its input ends.
pub fn serve(subject: &Subject, orders: impl BufRead, mut replies: impl Write) -> Result<()> {
    let network = BareNetwork::load(&subject.weights)?;
    for line in orders.lines() {
        let reply = match serde_json::from_str(&line?)? {
            Order::Answer => reply(answer(&network, subject))?,
            Order::Run {
                configuration,
                seconds,
            } => reply(run(
                &network,
                subject,
                configuration,
                Duration::from_secs_f64(seconds),
            ))?,
        };
        writeln!(replies, "{reply}")?;
        replies.flush()?;
    }
    Ok(())
}

fn reply<T: Serialize>(outcome: Result<T>) -> Result<String> {
    let outcome = outcome.map_err(|error| format!("{error:#}"));
    Ok(serde_json::to_string(&outcome)?)
}

fn answer(network: &BareNetwork, subject: &Subject) -> Result<Vec<f32>> {
    let answered = network.answer(&batch(subject, 1)?)?;
    let Value::Tensor(tensor) = &answered else {
        bail!("the network answered {}", answered.kind());
    };
    let numbers = tensor.elements::<f32>();
    Ok(numbers
        .context("a network that answers in another type")?
        .to_vec())
}

fn run(
    network: &BareNetwork,
    subject: &Subject,
    configuration: Configuration,
    time: Duration,
) -> Result<Run> {
    let threads = NonZeroUsize::new(configuration.threads).context("no threads")?;
    let together = Barrier::new(configuration.workers);
    let worker = || -> Result<(f64, Vec<u32>)> {
        BareNetwork::use_threads(threads);
        let step = || network_step(network, subject, configuration.batch);
        // Caches and threads warm up before anybody counts; all workers count at the same time.
        let warm = step().and_then(|()| step());
        together.wait();
        warm?;
        let mut latencies = Vec::new();
        let start = Instant::now();
        let mut now = start;
        while now - start < time {
            step()?;
            let after = Instant::now();
            latencies.push(u32::try_from((after - now).as_micros()).unwrap_or(u32::MAX));
            now = after;
        }
        let items = (latencies.len() * configuration.batch) as f64;
        Ok((items / (now - start).as_secs_f64(), latencies))
    };
    let outcomes: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..configuration.workers)
            .map(|_| scope.spawn(worker))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
            .collect::<Result<_>>()
    })?;
    let (rates, latencies): (Vec<f64>, Vec<Vec<u32>>) = outcomes.into_iter().unzip();
    Ok(Run {
        per_second: rates.iter().sum(),
        median: quantile(&mut latencies.concat(), 0.5).unwrap_or(0),
    })
}

fn network_step(network: &BareNetwork, subject: &Subject, size: usize) -> Result<()> {
    Ok(network.run(&batch(subject, size)?)?)
}

/// A batch of the same request over and over, prepared anew for each.
fn batch(subject: &Subject, size: usize) -> Result<Tensor> {
    let shape = subject.shape();
    let item: usize = shape.iter().product();
    let mut numbers = vec![0f32; size * item];
    for row in numbers.chunks_exact_mut(item) {
        subject.prepare(row)?;
    }
    Ok(Tensor::new([vec![size], shape].concat(), numbers)?)
}
