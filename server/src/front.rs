//! Fronts: services with routes of their own in front of models and workflows, for clients that speak another API.
//!
//! A front is a YAML document: an address, settings that the environment may change, and routes, each of which asks a model
//! or a workflow, tells the labels of a model, or answers something that never changes. [`Front::open`] checks all of it
//! at start. What is asked over HTTP is answered by `http/front.rs`, on the same path as a prediction; nothing here serves.
//! Documents that ship with the daemon lie in `server/fronts` and are compiled in.

mod document;
mod settings;
mod shipped;
mod swagger;
pub mod template;

use std::path::{Path, PathBuf};

use axum::http::Method;
use bytes::Bytes;
use serde_json::Value as Json;
use thiserror::Error;

use crate::config::{Address, Env};
pub use settings::Unfit;
pub use shipped::MAX;

/// A service of its own, checked. All that its settings decide is decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Front {
    pub name: String,
    pub address: Address,
    /// Whether scripts of any origin may read its answers.
    pub cors: bool,
    /// Whether it asks for the inference key, where the daemon asks for keys at all.
    pub tokens: bool,
    /// The body of a failure: a [`template`] over `status` and `message`.
    pub errors: Json,
    /// No method and path twice.
    pub routes: Vec<Route>,
}

/// What is done for one method on one path.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pub method: Method,
    /// Begins with `/`, and does not end with one unless it is the root.
    pub path: String,
    pub does: Does,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Does {
    Predict(Box<Predict>),
    /// Answers the labels of this model, as `[{"id": 0, "name": "…"}, …]`.
    Labels(Target),
    /// Answers this document.
    Json(Json),
    File {
        content_type: &'static str,
        content: Bytes,
    },
}

/// How a file of a form becomes a prediction, and the prediction an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Predict {
    pub target: Target,
    /// The form field that brings the file.
    pub field: String,
    /// The part of the request that a handler sees it as.
    pub part: String,
    /// The content type of that part, in place of the client's.
    pub content_type: Option<String>,
    /// Further parts, as name and text.
    pub with: Vec<(String, String)>,
    /// A [`template`] over the answer; `None` leaves it as it is.
    pub answer: Option<Json>,
    /// The body of status 400 where the form has no such file.
    pub missing: Option<Json>,
    /// The body of status 400 where the model cannot use the file: a template over `status` and `message`.
    pub bad_input: Option<Json>,
}

/// Whom a front asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub kind: TargetKind,
    pub name: String,
    /// `None`: the default version.
    pub version: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    Model,
    Workflow,
}

/// Why a front cannot be opened.
#[derive(Debug, Error)]
pub enum FrontError {
    #[error("there is no front of that name (shipped is {MAX}), and no such file")]
    Unknown,
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{document}: not YAML: {reason}")]
    NotYaml { document: String, reason: String },
    /// `place` is a path of keys in the document.
    #[error("{document}: {place}: {reason}")]
    Invalid {
        document: String,
        place: String,
        reason: String,
    },
}

impl Front {
    /// The front that `what` names: one that is shipped, or a file, whose own files lie beside it. Tells as well which
    /// variables of the environment did not fit, and so were not followed.
    pub fn open(what: &str, cwd: &Path, env: &Env<'_>) -> Result<(Front, Vec<Unfit>), FrontError> {
        if let Some(document) = shipped::document(what) {
            let file = |name: &str| {
                let content = shipped::file(name);
                content
                    .map(Bytes::from_static)
                    .ok_or_else(|| "there is no such file".to_owned())
            };
            return document::read(what, document, &file, env);
        }
        let path = cwd.join(what);
        let text = match std::fs::read(&path) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(FrontError::Unknown);
            }
            Err(source) => return Err(FrontError::Unreadable { path, source }),
        };
        let folder = path.parent().unwrap_or(cwd);
        let file = |name: &str| {
            let content = std::fs::read(folder.join(name));
            content.map(Bytes::from).map_err(|error| error.to_string())
        };
        document::read(what, &text, &file, env)
    }

    /// Whom it asks, each once.
    pub fn targets(&self) -> Vec<&Target> {
        let mut targets = Vec::new();
        for route in &self.routes {
            let target = match &route.does {
                Does::Predict(predict) => &predict.target,
                Does::Labels(target) => target,
                Does::Json(_) | Does::File { .. } => continue,
            };
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        targets
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            TargetKind::Model => "model",
            TargetKind::Workflow => "workflow",
        };
        write!(f, "{kind} {}", self.name)?;
        match &self.version {
            Some(version) => write!(f, ", version {version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
