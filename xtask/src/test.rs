//! `cargo xtask test`: everything a change must pass, in the order in which failures are cheapest to find.
//!
//! `.ci/run` calls this and nothing else. Output of Cargo passes unchanged, since others read its closing lines.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::run::{cargo, run};
use crate::{libtorch, python, workspace};

struct Part {
    title: &'static str,
    /// How long it may take on two cores.
    takes: &'static str,
    job: Job,
}

enum Job {
    Libtorch,
    Python,
    Worker,
    Cargo(Command),
}

/// Runs the parts in order and stops at the first that fails. `fast` leaves the last two out.
pub fn test(fast: bool) -> Result<()> {
    let parts = parts(fast);
    let count = parts.len();
    println!("{count} parts; from scratch on two cores they may take:");
    for part in &parts {
        println!("  {:<26} {}", part.title, part.takes);
    }

    let begin = Instant::now();
    for (index, part) in parts.into_iter().enumerate() {
        println!("\n== {}/{count}: {} ==", index + 1, part.title);
        let started = Instant::now();
        match part.job {
            Job::Libtorch => libtorch::prepare(libtorch::Options::default()),
            Job::Python => python::prepare(),
            Job::Worker => python::test_worker(),
            Job::Cargo(mut command) => run(&mut command),
        }
        .with_context(|| format!("part {}/{count}, {}, failed", index + 1, part.title))?;
        println!("-- {}: {}", part.title, elapsed(started.elapsed()));
    }
    println!("\nall {count} parts passed in {}", elapsed(begin.elapsed()));
    Ok(())
}

fn parts(fast: bool) -> Vec<Part> {
    let lints = "clippy --workspace --all-targets -- -D warnings";
    let mut parts = vec![
        Part {
            title: "libtorch",
            takes: "2 min, later nothing",
            job: Job::Libtorch,
        },
        Part {
            title: "Python",
            takes: "2 min, later nothing",
            job: Job::Python,
        },
        part("formatting", "1 s", "fmt --all --check"),
        Part {
            title: "the worker in Python",
            takes: "1 min",
            job: Job::Worker,
        },
        part("lints", "6 min, of which 4 for the C++ of torch-sys", lints),
        part("tests", "5 min", "test --workspace"),
    ];
    if !fast {
        // A target folder of its own: with shared ones either set of features would rebuild the other's crates.
        let mut bare = words("test --workspace --exclude xtask --no-default-features");
        bare.arg("--target-dir")
            .arg(workspace::build_dir().join("no-engine"));
        let takes = "3 min";
        parts.push(Part {
            title: "tests without the engine",
            takes,
            job: Job::Cargo(bare),
        });

        let mut doc = words("doc --workspace --no-deps");
        doc.env("RUSTDOCFLAGS", "-D warnings");
        parts.push(Part {
            title: "documentation",
            takes: "1 min",
            job: Job::Cargo(doc),
        });
    }
    parts
}

fn part(title: &'static str, takes: &'static str, line: &str) -> Part {
    Part {
        title,
        takes,
        job: Job::Cargo(words(line)),
    }
}

fn words(line: &str) -> Command {
    cargo(line.split_whitespace())
}

fn elapsed(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fast: bool, expected: &[&str]) {
        let titles: Vec<_> = parts(fast).iter().map(|part| part.title).collect();
        assert_eq!(titles, expected);
    }

    #[test]
    fn fast_leaves_out_the_second_build_and_the_documentation() {
        check(
            true,
            &[
                "libtorch",
                "Python",
                "formatting",
                "the worker in Python",
                "lints",
                "tests",
            ],
        );
        check(
            false,
            &[
                "libtorch",
                "Python",
                "formatting",
                "the worker in Python",
                "lints",
                "tests",
                "tests without the engine",
                "documentation",
            ],
        );
    }

    #[test]
    fn times_are_told_in_minutes_from_one_minute_on() {
        assert_eq!(elapsed(Duration::from_millis(59_900)), "59 s");
        assert_eq!(elapsed(Duration::from_secs(125)), "2 min 5 s");
    }
}
