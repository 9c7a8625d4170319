//! The workflow `segment_cover` beside libtorch alone: a loop that decodes the same picture, brings it to size and runs the same
//! network, one after the other in a process of its own. What the workflow does besides (the best class of each pixel, their
//! shares, the answer, HTTP) is its own cost.

use std::path::Path;

use anyhow::Result;

use super::micros;
use crate::bare::Bare;
use crate::daemon::Daemon;
use crate::load::Load;
use crate::machine;
use crate::plan::{Configuration, Plan};
use crate::report::Cover;
use crate::stats::{Ratio, median};
use crate::subject::Subject;

/// Measures both in turn, one picture after the other.
pub(super) fn measure(daemon: &Daemon, folder: &Path, plan: Plan) -> Result<Cover> {
    let subject = Subject::new("segmenter", folder)?;
    let mut bare = Bare::start(&subject, folder)?;
    let configuration = fastest(&mut bare, plan)?;
    let mut load = Load::open(daemon.address, 1, "/wfpredict/segment_cover", &subject.body)?;
    let mut pairs = Vec::with_capacity(plan.pairs);
    for _ in 0..plan.pairs {
        let served = micros(&mut load.run(plan.slice, || Ok(0.0))?);
        let alone = bare.run(configuration, plan.slice)?.median;
        pairs.push((served / 1e3, f64::from(alone) / 1e3));
    }
    let of = |figure: fn(&(f64, f64)) -> f64| median(&pairs.iter().map(figure).collect::<Vec<_>>());
    Ok(Cover {
        served_ms: of(|(served, _)| *served),
        bare_ms: of(|(_, bare)| *bare),
        threads: configuration.threads,
        ratio: Ratio::of_pairs(pairs.iter().copied()),
    })
}

/// One picture at a time, on one core or on all of them, whichever is faster.
fn fastest(bare: &mut Bare, plan: Plan) -> Result<Configuration> {
    let on = |threads| Configuration {
        workers: 1,
        threads,
        batch: 1,
    };
    let (one, all) = (on(1), on(machine::cores()));
    let one_is_enough = bare.run(one, plan.search)?.median <= bare.run(all, plan.search)?.median;
    Ok(if one_is_enough { one } else { all })
}
