//! What a log4j2 configuration in XML (`--log-config`) says of levels and files.
//!
//! Levels are those of the root logger and of TorchServe's five; a file is that of the first appender of a logger that
//! has one. Everything else has no meaning here and is named in [`Log4j::ignored`], so that nobody waits for it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use roxmltree::{Document, Node};
use thiserror::Error;

use super::files::LogFile;
use crate::config::Env;

/// What was found, as far as it counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Log4j {
    /// Directives as in `RUST_LOG`; `None` where no level is said.
    pub levels: Option<String>,
    /// At most one for each log. Relative ones are meant from the working directory.
    pub files: Vec<(LogFile, PathBuf)>,
    /// Parts without effect, by their names in the file, each once.
    pub ignored: Vec<String>,
}

/// Why the file cannot be used.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Log4jError {
    /// Counts from 1.
    pub line: usize,
    pub message: String,
}

/// TorchServe's loggers, the targets that take their place, and their files.
const LOGGERS: &[(&str, &[&str], LogFile)] = &[
    ("ACCESS_LOG", &["access_log"], LogFile::Access),
    (
        "MODEL_LOG",
        &["model_log", "torch_engine", "handlers"],
        LogFile::Model,
    ),
    ("MODEL_METRICS", &["model_metrics"], LogFile::ModelMetrics),
    ("TS_METRICS", &["ts_metrics"], LogFile::ServerMetrics),
    (
        "org.pytorch.serve",
        &["server", "torchrelay", "serving", "archive"],
        LogFile::Server,
    ),
];

const LEVELS: &[(&str, &str)] = &[
    ("off", "off"),
    ("fatal", "error"),
    ("error", "error"),
    ("warn", "warn"),
    ("info", "info"),
    ("debug", "debug"),
    ("trace", "trace"),
    ("all", "trace"),
];

/// Appenders that write files.
const FILES: &[&str] = &[
    "RollingFile",
    "RollingRandomAccessFile",
    "File",
    "RandomAccessFile",
];

/// Reads the text of a configuration. Names in it may stand for variables of `env`.
///
/// # Errors
/// Text that is no XML, another root than `Configuration`, or a level that there is not.
pub fn read(text: &str, env: &Env<'_>) -> Result<Log4j, Log4jError> {
    let document = Document::parse(text).map_err(|error| {
        let text = error.to_string();
        let at = error.pos();
        let what = text.strip_suffix(&format!(" at {at}")).unwrap_or(&text);
        Log4jError {
            line: at.row as usize,
            message: format!("not XML: {what}"),
        }
    })?;
    let root = document.root_element();
    if !is(root, "Configuration") {
        let name = root.tag_name().name();
        let message = format!("expected the element Configuration, found {name}");
        return Err(flaw(root, message));
    }
    let mut reading = Reading {
        env,
        root,
        ignored: BTreeSet::new(),
    };
    reading.read()
}

struct Reading<'a> {
    env: &'a Env<'a>,
    root: Node<'a, 'a>,
    ignored: BTreeSet<String>,
}

impl<'a> Reading<'a> {
    fn read(&mut self) -> Result<Log4j, Log4jError> {
        let mut found = Log4j::default();
        let mut levels = Vec::new();
        // What a root logger has in log4j that is told nothing.
        let mut root = "error";
        let mut loggers = 0;
        for section in elements(self.root) {
            if is(section, "Appenders") {
                self.ignore_parts_of_appenders(section);
            } else if !is(section, "Loggers") && !is(section, "Properties") {
                self.ignore(section.tag_name().name());
            }
        }
        let sections = elements(self.root).filter(|section| is(*section, "Loggers"));
        for logger in sections.flat_map(elements) {
            loggers += 1;
            let of_root = is(logger, "Root") || is(logger, "AsyncRoot");
            let name = attribute(logger, "name").unwrap_or_default();
            let known = LOGGERS.iter().find(|(known, _, _)| *known == name);
            let level = level(logger)?;
            let (targets, file) = match known {
                _ if of_root => (None, LogFile::Server),
                Some((_, targets, file)) => (Some(*targets), *file),
                None => {
                    let kind = logger.tag_name().name();
                    self.ignore(&format!("{kind} {name}"));
                    continue;
                }
            };
            match (targets, level) {
                (None, level) => root = level.unwrap_or(root),
                (Some(targets), Some(level)) => {
                    levels.extend(targets.iter().map(|target| format!("{target}={level}")));
                }
                (Some(_), None) => {}
            }
            for part in elements(logger).filter(|part| !is(*part, "AppenderRef")) {
                self.ignore(part.tag_name().name());
            }
            if let Some(path) = self.file_of(logger) {
                // The server's own logger goes before the root.
                if of_root {
                    if found.files.iter().all(|(known, _)| *known != file) {
                        found.files.push((file, path));
                    }
                } else {
                    found.files.retain(|(known, _)| *known != file);
                    found.files.push((file, path));
                }
            }
        }
        levels.insert(0, root.to_owned());
        found.levels = (loggers > 0).then(|| levels.join(","));
        found.ignored = std::mem::take(&mut self.ignored).into_iter().collect();
        Ok(found)
    }

