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

/// Every problem of a configuration at once. Displayed, each stands on a line of its own, and below them the warnings, so
/// that nothing is left to find out when the problems are mended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigErrors {
    /// At least one, in the order of their lines.
    pub problems: Vec<Problem>,
    /// What would not have refused the start alone.
    pub warnings: Vec<Notice>,
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
    /// Something is not as written.
    Warning,
}

/// Collects while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    warnings: Vec<(Problem, String)>,
    remarks: Vec<Notice>,
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
        self.note(Severity::Info, text);
    }

    /// A warning that refuses no start, however strict: what it tells may be as it should be.
    pub(crate) fn caution(&mut self, text: impl Into<String>) {
        self.note(Severity::Warning, text);
    }

    fn note(&mut self, severity: Severity, text: impl Into<String>) {
        let text = text.into();
        self.remarks.push(Notice { severity, text });
    }

    /// Everything that is wrong, with what happens instead where that refuses no start.
    pub(crate) fn all(self) -> impl Iterator<Item = (Problem, Option<String>)> {
        let problems = self.problems.into_iter().map(|problem| (problem, None));
        let warnings = self.warnings.into_iter();
        problems.chain(warnings.map(|(problem, consequence)| (problem, Some(consequence))))
    }

    /// The notices, or every problem. `strict` counts each warning as a problem, but no caution.
    pub(crate) fn finish(mut self, strict: bool) -> Result<Vec<Notice>, ConfigErrors> {
        if strict {
            let warnings = self.warnings.drain(..).map(|(problem, _)| problem);
            self.problems.extend(warnings);
        }
        self.warnings
            .sort_by_key(|(problem, _)| line(&problem.origin));
        let warnings = self.warnings.iter().map(|(problem, consequence)| Notice {
            severity: Severity::Warning,
            text: format!("{problem}; {consequence}"),
        });
        let notices = warnings.chain(self.remarks);
        if self.problems.is_empty() {
            return Ok(notices.collect());
        }
        self.problems.sort_by_key(|problem| line(&problem.origin));
        Err(ConfigErrors {
            problems: self.problems,
            warnings: notices
                .filter(|notice| notice.severity == Severity::Warning)
                .collect(),
        })
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
        for warning in &self.warnings {
            write!(f, "\nWarning: {warning}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
