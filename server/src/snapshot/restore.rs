//! Registering the models and workflows of a snapshot: each as it was last acknowledged, whatever its archive says.

use std::fmt;
use std::sync::Arc;

use serving::{Error, MOST_WORKERS, ModelStore, Registration, Serving, Wishes};
use tracing::{error, info, warn};

use super::{LeftOut, MODELS_KEY, SnapshotModels, SnapshotVersion, SnapshotWorkflows};
use crate::missing::{Kept, MissingWorkflow, MissingWorkflows};

/// Archives that a snapshot names and that the model store has not: each a line, in TorchServe's words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) struct MissingArchives {
    /// The file of the snapshot.
    file: String,
    /// Model and version; at least one.
    missing: Vec<(String, String)>,
}

impl fmt::Display for MissingArchives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (model, version)) in self.missing.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(
                f,
                "{end}{}: {MODELS_KEY}: Model archive file for model :{model}, version :{version} not found in model store",
                self.file
            )?;
        }
        Ok(())
    }
}

/// Registers every version, and makes those the default that were. `file` is the snapshot's, for messages.
///
/// Returns what could not be registered although its archive is there: that is logged, the others serve, and neither who
/// writes the next snapshot nor who says whether the server is ready must forget it.
///
/// # Errors
/// An archive is not there; then nothing is registered.
pub(crate) async fn restore(
    serving: &Arc<Serving>,
    snapshot: &SnapshotModels,
    file: &str,
) -> Result<LeftOut, MissingArchives> {
    let versions: Vec<(&String, &String, &SnapshotVersion)> = snapshot
        .0
        .iter()
        .flat_map(|(name, versions)| {
            let each = move |(version, state)| (name, version, state);
            versions.iter().map(each)
        })
        .collect();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (name, version, state) in versions {
        match url(&serving.store, state) {
            Some(url) => found.push((name, version, state, url)),
            None => missing.push((name.clone(), version.clone())),
        }
    }
    if !missing.is_empty() {
        let file = file.to_owned();
        return Err(MissingArchives { file, missing });
    }
    if found.is_empty() {
        warn!("{file}: there are no models in the snapshot, so none is registered");
        return Ok(LeftOut::default());
    }
    let (left_out, mut restored) = (LeftOut::default(), 0);
    for (name, version, state, url) in found {
        match serving
            .restore(registration(name, state, url), version)
            .await
        {
            Ok(_) => restored += 1,
            Err(failure) => {
                let why = without_secrets(&failure, state.url.as_deref());
                error!(
                    "model {name} version {version} of the snapshot is left out, and tried again at the next start: {why}"
                );
                left_out.add(name, version, state.clone(), why);
                continue;
            }
        }
        if state.default_version
            && let Err(failure) = serving.registry.set_default(name, version)
        {
            error!("{failure}");
        }
    }
    info!("{file}: {restored} versions of models are registered as they were");
    Ok(left_out)
}

/// The failure as anybody may read it: a url may hold a key.
fn without_secrets(failure: &Error, url: Option<&str>) -> String {
    let text = failure.to_string();
    match url {
        Some(url) if url.contains("://") => text.replace(url, &sources::shown(url)),
        Some(_) | None => text,
    }
}

/// Registers every version of every workflow. What cannot be registered is logged and returned, each with the reason.
pub(crate) async fn restore_workflows(
    serving: &Arc<Serving>,
    snapshot: &SnapshotWorkflows,
) -> MissingWorkflows {
    let missing = MissingWorkflows::default();
    let versions = snapshot
        .0
        .iter()
        .flat_map(|(name, versions)| versions.iter().map(move |version| (name, version)));
    for (name, (version, state)) in versions {
        let registration = state.registration(name, version);
        if let Err(failure) = serving.register_workflow(registration).await {
            let why = without_secrets(&failure, state.url.as_deref());
            error!(
                "workflow {name} version {version} of the snapshot is left out, and tried again at the next start: {why}"
            );
            missing.add(MissingWorkflow {
                name: Some(name.clone()),
                url: sources::shown(state.url.as_deref().unwrap_or_default()),
                why,
                kept: Some(Kept {
                    version: version.clone(),
                    state: state.clone(),
                }),
            });
            continue;
        }
        if state.default_version
            && let Err(failure) = serving.set_default_workflow(name, version).await
        {
            error!("{failure}");
        }
    }
    missing
}

/// What to register: a url from elsewhere, of which the store has a copy or gets another; else what the store has, the url
/// of the registration or the name of its archive.
fn url(store: &ModelStore, state: &SnapshotVersion) -> Option<String> {
    let elsewhere = state.url.as_ref().filter(|url| url.contains("://"));
    let mut candidates = state.url.iter().chain([&state.mar_name]);
    elsewhere
        .or_else(|| candidates.find(|url| store.contains(url)))
        .cloned()
}

fn registration(name: &str, state: &SnapshotVersion, url: String) -> Registration {
    let workers = |count: Option<usize>| count.map(|count| count.min(MOST_WORKERS));
    Registration {
        url,
        name: Some(name.to_owned()),
        version: None,
        handler: state.handler.clone(),
        runtime: state.runtime.clone(),
        wishes: Wishes {
            workers: workers(state.wishes.workers),
            max_workers: workers(state.wishes.max_workers),
            ..state.wishes
        },
        at_startup: true,
        ..Registration::default()
    }
}
