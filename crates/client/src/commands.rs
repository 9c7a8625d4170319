//! The commands, a file for each kind, and which of them is meant.

mod completions;
mod describe;
mod health;
mod list;
mod manage;
mod predict;
mod workflows;

pub(crate) use list::workers as workers_cell;
pub(crate) use predict::content_type;

use crate::args::Command;
use crate::error::Error;
use crate::output::Output;
use crate::session::Session;
use crate::{Context, top};

/// Carries out a command. With `--json` a server's refusal is printed like any other document of its.
pub(crate) async fn run(
    command: Command,
    context: Context<'_>,
    output: &mut Output,
) -> Result<(), Error> {
    if let Command::Completions { shell } = command {
        return output.bytes(&completions::script(context.program, shell));
    }
    let options = command.options().cloned().unwrap_or_default();
    let json = options.json;
    let session = Session {
        options,
        context: &context,
        output: &mut *output,
    };
    let outcome = ask(command, session).await;
    if let Err(Error::Refused { document, .. }) = &outcome
        && json
    {
        output.bytes(document)?;
    }
    outcome
}

async fn ask(command: Command, session: Session<'_>) -> Result<(), Error> {
    match command {
        Command::List { .. } => list::run(session).await,
        Command::Describe(args) => describe::run(session, &args).await,
        Command::Register(args) => manage::register(session, &args).await,
        Command::Scale(args) => manage::scale(session, &args).await,
        Command::Unregister { model, version, .. } => {
            manage::unregister(session, &model, version.as_deref()).await
        }
        Command::SetDefault { model, version, .. } => {
            manage::set_default(session, &model, &version).await
        }
        Command::Workflows(command) => workflows::run(session, &command).await,
        Command::Predict(args) => predict::run(session, &args).await,
        Command::Health { .. } => health::run(session).await,
        Command::Top { once, .. } => top::run(session, once).await,
        Command::RenewKey { key, .. } => manage::renew_key(session, key).await,
        // Printed already; it asks no server.
        Command::Completions { .. } => Ok(()),
    }
}
