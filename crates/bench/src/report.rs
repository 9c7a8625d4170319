//! What was found, and the page that tells it. Plain values and text; `main.rs` decides where the page goes.

use std::fmt::Write;
use std::time::Duration;

use crate::plan::Configuration;
use crate::stats::Ratio;

mod python;
mod wires;
mod workflows;

pub use python::{Echo, EchoRow, ProtocolRow, Protocols, Python};
pub use wires::{Large, LargeRow, WireModel, WireRow, Wires};
pub use workflows::{Chain, Cover, Demo, Forms, Merging, Workflows};

/// Everything that one comparison found.
#[derive(Debug, Default)]
pub struct Findings {
    pub machine: String,
    pub models: Vec<Model>,
    /// Of [`Findings::weighed`], by number of workers.
    pub weights: Vec<Weight>,
    pub weighed: String,
    pub shares: Option<Shares>,
    pub workflows: Option<Workflows>,
    pub wires: Option<Wires>,
    pub python: Option<Python>,
}

#[derive(Debug)]
pub struct Model {
    pub name: String,
    pub title: String,
    /// From the start of the process to a right answer.
    pub first_right: Duration,
    /// Resident memory in bytes, at most.
    pub peak: u64,
    pub rows: Vec<Row>,
}

/// One model at one concurrency. Every figure is the median of its slices.
#[derive(Debug, Clone)]
pub struct Row {
    pub concurrency: usize,
    pub per_second: f64,
    pub median_ms: f64,
    pub p99_ms: f64,
    /// Of the daemon, in the program and in the kernel, for each request.
    pub cpu_ms: f64,
    /// Of one core, that the load itself took.
    pub client_share: f64,
    /// The daemon's requests for each of the bare loop's.
    pub ratio: Ratio,
    /// The daemon's median latency for the bare loop's, which is that of a batch.
    pub latency: Ratio,
    /// The difference of the two.
    pub added_ms: f64,
    pub bare: BareFigures,
}

/// libtorch alone beside a [`Row`].
#[derive(Debug, Clone)]
pub struct BareFigures {
    pub configuration: Configuration,
    pub per_second: f64,
    /// Of one batch.
    pub median_ms: f64,
}

/// What a daemon with so many workers weighs under load.
#[derive(Debug, Clone)]
pub struct Weight {
    pub workers: usize,
    pub first_right: Duration,
    /// Resident memory in bytes, once all workers have loaded and one request is answered.
    pub idle: u64,
    /// The same under load.
    pub loaded: u64,
}

/// Where a request's CPU time goes.
#[derive(Debug)]
pub struct Shares {
    pub model: String,
    pub concurrency: usize,
    pub per_second: f64,
    pub kinds: Vec<Share>,
}

#[derive(Debug)]
pub struct Share {
    pub kind: String,
    pub user_us: f64,
    pub system_us: f64,
    /// How often a thread of that kind went to sleep, for each request.
    pub sleeps: f64,
}

/// From the start of the process to the first right answer of the model that is weighed, in seconds.
const START_TARGET: f64 = 0.7;
/// Resident memory of two workers of that model, in bytes.
const TWO_WORKERS_TARGET: u64 = 600_000_000;
/// Resident memory of four workers beside that of one.
const FOUR_WORKERS_TARGET: f64 = 1.25;

/// The whole page, in Markdown. `plot` is the link to the picture.
pub fn page(findings: &Findings, plot: &str) -> String {
    let mut page = String::from(
        "# Benchmarks\n\nMade by `cargo xtask bench`, which measures the daemon beside libtorch alone over the same network, in one \
         run and\nin turn. Machines are noisy, so the ratios say more than the figures.\n\n",
    );
    let _ = writeln!(page, "Machine: {}, no accelerator.\n", findings.machine);
    let _ = writeln!(page, "![requests per second by connections]({plot})\n");
    page.push_str(METHOD);
    for model in &findings.models {
        page.push('\n');
        page.push_str(&of_model(model));
    }
    if !findings.weights.is_empty() {
        page.push('\n');
        page.push_str(&of_weights(&findings.weighed, &findings.weights));
    }
    if let Some(shares) = &findings.shares {
        page.push('\n');
        page.push_str(&of_shares(shares));
    }
    if let Some(workflows) = &findings.workflows {
        page = with_section(&page, &workflows.section());
    }
    if let Some(wires) = &findings.wires {
        page = with_section(&page, &wires.section());
    }
    if let Some(python) = &findings.python {
        page = with_section(&page, &python.section());
    }
    page
}

/// The page with this section in place of the one of the same heading, or as its last one.
pub fn with_section(page: &str, section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default();
    let start = page
        .find(&format!("\n{heading}\n"))
        .map_or(page.len(), |before| before + 1);
    let (before, rest) = page.split_at(start);
    let before = before.trim_end();
    match rest.find("\n## ") {
        Some(end) => format!("{before}\n\n{section}{}", &rest[end..]),
        None => format!("{before}\n\n{section}"),
    }
}

const METHOD: &str = "\
## How it is measured

- The daemon is the release build, asked over TCP on the same machine by a closed loop: each connection asks again as soon
  as it is answered, from one thread. What that thread costs is in the column *load*, in per cent of one core; it shares
  the cores with the daemon and has none of its own. Every answer must be a 200, and the first one is compared with
  libtorch's own.
- Settings: tokens off, `metrics_mode=prometheus`, everything else as it comes; the log, with its line for every request,
  goes to a file. Each model is served alone, with as many workers as there are cores, `batchSize: 8` and
  `maxBatchDelay: 5`.
