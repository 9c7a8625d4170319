//! The commands, a file for each kind, and which of them is meant.

mod completions;
mod describe;
mod health;
mod list;
mod manage;
mod predict;

pub(crate) use list::workers as workers_cell;

use crate::args::{Command, Options};
use crate::error::Error;
use crate::output::Output;
use crate::session::Session;
use crate::{Context, top};

pub(crate) async fn run(
    command: Command,
    context: Context<'_>,
    output: &mut Output,
) -> Result<(), Error> {
    let session = |options: &Options, output| Session {
        options: options.clone(),
        context: &context,
        output,
    };
    match command {
        Command::List { options } => list::run(session(&options, output)).await,
        Command::Describe(args) => describe::run(session(&args.options, output), &args).await,
        Command::Register(args) => manage::register(session(&args.options, output), &args).await,
        Command::Scale(args) => manage::scale(session(&args.options, output), &args).await,
        Command::Unregister {
            model,
            version,
            options,
        } => manage::unregister(session(&options, output), &model, version.as_deref()).await,
        Command::SetDefault {
            model,
            version,
            options,
        } => manage::set_default(session(&options, output), &model, &version).await,
        Command::Predict(args) => predict::run(session(&args.options, output), &args).await,
        Command::Health { options } => health::run(session(&options, output)).await,
        Command::Top { once, options } => top::run(session(&options, output), once).await,
        Command::RenewKey { key, options } => {
            manage::renew_key(session(&options, output), key).await
        }
        Command::Completions { shell } => {
            let script = completions::script(context.program, shell);
            output.bytes(&script)
        }
    }
}
