//! Running other programs: each is shown before it runs, and its failure is one sentence that names it.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, bail};

use crate::{libtorch, workspace};

/// Runs to the end with our own standard streams, so that output passes unchanged.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    println!("$ {shown}");
    let status = command
        .status()
        .with_context(|| format!("`{shown}` could not be started"))?;
    if status.success() {
        Ok(())
    } else {
        bail!("`{shown}` failed ({})", describe(status))
    }
}

/// Cargo in the workspace's root, in the environment it would have without us around it.
///
/// `cargo run` sets variables for the program it runs. Left in place they would reach the build scripts of the
/// nested Cargo, some of which rebuild when they change, and torch-sys takes minutes.
pub fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace::root());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_set_by_cargo_run) {
            command.env_remove(name);
        }
    }
    if libtorch::given_by_user().is_none() {
        command.env_remove("LIBTORCH");
    }
    command
}

fn is_set_by_cargo_run(name: &str) -> bool {
    const PREFIXES: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || matches!(
            name,
            "CARGO" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR"
        )
}

/// The command as one would type it in the folder it runs in: variables we set, the program, arguments.
/// Paths below that folder are relative to it. Cargo goes by its bare name, since its path is rustup's affair.
pub fn show(command: &Command) -> String {
    let folder = command.get_current_dir();
    let word = |word: &OsStr| {
        let below = folder.and_then(|folder| Path::new(word).strip_prefix(folder).ok());
        quote(&below.map_or(word, Path::as_os_str).to_string_lossy())
    };
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), word(value?))));
    let program = match Path::new(command.get_program()).file_name() {
        Some(name) if name == "cargo" => "cargo".to_owned(),
        _ => word(command.get_program()),
    };
    let arguments = command.get_args().map(word);
    variables
        .chain([program])
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

pub fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command
            .args(["doc", "--no-deps", "it's"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .env_remove("X");
        assert_eq!(
            show(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s'"
        );
    }

    #[test]
    fn a_program_that_was_built_is_shown_so_that_it_can_be_pasted() {
        let mut command = Command::new("/src/target/release/torchrelay");
        command
            .current_dir("/src")
            .args([
                "--model-store",
                "model_store",
                "/elsewhere/x",
                "/src/config",
            ])
            .env("TEMP", "/src/target/demo");
        assert_eq!(
            show(&command),
            "TEMP=target/demo target/release/torchrelay --model-store model_store /elsewhere/x config"
        );
        assert_eq!(
            show(&Command::new("/built/release/torchrelay")),
            "/built/release/torchrelay"
        );
    }

    #[test]
    fn a_failure_names_the_command_and_its_exit_code() {
        let error =
            run(Command::new("sh").args(["-c", "exit 3"])).expect_err("exit code 3 is a failure");
        assert_eq!(error.to_string(), "`sh -c 'exit 3'` failed (exit code 3)");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program")).expect_err("nothing to start");
        assert_eq!(error.to_string(), "`no-such-program` could not be started");
    }
}
