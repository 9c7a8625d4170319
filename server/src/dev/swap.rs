//! Putting a new state of a model or workflow in the place of what serves. What serves goes only when the new one is ready.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dag::Problem;
use functions::Functions;
use serving::workflow::WorkflowRegistration;
use serving::{Error, Registration, Serving};
use workbench::{Tone, excerpt};

use super::House;
use super::find::{ITSELF, Item};

/// What serves, under which name and version.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) name: String,
    pub(super) version: String,
    /// How often it has been replaced.
    changes: u64,
    /// What else in the folder it leans on: models that a workflow names.
    pub(super) needs: Vec<PathBuf>,
}

/// Why the new state does not serve. The details have been told.
#[derive(Debug)]
pub(super) enum Failure {
    Errors(usize),
    Refused,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Errors(1) => f.write_str("1 error"),
            Failure::Errors(count) => write!(f, "{count} errors"),
            Failure::Refused => f.write_str("it cannot serve"),
        }
    }
}

/// How long requests inside what is replaced are waited for; its files are needed no longer, so nothing is lost after that.
const UNLOAD: Duration = Duration::from_secs(120);

/// A model keeps the version of its manifest, however often it is replaced.
pub(super) async fn model(
    house: &House,
    item: &Item,
    live: Option<&Live>,
) -> Result<Live, Failure> {
    let path = match item.url.as_str() {
        ITSELF => house.folder.clone(),
        name => house.folder.join(name),
    };
    let url = path.display().to_string();
    let registration = Registration {
        url: url.clone(),
        at_startup: true,
        ..Registration::default()
    };
    let swapped = match live {
        None => register_model(&house.serving, registration, None).await,
        Some(live) => match opened_model(&house.serving, url).await {
            Ok(found) if found == (live.name.clone(), live.version.clone()) => {
                let replaced = house.serving.replace(registration, UNLOAD).await;
                replaced.map(|_| found)
            }
            Ok(_) => register_model(&house.serving, registration, Some(live)).await,
            Err(error) => Err(error),
        },
    };
    let (name, version) = swapped.map_err(|error| {
        house.say(Tone::Bad, &error.to_string());
        Failure::Refused
    })?;
    Ok(Live {
        name,
        version,
        changes: live.map_or(0, |live| live.changes + 1),
        needs: Vec::new(),
    })
}

/// Name and version of the model in a folder.
async fn opened_model(serving: &Arc<Serving>, url: String) -> Result<(String, String), Error> {
    let serving = Arc::clone(serving);
    let opened = tokio::task::spawn_blocking(move || serving.store.fetch(&url));
    let files = opened
        .await
        .map_err(|_| Error::InvalidModel("opening it panicked".into()))??;
    let manifest = &files.manifest().model;
    Ok((manifest.model_name.clone(), manifest.model_version.clone()))
}

/// Registers a model of a new name or version, and then takes out the one before.
async fn register_model(
    serving: &Arc<Serving>,
    registration: Registration,
    before: Option<&Live>,
) -> Result<(String, String), Error> {
    let model = serving.register(registration).await?;
    let (name, version) = (model.name.clone(), model.version.clone());
    if let Err(error) = serving.wait_for_workers(&model).await {
        let _ = serving.unregister(&name, Some(&version), UNLOAD).await;
        return Err(error);
    }
    if let Some(before) = before {
        if before.name == name {
            serving.set_default(&name, &version).await?;
        }
        let (serving, before) = (Arc::clone(serving), before.clone());
        // Its last requests hold nobody up.
        tokio::spawn(async move {
            let version = Some(before.version.as_str());
            let _ = serving.unregister(&before.name, version, UNLOAD).await;
        });
    }
    Ok((name, version))
}

/// A workflow's version counts on behind a `+` each time it is replaced: its models are registered under it, the new ones
/// while the old ones still answer.
pub(super) async fn workflow(
    house: &House,
    item: &Item,
    live: Option<&Live>,
) -> Result<Live, Failure> {
    let serving = &house.serving;
    let refused = |error: &Error| {
        house.say(Tone::Bad, &error.to_string());
        Failure::Refused
    };
    let (opening, url) = (Arc::clone(serving), item.url.clone());
    let opened =
        tokio::task::spawn_blocking(move || opening.workflow_store().fetch(&url, None)).await;
    let opened =
        opened.unwrap_or_else(|_| Err(Error::InvalidWorkflow("opening it panicked".into())));
    let files = opened.map_err(|error| refused(&error))?;
    let file = house.shown_spec(item, &files.spec_file);
    let tell = |problems: &[Problem]| {
        for problem in problems {
            house.say_painted(&excerpt(&file, &files.spec, problem, house.colour));
        }
        Failure::Errors(problems.iter().filter(|problem| problem.is_error()).count())
    };
    let checked = dag::check(&files.spec, &Functions, dag::Options::default());
    let failure = tell(&checked.problems);
    let graph = checked.graph.ok_or(failure)?;

    let stated = files.version.clone().unwrap_or_else(|| "1.0".to_owned());
    let before = live.filter(|live| live.name == files.name);
    let changes = before.map_or(0, |before| before.changes + 1);
    let version = match changes {
        0 => stated,
        changes => format!("{stated}+{changes}"),
    };
    let registration = WorkflowRegistration {
        url: Some(item.url.clone()),
        name: Some(files.name.clone()),
        version: Some(version.clone()),
        at_startup: true,
        ..WorkflowRegistration::default()
    };
    let registered = serving.register_workflow(registration).await;
    registered.map_err(|error| match &error {
        Error::InvalidGraph { problems, .. } => {
            let news: Vec<Problem> = problems
                .iter()
                .filter(|problem| !checked.problems.contains(problem))
                .cloned()
                .collect();
            tell(&news)
        }
        // One line for each model.
        Error::WorkflowFailed { failures, .. } => {
            for (model, error) in failures {
                house.say(Tone::Bad, &format!("{model}: {error}"));
            }
            Failure::Refused
        }
        other => refused(other),
    })?;
    if before.is_some() {
        let chosen = serving.set_default_workflow(&files.name, &version).await;
        chosen.map_err(|error| refused(&error))?;
    }
    if let Some(old) = live.cloned() {
        let serving = Arc::clone(serving);
        // Its last requests hold nobody up.
        tokio::spawn(async move {
            let version = Some(old.version.as_str());
            let _ = serving.unregister_workflow(&old.name, version).await;
        });
    }
    let urls = graph.models.iter().map(|model| Path::new(&model.url));
    let inside = urls.filter(|url| {
        url.components()
            .all(|part| matches!(part, Component::Normal(_)))
    });
    let needs = inside.map(|url| house.folder.join(url));
    Ok(Live {
        name: files.name.clone(),
        version,
        changes,
        needs: needs.filter(|path| path.exists()).collect(),
    })
}
