//! `torchrelay` as a client of itself: the subcommands for people at a terminal.
//!
//! [`Command`] is what can be typed, [`run`] does it: find the server (`places.rs`), its key (`token.rs`), ask over HTTP
//! (`http.rs`) and print what came back as a table, or as the server's own JSON. It knows the APIs as any client does: it
//! shares no types with the daemon, and where the daemon's configuration has to be read, [`Context::configured`] does it.
//! Called by the program's `main` alone.

mod args;
mod commands;
mod endpoint;
mod error;
mod http;
mod instant;
mod models;
mod output;
mod places;
mod prometheus;
mod session;
mod table;
mod text;
mod tls;
mod token;
mod top;
mod units;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use args::{Command, Options, Secret};
use error::Error;
use output::Output;

/// What the commands need to know from the program around them.
pub struct Context<'a> {
    /// Where a daemon listens that is configured by this file, or by the one that it would find by itself.
    pub configured: &'a dyn Fn(Option<&Path>) -> Result<Configured, String>,
    /// The whole command line of the program, for shell completions.
    pub program: clap::Command,
    /// An environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The working directory, where a key file may lie.
    pub folder: PathBuf,
}

/// The addresses of a configuration, as `http://host:port`, `https://host:port` or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    pub inference: String,
    pub management: String,
    pub metrics: String,
}

/// Does what the command says. Exit codes: 0 done, 1 the server refused or failed, 2 wrong usage, 3 the server cannot be
/// reached.
pub fn run(command: Command, context: Context<'_>) -> ExitCode {
    let mut output = Output::standard(context.env);
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::System {
            what: "the runtime",
            source,
        })
        .and_then(|runtime| {
            let outcome = runtime.block_on(commands::run(command, context, &mut output));
            // A look-up of a name that hangs must not keep the process.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.tell();
            ExitCode::from(error.exit_code())
        }
    }
}
