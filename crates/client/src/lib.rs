//! `torchrelay` as a client of itself: the subcommands for people at a terminal.
//!
//! [`Command`] is what can be typed, [`run`] does it: find the server (`places.rs`), its key (`token.rs`), ask over HTTP
//! (`http.rs`) and print what came back as a table, or as the server's own JSON. It knows the APIs as any client does: it
//! shares no types with the daemon, and where the daemon's configuration has to be read, [`Context::configured`] does it.
//! Called by the program's `main` alone.

mod args;
mod commands;
mod compare;
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
pub use compare::{Compare, Comparison};
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
    match block_on(commands::run(command, context, &mut output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => told(&error),
    }
}

/// Compares a TorchServe that runs with a Torchrelay that does. `folder` is where the key file of the former may lie.
///
/// # Errors
/// The exit code, as [`run`] has it, where there is nothing to compare; why is on standard error by then.
pub fn compare(
    args: &Compare,
    folder: Option<&Path>,
    context: &Context<'_>,
) -> Result<Comparison, ExitCode> {
    block_on(compare::run(args, folder, context)).map_err(|error| told(&error))
}

fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::System {
            what: "the runtime",
            source,
        })?;
    let outcome = runtime.block_on(work);
    // A look-up of a name that hangs must not keep the process.
    runtime.shutdown_background();
    outcome
}

fn told(error: &Error) -> ExitCode {
    error.tell();
    ExitCode::from(error.exit_code())
}
