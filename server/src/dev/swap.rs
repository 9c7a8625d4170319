//! Putting a new state of a model or workflow in the place of what serves. What serves goes only when the new one is ready.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use archive::WorkflowFiles;
use dag::{Graph, Problem};
use functions::Functions;
use serving::workflow::WorkflowRegistration;
use serving::{Error, Registration, Serving};
use tokio::task::spawn_blocking;
use workbench::{Tone, excerpt};

use super::House;
use super::find::{ITSELF, Item, Kind};

/// What serves, under which name and version.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) name: String,
    pub(super) version: String,
    /// How often it has been replaced.
    changes: u64,
}

/// A workflow whose spec is sound, as far as it can say by itself.
pub(super) struct Spec {
    files: WorkflowFiles,
    graph: Graph,
    /// What it was warned of, which has been told.
    problems: Vec<Problem>,
    /// Of its file, for messages.
    file: String,
    folder: PathBuf,
}

impl Spec {
    /// Where in the folder its models would lie, of those that its own folder does not have.
    pub(super) fn needs(&self) -> Vec<PathBuf> {
        let models = self.graph.models.iter();
        let models = models.filter(|model| model.functions.is_empty());
        let urls = models.map(|model| Path::new(&model.url));
        let goes_down = |part: Component<'_>| matches!(part, Component::Normal(_));
        urls.filter(|url| url.components().all(goes_down))
            .map(|url| self.folder.join(url))
            .collect()
    }
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

/// The same where a debugger sits at one of them, which may be for hours.
const DEBUGGED: Duration = Duration::from_secs(2);

/// Ends what serves, before anything takes its place.
pub(super) async fn take_out(house: &House, kind: Kind, live: &Live) {
    let (serving, version) = (&house.serving, Some(live.version.as_str()));
    let gone = match kind {
        Kind::Model => serving.unregister(&live.name, version, DEBUGGED).await,
        Kind::Workflow => serving.unregister_workflow(&live.name, version).await,
    };
    if let Err(error) = gone {
        house.say(Tone::Warn, &error.to_string());
    }
}

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
    let (name, version) = swapped.map_err(|error| refused(house, &error))?;
    Ok(Live {
        name,
        version,
        changes: live.map_or(0, |live| live.changes + 1),
    })
}

/// Name and version of the model in a folder.
async fn opened_model(serving: &Arc<Serving>, url: String) -> Result<(String, String), Error> {
    let serving = Arc::clone(serving);
    let opened = spawn_blocking(move || serving.store.fetch(&url));
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

/// Opens and checks a workflow's spec.
pub(super) async fn read(house: &House, item: &Item) -> Result<Spec, Failure> {
    let (serving, url) = (Arc::clone(&house.serving), item.url.clone());
    let opened = spawn_blocking(move || serving.workflow_store().fetch(&url, None)).await;
    let opened =
        opened.unwrap_or_else(|_| Err(Error::InvalidWorkflow("opening it panicked".into())));
    let files = opened.map_err(|error| refused(house, &error))?;
    let file = house.shown_spec(item, &files.spec_file);
    let checked = serving::workflow::check(&files, &Functions::default());
    let failure = tell(house, &file, &files.spec, &checked.problems);
    Ok(Spec {
        graph: checked.graph.ok_or(failure)?,
        problems: checked.problems,
        files,
        file,
        folder: house.folder.clone(),
    })
}

/// A workflow's version counts on behind a `+` each time it is replaced: its models are registered under it, the new ones
/// while the old ones still answer.
pub(super) async fn workflow(
    house: &House,
    item: &Item,
    spec: Spec,
    live: Option<&Live>,
) -> Result<Live, Failure> {
    let serving = &house.serving;
    let name = &spec.files.name;
    let stated = spec
        .files
        .version
        .clone()
        .unwrap_or_else(|| "1.0".to_owned());
    let before = live.filter(|live| live.name == *name);
    let changes = before.map_or(0, |before| before.changes + 1);
    let version = match changes {
        0 => stated,
        changes => format!("{stated}+{changes}"),
    };
    let registration = WorkflowRegistration {
        url: Some(item.url.clone()),
        name: Some(name.clone()),
        version: Some(version.clone()),
        at_startup: true,
        ..WorkflowRegistration::default()
    };
    let registered = serving.register_workflow(registration).await;
    registered.map_err(|error| {
        if let Error::InvalidGraph { problems, .. } = &error {
            let is_new = |problem: &&Problem| !spec.problems.contains(problem);
            let news: Vec<Problem> = problems.iter().filter(is_new).cloned().collect();
            return tell(house, &spec.file, &spec.files.spec, &news);
        }
        let Error::WorkflowFailed { failures, .. } = &error else {
            return refused(house, &error);
        };
        // One line for each model.
        for (model, error) in failures {
            house.say(Tone::Bad, &format!("{model}: {error}"));
        }
        Failure::Refused
    })?;
    if before.is_some() {
        let chosen = serving.set_default_workflow(name, &version).await;
        chosen.map_err(|error| refused(house, &error))?;
    }
    if let Some(old) = live.cloned() {
        let serving = Arc::clone(serving);
        // Its last requests hold nobody up.
        tokio::spawn(async move {
            let version = Some(old.version.as_str());
            let _ = serving.unregister_workflow(&old.name, version).await;
        });
    }
    Ok(Live {
        name: name.clone(),
        version,
        changes,
    })
}

fn tell(house: &House, file: &str, spec: &str, problems: &[Problem]) -> Failure {
    for problem in problems {
        house.say_painted(&excerpt(file, spec, problem, house.colour));
    }
    Failure::Errors(problems.iter().filter(|problem| problem.is_error()).count())
}

fn refused(house: &House, error: &Error) -> Failure {
    house.say(Tone::Bad, &error.to_string());
    Failure::Refused
}
