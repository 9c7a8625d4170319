//! `torchrelay doctor`: what of a TorchServe installation runs here, said before anything is started.
//!
//! `installation.rs` finds configuration and stores, `settings.rs`, `models.rs` and `workflows.rs` look at each line, archive
//! and workflow with the daemon's own functions, `finding.rs` is what they say, `table.rs` and `report.rs` how. No socket is
//! opened, no weights are loaded and no Python is run; archives are unpacked, one at a time, into a temporary folder. Beside a
//! TorchServe that runs, [`client::compare`] asks both. Called by the program's `main` alone.

mod finding;
mod installation;
mod models;
mod report;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod workflows;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Map, Value};

pub use report::Report;

use crate::args;
use crate::config::Env;
use installation::Installation;
use models::Models;
use workflows::Workflows;

/// Looks, compares and prints. Exit codes: 0 everything runs and nothing differs, 1 otherwise; 2 and 3 as
/// [`client::run`] has them.
///
/// # Errors
///
/// As [`look`], and standard output that cannot be written to.
pub fn run(args: &args::Doctor, context: &client::Context<'_>) -> anyhow::Result<ExitCode> {
    let report = match &args.path {
        Some(_) => Some(look(args, context.env, &context.folder)?),
        None => None,
    };
    // Where its key file lies, if it was started there.
    let folder = args.path.as_deref().map(|path| match path.is_dir() {
        true => context.folder.join(path),
        false => context.folder.join(path.parent().unwrap_or(Path::new(""))),
    });
    let mut out = std::io::stdout();
    let colour = workbench::wants_colour(out.is_terminal(), context.env);
    let mut document = Map::new();
    let mut text = String::new();
    if let Some(report) = &report {
        if !args.json {
            text.push_str(&report.text(colour));
        } else if let Value::Object(members) = report.document() {
            document.extend(members);
        }
    }
    let mut is_well = report.as_ref().is_none_or(Report::is_well);
    let mut code = None;
    if args.compare.compare.is_some() {
        match client::compare(&args.compare, folder.as_deref(), context) {
            Ok(comparison) => {
                is_well &= comparison.is_same();
                if args.json {
                    document.insert("comparison".to_owned(), comparison.document());
                } else {
                    let gap = if text.is_empty() { "" } else { "\n" };
                    text.push_str(gap);
                    text.push_str(&comparison.text(colour));
                }
            }
            // It has been told; what was found before is not lost over it.
            Err(failed) => code = Some(failed),
        }
    }
    if args.json {
        text = format!("{:#}\n", Value::Object(document));
    }
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has had enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            return Err(error).context("standard output");
        }
        _ => {}
    }
    let code = code.unwrap_or(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    });
    Ok(code)
}

/// Looks at the installation at `args.path`; relative paths are taken from `cwd`.
///
/// # Errors
///
/// Nothing is at that path, or there is no room to unpack archives.
pub fn look(args: &args::Doctor, env: &Env<'_>, cwd: &Path) -> anyhow::Result<Report> {
    let path = args.path.as_deref().unwrap_or(Path::new("."));
    let installation = Installation::find(path, args, env, cwd)?;
    let unpacked = tempfile::tempdir().context("the folder for unpacked archives")?;
    let mut findings = settings::look(&installation);
    let mut models = Models::new(&installation, unpacked.path());
    findings.extend(models.look());
    findings.extend(Workflows::new(&installation, unpacked.path()).look(&mut models));
    Ok(Report::new(installation, findings))
}
