//! The comparison: for each model a daemon under load and libtorch alone, in turn, slice by slice, so that a machine
//! that is slower for a while is slower for both.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::bare::{Bare, Run};
use crate::daemon::{Daemon, Start};
use crate::load::{Load, Slice};
use crate::machine;
use crate::plan::{CONCURRENCIES, Configuration, Plan, configurations, fastest};
use crate::process;
use crate::report::{BareFigures, Model, Row};
use crate::stats::{Ratio, median, quantile};
use crate::store;
use crate::subject::Subject;

/// How many of the bare loop's configurations are measured a second time before one is chosen.
const FINALISTS: usize = 3;

/// Measures one model at every concurrency. `progress` is told what is at hand.
pub fn measure(
    subject: &Subject,
    folder: &Path,
    plan: Plan,
    progress: &mut dyn FnMut(&str),
) -> Result<Model> {
    let mut bare = Bare::start(subject, folder)?;
    let expected = bare.answer()?;
    let mut daemon = start(subject, folder, machine::cores())?;
    let first_right = daemon.first_right(&subject.path(), &subject.body, |body| {
        subject.is_right(body, &expected)
    })?;
    progress(&format!(
        "{}: libtorch alone, every configuration",
        subject.name
    ));
    let mut found = Vec::new();
    for configuration in configurations(machine::cores()) {
        let run = bare.run(configuration, plan.search)?;
        found.push((configuration, run.per_second));
    }
    let mut rows = Vec::new();
    for concurrency in CONCURRENCIES {
        let (configuration, speed) = choose(&mut bare, &found, concurrency, plan)?;
        progress(&format!(
            "{}: {concurrency} connections, beside {configuration}",
            subject.name
        ));
        rows.push(row(
            subject,
            &daemon,
            &mut bare,
            concurrency,
            configuration,
            Plan {
                slice: plan.slice_for(speed),
                ..plan
            },
        )?);
    }
    let peak = process::memory(daemon.id())?.peak;
    daemon.check_alive()?;
    Ok(Model {
        name: subject.name.into(),
        title: subject.title.into(),
        first_right,
        peak,
        rows,
    })
}

/// A daemon that serves this model alone, with that many workers.
pub(crate) fn start(subject: &Subject, folder: &Path, workers: usize) -> Result<Daemon> {
    start_program(None, subject, &folder.join("store"), workers)
}

/// The same, of whichever program, in a folder of its own.
pub(crate) fn start_program(
    program: Option<&Path>,
    subject: &Subject,
    store: &Path,
    workers: usize,
) -> Result<Daemon> {
    fs::create_dir_all(store).with_context(|| format!("cannot create {}", store.display()))?;
    let config = subject.config(workers);
    store::pack(store, &subject.packed(&config))?;
    Daemon::start(&Start {
        program,
        folder: store,
        models: &format!("{0}={0}.mar", subject.name),
        config: "",
        log: None,
    })
}

/// The fastest configuration that this many requests could feed; the first few of the search run once more, so that a
/// lucky moment does not decide.
fn choose(
    bare: &mut Bare,
    found: &[(Configuration, f64)],
    concurrency: usize,
    plan: Plan,
) -> Result<(Configuration, f64)> {
    let mut best = None;
    for configuration in fastest(found, concurrency, FINALISTS) {
        let speed = bare.run(configuration, plan.search)?.per_second;
        if best.is_none_or(|(_, so_far)| speed > so_far) {
            best = Some((configuration, speed));
        }
    }
    best.context("no configuration for a single request")
}

fn row(
    subject: &Subject,
    daemon: &Daemon,
    bare: &mut Bare,
    concurrency: usize,
    configuration: Configuration,
    plan: Plan,
) -> Result<Row> {
    let mut load = Load::open(daemon.address, concurrency, &subject.path(), &subject.body)?;
    let id = daemon.id();
    let mut pairs = Vec::with_capacity(plan.pairs);
    for turn in 0..plan.pairs {
        let mut slice = || load.run(plan.slice, || process::cpu_seconds(id));
        // Neither side always has what the other has warmed or left behind.
        let pair = if turn % 2 == 0 {
            let bare = bare.run(configuration, plan.slice)?;
            (slice()?, bare)
        } else {
            (slice()?, bare.run(configuration, plan.slice)?)
        };
        pairs.push(pair);
    }
    Ok(figures(concurrency, configuration, &mut pairs))
}

fn figures(concurrency: usize, configuration: Configuration, pairs: &mut [(Slice, Run)]) -> Row {
    let millis = |micros: u32| f64::from(micros) / 1e3;
    let medians: Vec<f64> = pairs
        .iter_mut()
        .map(|(slice, _)| quantile(&mut slice.latencies, 0.5).map_or(f64::NAN, millis))
        .collect();
    let p99s: Vec<f64> = pairs
        .iter_mut()
        .map(|(slice, _)| quantile(&mut slice.latencies, 0.99).map_or(f64::NAN, millis))
        .collect();
    let of_slices = |figure: fn(&Slice) -> f64| {
        median(
            &pairs
                .iter()
                .map(|(slice, _)| figure(slice))
                .collect::<Vec<_>>(),
        )
    };
    let of_runs = |figure: fn(&Run) -> f64| {
        median(&pairs.iter().map(|(_, run)| figure(run)).collect::<Vec<_>>())
    };
    let both = || {
        medians
            .iter()
            .zip(pairs.iter())
            .map(|(ours, (_, run))| (*ours, millis(run.median)))
    };
    let added: Vec<f64> = both().map(|(ours, theirs)| ours - theirs).collect();
    Row {
        concurrency,
        per_second: of_slices(Slice::per_second),
        median_ms: median(&medians),
        p99_ms: median(&p99s),
        cpu_ms: of_slices(|slice| 1e3 * slice.metered / slice.answers as f64),
        client_share: of_slices(|slice| slice.own_cpu / slice.seconds),
        ratio: Ratio::of_pairs(
            pairs
                .iter()
                .map(|(slice, run)| (slice.per_second(), run.per_second)),
        ),
        latency: Ratio::of_pairs(both()),
        added_ms: median(&added),
        bare: BareFigures {
            configuration,
            per_second: of_runs(|run| run.per_second),
            median_ms: of_runs(|run| f64::from(run.median) / 1e3),
        },
    }
}
