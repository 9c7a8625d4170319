//! `torchrelay-archiver`: packs models and workflows into archives, looks into archives, and says whether the daemon would load one.
//!
//! `torchrelay-archiver model` takes the flags of TorchServe's `torch-model-archiver`, `torchrelay-archiver workflow` those of
//! `torch-workflow-archiver`; `import-paddle-seg` makes models of what PaddleSeg services are given. A failure is one line on stderr
//! and exit code 1; wrong usage is exit code 2.

mod graph;
mod import_paddle_seg;
mod inspect;
mod model;
mod packing;
mod specs;
mod text;
mod verify;
mod workflow;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Packs, inspects and verifies model and workflow archives.
#[derive(Debug, Parser)]
#[command(name = "torchrelay-archiver", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Model(model::Args),
    Workflow(workflow::Args),
    ImportPaddleSeg(import_paddle_seg::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Model(args) => model::run(args),
        Command::Workflow(args) => workflow::run(args),
        Command::ImportPaddleSeg(args) => import_paddle_seg::run(args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
    };
    let written = outcome.and_then(|report| Ok(io::stdout().write_all(report.as_bytes())?));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With stderr gone as well, the exit code has to do.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
