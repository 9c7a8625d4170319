//! The model repository: what could be served and what is, loading and unloading.
//!
//! Loading is registering an archive of the model store by its name, or registering it anew if it serves already: the old
//! one answers until the new one can. Unloading is unregistering every version of a name.

use std::collections::BTreeSet;

use serving::{Model, State};

use super::Parameters;
use crate::app::App;
use crate::error::Failure;
use crate::operations::models::{self, RegisterModel};
use crate::operations::{self, health};

/// One version of something that is registered, or an archive that could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    pub name: String,
    /// Empty where it is not registered: nobody has looked inside.
    pub version: String,
    /// `READY`, `LOADING` or `UNAVAILABLE`, and `UNLOADING` for what goes.
    pub state: &'static str,
    pub reason: String,
}

/// Every version of every model and workflow, and then the archives of the store under whose names nothing is registered.
///
/// # Errors
///
/// A store that cannot be read.
pub fn index(app: &App, only_ready: bool) -> Result<Vec<IndexEntry>, Failure> {
    let registry = &app.serving.registry;
    let mut entries = Vec::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for default in registry.defaults() {
        for model in registry.versions(&default.name).unwrap_or_default() {
            taken.insert(model.name.clone());
            // What a workflow uses is free for others.
            if !model.part {
                taken.insert(model.url.clone());
            }
            entries.push(of_model(&model));
        }
    }
    for default in app.serving.workflows() {
        let versions = app.serving.workflow_versions(&default.name);
        for workflow in versions.unwrap_or_default() {
            let ready = health::is_ready(app, &workflow.name, Some(&workflow.version))?;
            entries.push(IndexEntry {
                name: workflow.name.clone(),
                version: workflow.version.clone(),
                state: if ready { "READY" } else { "UNAVAILABLE" },
                reason: String::new(),
            });
        }
    }
    if only_ready {
        entries.retain(|entry| entry.state == "READY");
        return Ok(entries);
    }
    let store = app.serving.store.list();
    let store = store.map_err(|error| Failure::internal(error.to_string()))?;
    let free = store
        .iter()
        .filter(|url| !taken.contains(*url) && !taken.contains(stem(url)));
    entries.extend(free.map(|url| IndexEntry {
        name: stem(url).to_owned(),
        version: String::new(),
        state: "UNAVAILABLE",
        reason: "not loaded".into(),
    }));
    Ok(entries)
}

fn of_model(model: &Model) -> IndexEntry {
    let status = model.pool.status();
    let state = if matches!(status.state, State::Draining | State::Unloaded) {
        "UNLOADING"
    } else if status.ready() > 0 {
        "READY"
    } else if status.loading > 0 {
        "LOADING"
    } else {
        "UNAVAILABLE"
    };
    let reason = match (&status.failure, status.wanted) {
        (Some(failure), _) => failure.to_string(),
        (None, 0) => "it has been given no workers".into(),
        (None, _) => String::new(),
    };
    IndexEntry {
        name: model.name.clone(),
        version: model.version.clone(),
        state,
        reason: if state == "READY" {
            String::new()
        } else {
            reason
        },
    }
}

/// The endings of archives, as the store knows them.
const ENDINGS: [&str; 5] = ["", ".mar", ".model", ".tar.gz", ".tgz"];

/// An archive's name without its ending.
fn stem(url: &str) -> &str {
    let mut endings = ENDINGS[1..].iter();
    endings
        .find_map(|ending| url.strip_suffix(ending))
        .unwrap_or(url)
}

/// Registers an archive of the store by its name, with at least one worker, and waits until it serves. The parameter
/// `config` may hold as JSON what a registration takes.
///
/// # Errors
///
/// A name under which the store has nothing, and whatever a registration may fail with.
pub async fn load(app: &App, name: &str, parameters: &Parameters) -> Result<(), Failure> {
    check_allowed(app)?;
    let loaded = app.serving.registry.resolve(name, None).ok();
    let config = parameters.text("config").unwrap_or("{}");
    let config = operations::Parameters::from_json(config.as_bytes())
        .map_err(|error| Failure::bad_request(format!("config: {}", error.message)))?;
    if let Some(unknown) = config.other_than(&RegisterModel::NAMES) {
        let known = RegisterModel::NAMES.join(", ");
        return Err(Failure::bad_request(format!(
            "config: `{unknown}` is not one of {known}"
        )));
    }
    let mut asked = RegisterModel::from(&config);
    if asked.url.is_none() {
        asked.url = Some(match &loaded {
            Some(model) => model.url.clone(),
            None => in_store(app, name)?,
        });
    }
    asked.name = Some(name.to_owned());
    // One that serves nobody would not be loaded.
    let workers = asked.initial_workers.unwrap_or_default();
    asked.initial_workers = Some(workers.max(default_workers(app)));
    asked.synchronous = true;
    if loaded.is_none() {
        models::register(app, asked).await?;
        return Ok(());
    }
    let registration = models::registration(app, asked)?;
    let limit = app.settings.management.unregister_timeout;
    app.serving.replace(registration, limit).await?;
    Ok(())
}

fn default_workers(app: &App) -> i64 {
    let workers = app.settings.management.initial_workers.max(1);
    i64::try_from(workers).unwrap_or(1)
}

/// What the store has under that name, whatever its ending.
fn in_store(app: &App, name: &str) -> Result<String, Failure> {
    let candidates = ENDINGS.map(|ending| format!("{name}{ending}"));
    let is_plain = !name.contains(['/', '\\']) && !name.starts_with('.');
    let mut found = candidates.into_iter();
    found
        .find(|url| is_plain && app.serving.store.contains(url))
        .ok_or_else(|| {
            let missing = serving::Error::NotInStore(format!("Model not found at: {name}"));
            missing.into()
        })
}

/// Unregisters every version of a model, or else of a workflow.
///
/// # Errors
///
/// Where there is none of that name, or what is inside does not end in time.
pub async fn unload(app: &App, name: &str) -> Result<(), Failure> {
    check_allowed(app)?;
    let default = match app.serving.registry.resolve(name, None) {
        Ok(model) => model,
        Err(missing) => return unload_workflow(app, name, missing).await,
    };
    // The default one can only go last.
    let mut versions = app.serving.registry.versions(name)?;
    versions.sort_by_key(|model| model.version == default.version);
    for model in versions {
        let version = Some(model.version.as_str());
        models::unregister(app, name, version).await?;
    }
    Ok(())
}

async fn unload_workflow(app: &App, name: &str, missing: serving::Error) -> Result<(), Failure> {
    let Ok(default) = app.serving.workflow(name, None) else {
        return Err(missing.into());
    };
    let mut versions = app.serving.workflow_versions(name)?;
    versions.sort_by_key(|workflow| workflow.version == default.version);
    for workflow in versions {
        let version = Some(workflow.version.as_str());
        app.serving.unregister_workflow(name, version).await?;
    }
    Ok(())
}

fn check_allowed(app: &App) -> Result<(), Failure> {
    if app.settings.management.enable_model_api {
        return Ok(());
    }
    Err(Failure {
        message:
            "models are not loaded and unloaded over the network here: enable_model_api is off"
                .into(),
        ..Failure::method_not_allowed()
    })
}