- *libtorch alone* is a loop in a process of its own over the same network, frozen and optimised for inference, with no
  server, no queue, no JSON and no load generator beside it. For pictures it decodes, resizes and normalises as the daemon
  does. Its configuration, workers × threads for each × batch, is the fastest that was found in this run among those that
  have no more requests in hand than there are connections; for one connection that is one worker with one request at a
  time. Its threads wait for work as the daemon's do, asleep (`OMP_WAIT_POLICY=passive`).
- Loop and daemon take turns in short slices, and change who begins. A ratio is the daemon's requests per second divided
  by the loop's within one pair of slices; given is the median of the pairs, with the least and the most. Everything else
  is the median of the slices.
- CPU is what the daemon used for a request, in the program and in the kernel.
";

/// The table of one model.
pub fn of_model(model: &Model) -> String {
    let mut text = format!("## {}\n\n", model.title);
    let _ = writeln!(
        text,
        "First right answer {:.2} s after the start of the process; at most {} MB resident.\n",
        model.first_right.as_secs_f64(),
        megabytes(model.peak)
    );
    text.push_str(
        "| connections | requests/s | median ms | p99 ms | CPU ms | load | libtorch alone | as | ratio |\n\
         |---:|---:|---:|---:|---:|---:|---:|---|---|\n",
    );
    for row in &model.rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.0} % | {} | {} | **{}** ({} to {}) |",
            row.concurrency,
            figure(row.per_second),
            figure(row.median_ms),
            figure(row.p99_ms),
            figure(row.cpu_ms),
            100.0 * row.client_share,
            figure(row.bare.per_second),
            row.bare.configuration,
            figure(row.ratio.median),
            figure(row.ratio.least),
            figure(row.ratio.most),
        );
    }
    if let Some(alone) = model.rows.iter().find(|row| row.concurrency == 1) {
        let _ = writeln!(
            text,
            "\nA lone request takes {} ms: {} times ({} to {}) what libtorch alone takes for it, or {} ms {}.",
            figure(alone.median_ms),
            figure(alone.latency.median),
            figure(alone.latency.least),
            figure(alone.latency.most),
            figure(alone.added_ms.abs()),
            if alone.added_ms < 0.0 { "less" } else { "more" },
        );
    }
    text
}

fn of_weights(title: &str, weights: &[Weight]) -> String {
    let mut text = format!(
        "## What workers weigh\n\n{title}: resident memory once all workers have loaded, and under load from eight connections for each \
         worker,\nwhen each worker has its activations, here those of batches of eight. The weights are there once.\n\n\
         | workers | idle MB | under load MB | first right answer s |\n|---:|---:|---:|---:|\n"
    );
    for weight in weights {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} |",
            weight.workers,
            megabytes(weight.idle),
            megabytes(weight.loaded),
            weight.first_right.as_secs_f64()
        );
    }
    text.push('\n');
    let of = |workers| weights.iter().find(|weight| weight.workers == workers);
    if let (Some(one), Some(four)) = (of(1), of(4)) {
        let activations = 3 * one.loaded.saturating_sub(one.idle);
        let target = FOUR_WORKERS_TARGET * one.loaded as f64 + activations as f64;
        let _ = writeln!(
            text,
            "- Four workers weigh {:.2} times what one weighs, idle, and {:.2} times under load. The target is {FOUR_WORKERS_TARGET} \
             times one\n  under load, {} MB, and the activations of three more, {} MB: {}.",
            four.idle as f64 / one.idle as f64,
            four.loaded as f64 / one.loaded as f64,
            megabytes((FOUR_WORKERS_TARGET * one.loaded as f64) as u64),
            megabytes(activations),
            met(four.loaded as f64 <= target)
        );
    }
    if let Some(two) = of(2) {
        let first = two.first_right.as_secs_f64();
        let _ = writeln!(
            text,
            "- Two workers weigh {} MB under load; the target is less than {}: {}.\n- With two workers the first right answer comes \
             {first:.2} s after the start of the process; the target is less\n  than {START_TARGET}: {}.",
            megabytes(two.loaded),
            megabytes(TWO_WORKERS_TARGET),
            met(two.loaded < TWO_WORKERS_TARGET),
            met(first < START_TARGET)
        );
    }
    text
}

/// The table of where the time goes.
pub fn of_shares(shares: &Shares) -> String {
    let mut text = format!(
        "## Where the rest goes\n\nThe model `{}` does nothing, so what it costs is the server. CPU time of a request at {} connections \
         ({} requests/s),\nby what a thread is there for, and how often such a thread went to sleep:\n\n\
         | threads | in the program µs | in the kernel µs | sleeps |\n|---|---:|---:|---:|\n",
        shares.model,
        shares.concurrency,
        figure(shares.per_second)
    );
    for share in &shares.kinds {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            share.kind,
            figure(share.user_us),
            figure(share.system_us),
            figure(share.sleeps)
        );
    }
    text
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "**not met**" }
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

/// A ratio in a cell: its median, and how far it goes.
fn told(ratio: Ratio) -> String {
    let [median, least, most] = [ratio.median, ratio.least, ratio.most].map(figure);
    format!("**{median}** ({least} to {most})")
}

/// Three digits that count, and thousands apart.
pub(crate) fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        _ => 3,
    };
    let plain = format!("{value:.decimals$}");
    if decimals > 0 {
        return plain;
    }
    let mut grouped = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests;
