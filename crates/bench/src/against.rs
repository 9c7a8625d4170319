//! Two builds of the daemon side by side, slice by slice in turn: what a change brought, as ratios. Over REST here, over
//! every wire in `wires/against.rs`.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use crate::daemon::Daemon;
use crate::load::{Load, Slice};
use crate::machine;
use crate::plan::{CONCURRENCIES, Plan};
use crate::process;
use crate::report::figure;
use crate::stats::{Ratio, median};
use crate::subject::Subject;
use crate::versus;

/// This build beside another program, one model, every concurrency. The table is for a reader.
pub fn table(subject: &Subject, folder: &Path, other: &Path, plan: Plan) -> Result<String> {
    let daemons = both(subject, folder, other)?;
    let mut text = head(subject, other, "connections");
    for concurrency in CONCURRENCIES {
        let mut loads = Vec::new();
        for daemon in &daemons {
            let load = Load::open(daemon.address, concurrency, &subject.path(), &subject.body)?;
            loads.push((daemon.id(), load));
        }
        let pairs = pairs(plan, |index| {
            let (id, load) = &mut loads[index];
            load.run(plan.slice, || process::cpu_seconds(*id))
        })?;
        let _ = writeln!(text, "{}", line(&format!("{concurrency:>11}"), &pairs));
    }
    Ok(text)
}

/// A daemon of this build, and one of the other program.
pub(crate) fn both(subject: &Subject, folder: &Path, other: &Path) -> Result<[Daemon; 2]> {
    let cores = machine::cores();
    let mut daemons = [
        versus::start(subject, folder, cores)?,
        versus::start_program(Some(other), subject, &folder.join("other"), cores)?,
    ];
    for daemon in &mut daemons {
        daemon.wait_until_ready()?;
    }
    Ok(daemons)
}

/// Slices of both in turn.
pub(crate) fn pairs(
    plan: Plan,
    mut slice: impl FnMut(usize) -> Result<Slice>,
) -> Result<Vec<(Slice, Slice)>> {
    let mut pairs = Vec::with_capacity(plan.pairs);
    for turn in 0..plan.pairs {
        // Neither side always has what the other has warmed or left behind.
        let first = turn % 2;
        let (one, two) = (slice(first)?, slice(1 - first)?);
        pairs.push(if first == 0 { (one, two) } else { (two, one) });
    }
    Ok(pairs)
}

/// What stands above the lines, each of which begins with what is in the column `first`.
pub(crate) fn head(subject: &Subject, other: &Path, first: &str) -> String {
    format!(
        "{}, this build beside {}:\n\n{first}  {:>10}  {:>10}  {:<26} CPU for a request\n",
        subject.title,
        other.display(),
        "this /s",
        "other /s",
        "ratio"
    )
}

pub(crate) fn line(first: &str, pairs: &[(Slice, Slice)]) -> String {
    let speeds = || pairs.iter().map(|(a, b)| (a.per_second(), b.per_second()));
    let cpu = |slice: &Slice| slice.metered / slice.answers as f64;
    let ratio = |ratio: Ratio| {
        let [median, least, most] = [ratio.median, ratio.least, ratio.most].map(figure);
        format!("{median} ({least} to {most})")
    };
    format!(
        "{first}  {:>10}  {:>10}  {:<26} {}",
        figure(median(&speeds().map(|(ours, _)| ours).collect::<Vec<_>>())),
        figure(median(
            &speeds().map(|(_, theirs)| theirs).collect::<Vec<_>>()
        )),
        ratio(Ratio::of_pairs(speeds())),
        ratio(Ratio::of_pairs(pairs.iter().map(|(a, b)| (cpu(a), cpu(b))))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(answers: usize, cpu: f64) -> Slice {
        Slice {
            seconds: 2.0,
            answers,
            latencies: Vec::new(),
            own_cpu: 0.0,
            metered: cpu,
            all: answers,
        }
    }

    #[test]
    fn a_line_is_this_build_for_the_other() {
        let pairs = [
            (slice(3000, 3.0), slice(2000, 4.0)),
            (slice(1500, 1.5), slice(1000, 2.0)),
        ];
        assert_eq!(
            line("8", &pairs),
            "8       1,125         750  1.50 (1.50 to 1.50)        0.500 (0.500 to 0.500)"
        );
    }
}
