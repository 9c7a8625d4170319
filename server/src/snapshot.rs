//! Snapshots: what a server is set to and which models it has, in files that outlive it.
//!
//! A snapshot is a configuration file of TorchServe's kind, with every setting and, under the key `model_snapshot`, every
//! registered version of a model and, where TorchServe does not look, of a workflow. One is written at start, whenever what is registered changes, and at the end
//! (`keeper.rs`); the next start reads the newest (`folder.rs`, called by [`crate::config`]) and registers its models
//! (`restore.rs`, called by [`crate::serve`]), those that it cannot being remembered (`left_out.rs`). How a file comes to lie in the folder whole or not at all is the affair
//! of `folder.rs` and `disk.rs`; what it is called, of `name.rs`.

mod disk;
mod folder;
mod keeper;
mod left_out;
mod models;
mod name;
mod restore;
mod workflows;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::SystemTime;

pub(crate) use folder::{Newest, newest_in};
pub use keeper::Snapshots;
pub use left_out::{LeftOut, LeftVersion};
pub use models::{SnapshotModels, SnapshotVersion};
pub(crate) use restore::{restore, restore_workflows};
pub use workflows::{SnapshotWorkflow, SnapshotWorkflows};

use crate::config::properties;

/// The key under which a snapshot holds its models.
pub(crate) const MODELS_KEY: &str = "model_snapshot";

/// Below the log location.
pub(crate) const FOLDER: &str = "config";

/// What snapshots are made of besides the models, and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// Made when it is first needed.
    pub folder: PathBuf,
    /// How many files stay there; `None`: all.
    pub kept: Option<NonZeroUsize>,
    pub written: WrittenSettings,
}

/// Every setting of a server as key and text, secrets among them. Its `Debug` shows the keys alone.
#[derive(Clone, PartialEq, Eq)]
pub struct WrittenSettings(pub Vec<(String, String)>);

impl std::fmt::Debug for WrittenSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.0.iter().map(|(key, _)| key);
        f.debug_set().entries(keys).finish()
    }
}

const HEAD: &str = "\
# The settings and the models of a server, written by itself. A start without --ts-config and --no-config-snapshots reads
# the newest file of this folder, and then no config.properties. There may be secrets in it.
";

/// The whole text of the snapshot `name`, plain ASCII. The models stand last, so that half a file lacks them.
fn to_text(
    settings: &WrittenSettings,
    models: &SnapshotModels,
    workflows: &SnapshotWorkflows,
    name: &str,
    now: SystemTime,
) -> String {
    let mut models = models.to_json(name, now);
    // A file without it is one of TorchServe's kind; one that would load workflows again says that there are none.
    let loads = settings.0.iter().any(|(key, _)| key == "load_workflows");
    if loads || !workflows.0.is_empty() {
        models[workflows::MEMBER] = workflows.to_json();
    }
    let models = models.to_string();
    let pairs = settings
        .0
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let pairs = pairs.chain([(MODELS_KEY, models.as_str())]);
    format!("{HEAD}{}", properties::write(pairs))
}

/// Whether this is a whole snapshot; an error says what it lacks. What its settings mean is left to the reader of
/// configuration.
fn check(bytes: &[u8]) -> Result<(), String> {
    let (entries, flaws) = properties::parse(bytes);
    if let Some(flaw) = flaws.first() {
        return Err(format!("line {}: {}", flaw.line, flaw.message));
    }
    let models = entries.iter().rfind(|entry| entry.key == MODELS_KEY);
    let models = models.ok_or_else(|| format!("there is no {MODELS_KEY} in it"))?;
    let json = serde_json::from_str(&models.value)
        .map_err(|error| format!("{MODELS_KEY}: not valid JSON: {error}"))?;
    SnapshotModels::read(&json)
        .and_then(|_| SnapshotWorkflows::read(&json))
        .map_err(|message| format!("{MODELS_KEY}: {message}"))?;
    Ok(())
}

#[cfg(test)]
mod tests;
