//! Where the time goes under load: by thread from `/proc`, and by function if `perf` is installed and allowed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use crate::load::Load;
use crate::machine;
use crate::process::{self, ThreadUse};
use crate::report::{Share, Shares};
use crate::subject::Subject;
use crate::versus;

/// How many functions are listed.
const FUNCTIONS: usize = 30;

/// The use of each kind of thread by one request, at this concurrency.
pub fn by_thread(
    subject: &Subject,
    folder: &Path,
    concurrency: usize,
    time: Duration,
) -> Result<Shares> {
    let mut daemon = versus::start(subject, folder, machine::cores())?;
    daemon.wait_until_ready()?;
    let mut load = Load::open(daemon.address, concurrency, &subject.path(), &subject.body)?;
    let mut readings = Vec::new();
    load.run(time / 4, || Ok(0.0))?;
    let slice = load.run(time, || {
        let threads = [daemon.id(), std::process::id()].map(process::threads);
        readings.push(threads.into_iter().collect::<Result<Vec<_>>>()?.concat());
        Ok(0.0)
    })?;
    let [before, after] = readings.as_slice() else {
        anyhow::bail!("threads are read at both ends of a slice");
    };
    let kinds = shares(before, after, slice.answers as f64);
    Ok(Shares {
        model: subject.name.into(),
        concurrency,
        per_second: slice.per_second(),
        kinds,
    })
}

/// The functions that take most of the daemon's time, as `perf` sees them; `None` where it cannot.
pub fn by_function(
    subject: &Subject,
    folder: &Path,
    concurrency: usize,
    time: Duration,
) -> Result<Option<String>> {
    let mut daemon = versus::start(subject, folder, machine::cores())?;
    daemon.wait_until_ready()?;
    let mut load = Load::open(daemon.address, concurrency, &subject.path(), &subject.body)?;
    let record = folder.join("perf.data");
    let recording = Command::new("perf")
        .args(["record", "--quiet", "-F", "999", "--pid"])
        .arg(daemon.id().to_string())
        .arg("--output")
        .arg(&record)
        .args(["--", "sleep"])
        .arg(time.as_secs().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut recording) = recording else {
        return Ok(None);
    };
    load.run(time, || Ok(0.0))?;
    if !recording.wait()?.success() {
        return Ok(None);
    }
    let sorted_by = |keys: &str| -> Result<Vec<String>> {
        let output = Command::new("perf")
            .args(["report", "--stdio", "--no-children", "--field-separator=|"])
            .args(["--percent-limit", "0.3", "--sort", keys, "--input"])
            .arg(&record)
            .stderr(Stdio::null())
            .output()?;
        Ok(listed(&String::from_utf8_lossy(&output.stdout)))
    };
    let (libraries, functions) = (sorted_by("dso")?, sorted_by("dso,symbol")?);
    let _ = fs::remove_file(&record);
    let lines = [libraries, vec![String::new()], functions].concat();
    Ok((lines.len() > 1).then(|| lines.join("\n")))
}

/// The lines of a report of perf, share first, without what it says about itself.
fn listed(report: &str) -> Vec<String> {
    let lines = report
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let columns = |line: &str| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        match columns.as_slice() {
            [share, object, symbol, ..] => format!("{share:>8}  {object:<20} {symbol}"),
            [share, object] => format!("{share:>8}  {object}"),
            _ => line.to_owned(),
        }
    };
    lines.take(FUNCTIONS).map(columns).collect()
}

/// What threads of one kind used between two readings, for each of so many requests.
fn shares(before: &[ThreadUse], after: &[ThreadUse], requests: f64) -> Vec<Share> {
    let mut kinds: BTreeMap<&'static str, Share> = BTreeMap::new();
    for thread in after {
        let (user, system, sleeps) = before
            .iter()
            .find(|earlier| earlier.id == thread.id)
            .map_or((0.0, 0.0, 0), |earlier| {
                (earlier.user, earlier.system, earlier.sleeps)
            });
        let kind = kind(&thread.name);
        let share = kinds.entry(kind).or_insert_with(|| Share {
            kind: kind.into(),
            user_us: 0.0,
            system_us: 0.0,
            sleeps: 0.0,
        });
        share.user_us += 1e6 * (thread.user - user) / requests;
        share.system_us += 1e6 * (thread.system - system) / requests;
        share.sleeps += thread.sleeps.saturating_sub(sleeps) as f64 / requests;
    }
    kinds.into_values().collect()
}

/// What a thread is there for: the daemon's, or our own.
fn kind(name: &str) -> &'static str {
    if name.starts_with("W-") {
        "workers: handler and network"
    } else if name.starts_with("torchrelay") {
        "sockets, HTTP, queues"
    } else if name == "bench" {
        "the load itself (not the daemon)"
    } else {
        "others"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_perf_is_read_by_column() {
        let report = "# To display\n#\n 4.90%|libc.so.6|[.] malloc  |-  |-\n 0.81%|torchrelay|[.] <A as B>::c\n\n";
        assert_eq!(
            listed(report),
            [
                "   4.90%  libc.so.6            [.] malloc",
                "   0.81%  torchrelay           [.] <A as B>::c",
            ]
        );
        assert_eq!(listed("12.00%|libc.so.6\n"), ["  12.00%  libc.so.6"]);
    }

    fn thread(id: u32, name: &str, user: f64, system: f64, sleeps: u64) -> ThreadUse {
        ThreadUse {
            id,
            name: name.into(),
            user,
            system,
            sleeps,
        }
    }

    #[test]
    fn threads_are_summed_by_what_they_are_there_for() {
        let before = [
            thread(1, "torchrelay", 1.0, 1.0, 10),
            thread(2, "W-9000-echo_1.0", 5.0, 0.0, 100),
        ];
        let after = [
            thread(1, "torchrelay", 1.5, 1.25, 30),
            thread(2, "W-9000-echo_1.0", 6.0, 0.5, 140),
            thread(3, "W-9001-echo_1.0", 1.0, 0.0, 60),
        ];
        let found: Vec<_> = shares(&before, &after, 100.0)
            .into_iter()
            .map(|share| (share.kind, share.user_us, share.system_us, share.sleeps))
            .collect();
        assert_eq!(
            found,
            [
                ("sockets, HTTP, queues".to_owned(), 5000.0, 2500.0, 0.2),
                (
                    "workers: handler and network".to_owned(),
                    20_000.0,
                    5000.0,
                    1.0
                ),
            ]
        );
    }
}
