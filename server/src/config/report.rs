//! What configuration has to say to the person who wrote it: problems, which refuse the start, and notices.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A configuration file; `line` counts from 1 and is absent when the whole file is meant.
    File { path: PathBuf, line: Option<usize> },
    /// A flag, as `--models`.
    Flag(&'static str),
    /// An environment variable.
    Env(String),
    /// The command as a whole. Messages from here stand alone, in the words that launchers of TorchServe know.
    Command,
}

impl Origin {
    pub(crate) fn file(path: &Path, line: usize) -> Self {
        Origin::File {
            path: path.to_owned(),
            line: Some(line),
        }
    }
}

/// One thing that is wrong: `path:line: key: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    pub key: Option<String>,
    pub message: String,
}

/// Every problem of a configuration at once. Displayed, each stands on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigErrors {
    /// At least one, in the order of their lines.
    pub problems: Vec<Problem>,
}

/// Something worth telling that does not prevent the start: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub severity: Severity,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Info,
    /// Something is not as written; an error under `--strict`.
    Warning,
}

/// Collects while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    warnings: Vec<(Problem, String)>,
    remarks: Vec<String>,
}

impl Report {
    pub(crate) fn error(&mut self, origin: &Origin, key: Option<&str>, message: impl Into<String>) {
        self.problems.push(problem(origin, key, message));
    }

    /// `consequence` says what happens instead, and is left out where a warning refuses the start.
    pub(crate) fn warn(
        &mut self,
        origin: &Origin,
        key: Option<&str>,
        message: impl Into<String>,
        consequence: impl Into<String>,
    ) {
        let problem = problem(origin, key, message);
        self.warnings.push((problem, consequence.into()));
    }

    pub(crate) fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    /// The notices, or every problem. `strict` counts each warning as a problem.
    pub(crate) fn finish(mut self, strict: bool) -> Result<Vec<Notice>, ConfigErrors> {
        if strict {
            let warnings = self.warnings.drain(..).map(|(problem, _)| problem);
            self.problems.extend(warnings);
        }
        if !self.problems.is_empty() {
            self.problems.sort_by_key(|problem| line(&problem.origin));
            return Err(ConfigErrors {
                problems: self.problems,
            });
        }
        self.warnings
            .sort_by_key(|(problem, _)| line(&problem.origin));
        let warnings = self.warnings.iter().map(|(problem, consequence)| Notice {
            severity: Severity::Warning,
            text: format!("{problem}; {consequence}"),
        });
        let remarks = self.remarks.into_iter().map(|text| Notice {
            severity: Severity::Info,
            text,
        });
        Ok(warnings.chain(remarks).collect())
    }
}

/// A value as quoted in messages: on one line, and not endless.
pub(crate) fn quote(value: &str) -> String {
    const LIMIT: usize = 80;
    let cut: String = value.chars().take(LIMIT).collect();
    let dots = if cut.len() < value.len() { "…" } else { "" };
    format!("`{}{dots}`", cut.escape_debug())
}

fn problem(origin: &Origin, key: Option<&str>, message: impl Into<String>) -> Problem {
    Problem {
        origin: origin.clone(),
        key: key.map(str::to_owned),
        message: message.into(),
    }
}

fn line(origin: &Origin) -> Option<usize> {
    match origin {
        Origin::File { line, .. } => *line,
        Origin::Default | Origin::Flag(_) | Origin::Env(_) | Origin::Command => None,
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("built-in defaults"),
            Origin::File { path, line: None } => write!(f, "{}", path.display()),
            Origin::File {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Origin::Flag(flag) => f.write_str(flag),
            Origin::Env(name) => f.write_str(name),
            Origin::Command => f.write_str("command line"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Command {
            write!(f, "{}: ", self.origin)?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            let intro = match problem.origin {
                Origin::Command => "",
                Origin::Default | Origin::File { .. } | Origin::Flag(_) | Origin::Env(_) => {
                    "Invalid configuration: "
                }
            };
            write!(f, "{end}{intro}{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
