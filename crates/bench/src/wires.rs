//! gRPC beside REST: the same tensor over each wire of one daemon, slice by slice in turn, so that a machine that is slower
//! for a while is slower for all. Small networks say what a wire costs (here); a large tensor says how often it is copied
//! (`wires/large.rs`).

mod against;
mod ask;
mod large;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;

use crate::bare::Bare;
use crate::daemon::Daemon;
use crate::load::Slice;
use crate::machine;
use crate::plan::Plan;
use crate::process;
use crate::report::{WireModel, WireRow, Wires};
use crate::stats::{Ratio, median, quantile};
use crate::subject::Subject;
use crate::versus;
pub use against::table;
use ask::{Loop, Tensor, WIRES};

/// Networks that cost next to nothing.
pub const SMALL: [&str; 2] = ["echo", "mlp"];
/// Requests at once.
const AT_ONCE: [usize; 2] = [1, 32];

/// Measures these models, of those in [`SMALL`], and the large tensor. `progress` is told what is at hand.
pub fn measure(
    subjects: &[Subject],
    folder: &Path,
    plan: Plan,
    progress: &mut dyn FnMut(&str),
) -> Result<Wires> {
    let mut models = Vec::new();
    for subject in subjects {
        models.push(small(subject, folder, plan, progress)?);
    }
    Ok(Wires {
        models,
        large: large::measure(folder, plan, progress)?,
    })
}

fn small(
    subject: &Subject,
    folder: &Path,
    plan: Plan,
    progress: &mut dyn FnMut(&str),
) -> Result<WireModel> {
    let expected = Bare::start(subject, folder)?.answer()?;
    let mut daemon = versus::start(subject, folder, machine::cores())?;
    daemon.wait_until_ready()?;
    let tensor = tensor(subject)?;
    ask::check(&daemon, &tensor, &expected)?;
    let mut rows = Vec::new();
    for at_once in AT_ONCE {
        progress(&format!("{}: {at_once} at once, every wire", subject.name));
        let turns = turns(&daemon, &tensor, at_once, plan.pairs, plan.slice)?;
        rows.extend(self::rows(at_once, turns));
    }
    daemon.check_alive()?;
    Ok(WireModel {
        title: subject.title.into(),
        rows,
    })
}

/// What the network reads for one request.
fn tensor(subject: &Subject) -> Result<Tensor> {
    if !subject.takes_numbers() {
        let (name, those) = (subject.name, SMALL.join(", "));
        bail!("{name} takes no numbers: those that do are {those}");
    }
    let shape = subject.shape();
    let mut numbers = vec![0.0; shape.iter().product()];
    subject.prepare(&mut numbers)?;
    let body = Bytes::from(subject.body.clone());
    Ok(Tensor::new(subject.name, &shape, &numbers, body))
}

/// Slices of each wire, as many as there are turns; in [`WIRES`]' order. What is metered is CPU seconds of the daemon.
fn turns(
    daemon: &Daemon,
    tensor: &Tensor,
    at_once: usize,
    turns: usize,
    time: Duration,
) -> Result<Vec<Vec<Slice>>> {
    let mut loops = Vec::new();
    for wire in WIRES {
        loops.push((Loop::open(daemon, wire, at_once, tensor)?, Vec::new()));
    }
    for turn in 0..turns {
        // No wire always has what the same other has warmed or left behind.
        for place in 0..loops.len() {
            let index = if turn % 2 == 0 {
                place
            } else {
                loops.len() - 1 - place
            };
            let (asking, slices) = &mut loops[index];
            slices.push(asking.run(time, || process::cpu_seconds(daemon.id()))?);
        }
    }
    Ok(loops.into_iter().map(|(_, slices)| slices).collect())
}

/// A row for each wire, beside the first of them.
fn rows(at_once: usize, mut slices: Vec<Vec<Slice>>) -> Vec<WireRow> {
    let figures: Vec<Vec<Figures>> = slices
        .iter_mut()
        .map(|slices| slices.iter_mut().map(Figures::of).collect())
        .collect();
    let row = |(wire, own): (ask::Wire, &Vec<Figures>)| {
        let of = |figure: fn(&Figures) -> f64| median(&own.iter().map(figure).collect::<Vec<_>>());
        let beside = |figure: fn(&Figures) -> f64| {
            let pairs = own.iter().zip(&figures[0]);
            Ratio::of_pairs(pairs.map(|(own, rest)| (figure(own), figure(rest))))
        };
        WireRow {
            at_once,
            wire: wire.title(),
            per_second: of(|it| it.per_second),
            median_ms: of(|it| it.median_ms),
            cpu_ms: of(|it| it.cpu_ms),
            client_share: of(|it| it.client_share),
            speed: beside(|it| it.per_second),
            latency: beside(|it| it.median_ms),
            cpu: beside(|it| it.cpu_ms),
        }
    };
    WIRES.into_iter().zip(&figures).map(row).collect()
}

/// What one slice says.
struct Figures {
    per_second: f64,
    median_ms: f64,
    cpu_ms: f64,
    client_share: f64,
}

impl Figures {
    fn of(slice: &mut Slice) -> Self {
        let median = quantile(&mut slice.latencies, 0.5);
        Figures {
            per_second: slice.per_second(),
            median_ms: median.map_or(f64::NAN, |micros| f64::from(micros) / 1e3),
            cpu_ms: 1e3 * slice.metered / slice.answers as f64,
            client_share: slice.own_cpu / slice.seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(answers: usize, metered: f64) -> Slice {
        Slice {
            seconds: 2.0,
            answers,
            latencies: vec![500; 3],
            own_cpu: 0.5,
            metered,
            all: answers,
        }
    }

    #[test]
    fn wires_are_beside_rest_turn_by_turn() {
        let rest = || vec![slice(1000, 1.0), slice(500, 1.0)];
        let half = vec![slice(500, 1.0), slice(250, 1.0)];
        let rows = rows(32, vec![rest(), rest(), half, rest()]);
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row.wire, row.per_second, row.speed.median, row.cpu.most))
            .collect();
        assert_eq!(
            found,
            [
                ("REST", 375.0, 1.0, 1.0),
                ("REST v2, binary", 375.0, 1.0, 1.0),
                ("gRPC", 187.5, 0.5, 2.0),
                ("gRPC v2, raw", 375.0, 1.0, 1.0),
            ]
        );
        assert_eq!((rows[2].median_ms, rows[2].client_share), (0.5, 0.25));
    }
}