    /// The file of the first appender of this logger that has one.
    fn file_of(&mut self, logger: Node<'a, 'a>) -> Option<PathBuf> {
        let references = elements(logger).filter(|part| is(*part, "AppenderRef"));
        for reference in references.filter_map(|part| attribute(part, "ref")) {
            let sections = elements(self.root).filter(|section| is(*section, "Appenders"));
            let appender = sections
                .flat_map(elements)
                .filter(|appender| FILES.iter().any(|kind| is(*appender, kind)))
                .find(|appender| attribute(*appender, "name") == Some(reference));
            let Some(name) = appender.and_then(|appender| attribute(appender, "fileName")) else {
                continue;
            };
            match self.resolve(name, 0) {
                Some(path) => return Some(PathBuf::from(path)),
                None => self.ignore(&format!("fileName of {reference}")),
            }
        }
        None
    }

    fn ignore_parts_of_appenders(&mut self, appenders: Node<'a, 'a>) {
        for appender in elements(appenders) {
            let is_file = FILES.iter().any(|kind| is(appender, kind));
            if !is_file && !is(appender, "Console") {
                self.ignore(appender.tag_name().name());
            }
            for part in elements(appender) {
                self.ignore(part.tag_name().name());
            }
            if attribute(appender, "filePattern").is_some() {
                self.ignore("filePattern");
            }
        }
    }

    fn ignore(&mut self, name: &str) {
        self.ignored.insert(name.trim().to_owned());
    }

    /// Replaces `${env:NAME:-default}` and `${property}`; `None` where something else would have to be looked up.
    fn resolve(&self, text: &str, depth: usize) -> Option<String> {
        // Properties may name each other, and even themselves.
        if depth > 8 {
            return None;
        }
        let Some(start) = text.find("${") else {
            return Some(text.to_owned());
        };
        let (before, rest) = (&text[..start], &text[start + 2..]);
        let end = closing(rest)?;
        let (lookup, after) = (&rest[..end], &rest[end + 1..]);
        let (name, default) = match lookup.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (lookup, None),
        };
        let value = match name.split_once(':') {
            Some(("env", variable)) => (self.env)(variable).filter(|value| !value.is_empty()),
            Some(_) => None,
            None => self.property(name).map(str::to_owned),
        };
        let value = value.or_else(|| default.map(str::to_owned))?;
        let value = self.resolve(&value, depth + 1)?;
        Some(format!("{before}{value}{}", self.resolve(after, depth)?))
    }

    fn property(&self, name: &str) -> Option<&'a str> {
        let sections = elements(self.root).filter(|section| is(*section, "Properties"));
        let property = sections
            .flat_map(elements)
            .find(|property| attribute(*property, "name") == Some(name))?;
        attribute(property, "value").or_else(|| property.text().map(str::trim))
    }
}

/// Where the brace that was opened before this text is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn level(logger: Node<'_, '_>) -> Result<Option<&'static str>, Log4jError> {
    let Some(text) = attribute(logger, "level") else {
        return Ok(None);
    };
    let known = LEVELS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
    match known {
        Some((_, level)) => Ok(Some(level)),
        None => {
            let names: Vec<&str> = LEVELS.iter().map(|(name, _)| *name).collect();
            let expected = names.join(", ");
            let message = format!("level: expected one of {expected}, found `{text}`");
            Err(flaw(logger, message))
        }
    }
}

fn flaw(node: Node<'_, '_>, message: String) -> Log4jError {
    let at = node.document().text_pos_at(node.range().start);
    Log4jError {
        line: at.row as usize,
        message,
    }
}

fn elements<'a>(node: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(Node::is_element)
}

/// log4j takes names of elements and attributes in any case.
fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.tag_name().name().eq_ignore_ascii_case(name)
}

fn attribute<'a>(node: Node<'a, 'a>, name: &str) -> Option<&'a str> {
    let mut attributes = node.attributes();
    let found = attributes.find(|attribute| attribute.name().eq_ignore_ascii_case(name));
    found.map(|attribute| attribute.value())
}

#[cfg(test)]
mod tests;
