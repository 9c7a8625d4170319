//! The commands for people who write workflows: check a spec, draw it, look functions up. No daemon is asked, nothing is
//! loaded and nothing is run.
//!
//! [`Command`] is what can be typed, [`run`] does it: `sources.rs` finds the specs that a path stands for, `dag` checks them,
//! and each command has a file. [`excerpt`] and [`Tone`] are shared with `torchrelay dev`, so that a mistake looks the same
//! wherever it is told. Called by the program's `main` alone; the commands that ask a server are the crate `client`'s.

mod args;
mod error;
mod excerpt;
mod functions;
mod graph;
mod lint;
mod output;
mod paint;
mod schema;
mod sources;
mod stored;

use std::process::ExitCode;

pub use args::{Command, Format};
pub use excerpt::excerpt;
use output::Output;
pub use output::wants_colour;
pub use paint::{Tone, paint};

/// Does what the command says. Exit codes: 0 done, 1 a spec has errors, 2 wrong usage or a file that cannot be read.
pub fn run(command: Command, env: &dyn Fn(&str) -> Option<String>) -> ExitCode {
    let mut output = Output::standard(env);
    let outcome = match command {
        Command::Lint(args) => lint::run(&args, &mut output),
        Command::Graph(args) => graph::run(&args, &mut output),
        Command::Functions { name, json } => functions::run(name.as_deref(), json, &mut output),
        Command::Schema => schema::run(&mut output),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.tell();
            ExitCode::from(error.exit_code())
        }
    }
}
