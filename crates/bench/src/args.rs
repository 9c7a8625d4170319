//! The command line of the program `bench`; `cargo xtask bench` and `cargo xtask soak` pass theirs on.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "bench", about = "Load on the running daemon")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, PartialEq, Subcommand)]
pub enum Command {
    /// Compares the daemon with libtorch alone, and writes docs/benchmarks.md
    Compare(Compare),
    /// Keeps the daemon under full load while models come and go; fails if anything is lost, crossed or grows
    Soak(Soak),
    /// The loop over libtorch alone, as a child that is told over its standard input what to run
    #[command(hide = true)]
    Bare {
        /// Name of the subject
        subject: String,
        /// Folder of the models
        folder: PathBuf,
    },
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Compare {
    /// Short slices, to try it out; the report goes to target/bench rather than docs
    #[arg(long)]
    pub quick: bool,
    /// Only these models; the report goes to target/bench rather than docs
    #[arg(long, value_name = "MODEL")]
    pub only: Vec<String>,
    /// Say where the time of the echo model goes, by thread and, if perf is there, by function; nothing else
    #[arg(long)]
    pub profile: bool,
    /// Measure workflows alone; the section goes into docs/benchmarks.md, unless it is a quick one
    #[arg(long, conflicts_with_all = ["profile", "only"])]
    pub workflows: bool,
    /// Measure gRPC beside REST and nothing else; the section goes into docs/benchmarks.md, unless it is a quick one
    #[arg(long, conflicts_with_all = ["profile", "workflows"])]
    pub grpc: bool,
    /// Measure handlers in Python beside TorchServe and nothing else; the section goes into docs/benchmarks.md, unless it is a
    /// quick one
    #[arg(long, conflicts_with_all = ["profile", "workflows", "grpc", "only"])]
    pub python: bool,
    /// The virtual environment that has TorchServe, for --python
    #[arg(long, value_name = "FOLDER", default_value = "target/torchserve")]
    pub torchserve: PathBuf,
    /// Compare with another build of the daemon rather than with libtorch alone, with --grpc over every wire: what did a
    /// change bring? Writes nothing
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["profile", "workflows", "python"])]
    pub against: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Soak {
    /// How long, in minutes; fractions are fine
    #[arg(long, default_value = "10", value_parser = minutes)]
    pub minutes: Duration,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text
        .parse()
        .map_err(|_| "expected a number of minutes".to_owned())?;
    if !(0.1..=1440.0).contains(&minutes) {
        return Err("expected 0.1 to 1440 minutes".into());
    }
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        Cli::try_parse_from(words)
            .map(|cli| cli.command)
            .map_err(|error| error.to_string())
    }

    fn check(line: &str, expected: Command) {
        assert_eq!(read(line), Ok(expected), "{line}");
    }

    fn check_refused(line: &str, expected: &str) {
        let error = read(line).expect_err(line);
        assert!(error.contains(expected), "{line}: {error}");
    }

    #[test]
    fn a_comparison_takes_all_models_unless_told() {
        let all = Compare {
            quick: false,
            only: Vec::new(),
            profile: false,
            workflows: false,
            grpc: false,
            python: false,
            torchserve: "target/torchserve".into(),
            against: None,
        };
        check("compare", Command::Compare(all.clone()));
        check(
            "compare --quick --only echo --only mlp",
            Command::Compare(Compare {
                quick: true,
                only: vec!["echo".into(), "mlp".into()],
                ..all.clone()
            }),
        );
        check(
            "compare --profile",
            Command::Compare(Compare {
                profile: true,
                ..all.clone()
            }),
        );
        check(
            "compare --workflows",
            Command::Compare(Compare {
                workflows: true,
                ..all.clone()
            }),
        );
        check(
            "compare --grpc",
            Command::Compare(Compare {
                grpc: true,
                ..all.clone()
            }),
        );
        check(
            "compare --python --torchserve /opt/ts",
            Command::Compare(Compare {
                python: true,
                torchserve: "/opt/ts".into(),
                ..all.clone()
            }),
        );
        check(
            "compare --against /old/torchrelay",
            Command::Compare(Compare {
                against: Some("/old/torchrelay".into()),
                ..all
            }),
        );
        for both in [
            "--profile --against x",
            "--profile --workflows",
            "--workflows --only echo",
            "--grpc --workflows",
            "--python --grpc",
        ] {
            check_refused(&format!("compare {both}"), "cannot be used with");
        }
    }

    #[test]
    fn a_soak_lasts_ten_minutes_unless_told() {
        let lasting = |seconds| {
            Command::Soak(Soak {
                minutes: Duration::from_secs(seconds),
            })
        };
        check("soak", lasting(600));
        check("soak --minutes 1.5", lasting(90));
        check_refused("soak --minutes ten", "expected a number of minutes");
        check_refused("soak --minutes 0", "expected 0.1 to 1440 minutes");
    }
}
