//! The arguments after the command's name: flags and `--name value` pairs, each taken once.

use std::str::FromStr;

use anyhow::{Result, anyhow, bail};

/// What has not been taken yet. [`Args::finish`] refuses a rest.
pub struct Args(Vec<String>);

impl Args {
    pub fn new(arguments: impl IntoIterator<Item = String>) -> Self {
        Self(arguments.into_iter().collect())
    }

    /// Whether `name` was given.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|argument| argument != name);
        self.0.len() < before
    }

    /// The value of `name value` or `name=value`.
    pub fn value<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        let assigned = format!("{name}=");
        let Some(at) = self
            .0
            .iter()
            .position(|a| a == name || a.starts_with(&assigned))
        else {
            return Ok(None);
        };
        let argument = self.0.remove(at);
        let text = match argument.strip_prefix(&assigned) {
            Some(text) => text.to_owned(),
            None if at < self.0.len() => self.0.remove(at),
            None => bail!("{name} needs a value"),
        };
        text.parse()
            .map(Some)
            .map_err(|_| anyhow!("{name} does not take {text:?}"))
    }

    /// What has not been taken, for a program that reads it itself.
    pub fn rest(self) -> Vec<String> {
        self.0
    }

    pub fn finish(self) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(unknown) => bail!("unknown argument {unknown:?}: `cargo xtask` lists them"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<(bool, Option<u16>), &str>) {
        let mut args = Args::new(line.split_whitespace().map(str::to_owned));
        let once = args.flag("--once");
        let read = args.value("--port").and_then(|port| {
            args.finish()?;
            Ok((once, port))
        });
        assert_eq!(
            read.map_err(|e| e.to_string()),
            expected.map_err(str::to_owned),
            "{line}"
        );
    }

    #[test]
    fn flags_and_values_are_read_in_any_order() {
        check("", Ok((false, None)));
        check("--port 81 --once", Ok((true, Some(81))));
        check("--once --port=81", Ok((true, Some(81))));
    }

    #[test]
    fn what_another_program_reads_is_passed_on_as_it_came() {
        let line = ["--quick", "--only", "echo", "--only=mlp"].map(str::to_owned);
        assert_eq!(Args::new(line.clone()).rest(), line);
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("--port", Err("--port needs a value"));
        check("--port many", Err("--port does not take \"many\""));
        check(
            "--two",
            Err("unknown argument \"--two\": `cargo xtask` lists them"),
        );
    }
}
