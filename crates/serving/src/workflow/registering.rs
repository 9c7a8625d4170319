//! Registering workflows, and taking them out.
//!
//! Whoever asks may go away meanwhile: what was begun is brought to its end, so that a workflow is there with all its models
//! or not at all.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archive::WorkflowFiles;
use dag::{Checked, Facts, Graph, Plan, Problem};
use futures_util::future::join_all;
use servable::JobError;
use tracing::{info, warn};

use crate::error::Error;
use crate::registry::Model;
use crate::settings::Wishes;
use crate::source::{Brought, SourceOptions, has_scheme};
use crate::statistics::WorkflowCounters;
use crate::workflow::live::Live;
use crate::workflow::{Workflow, WorkflowRegistration, check, model_name, own};
use crate::{Registration, Serving};

/// The version of a workflow that names none.
const VERSION: &str = "1.0";

/// How long the models of a workflow that is taken out are waited for.
const UNLOAD: Duration = Duration::from_secs(120);

impl Serving {
    /// Opens and checks a spec, registers its models and waits for their workers, and then has it answer requests. If
    /// anything fails, nothing of it stays.
    pub async fn register_workflow(
        self: &Arc<Self>,
        registration: WorkflowRegistration,
    ) -> Result<Arc<Workflow>, Error> {
        let this = Arc::clone(self);
        let task = tokio::spawn(async move { this.register_workflow_whole(registration).await });
        task.await
            .unwrap_or_else(|_| Err(Error::InvalidWorkflow("registering it panicked".into())))
    }

    /// Takes a version out, and then its models, when what is inside them is done. It is gone for new requests at once.
    pub async fn unregister_workflow(
        self: &Arc<Self>,
        name: &str,
        version: Option<&str>,
    ) -> Result<(), Error> {
        let workflow = self.workflows.remove(name, version)?;
        info!(
            workflow = workflow.name,
            version = workflow.version,
            "unregistered"
        );
        let this = Arc::clone(self);
        let task = tokio::spawn(async move {
            let brought = workflow
                .brought
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let _ = tokio::task::spawn_blocking(move || drop(brought)).await;
            this.take_back(&workflow.name, &workflow.version, names(&workflow.graph))
                .await;
            this.changed().await;
        });
        // A panic there has been logged, and the workflow is gone all the same.
        let _ = task.await;
        Ok(())
    }

    /// The named version of a workflow, or its default one.
    pub fn workflow(&self, name: &str, version: Option<&str>) -> Result<Arc<Workflow>, Error> {
        self.workflows.resolve(name, version)
    }

    /// The default version of every workflow, by name.
    pub fn workflows(&self) -> Vec<Arc<Workflow>> {
        self.workflows.defaults()
    }

    /// Every version of a workflow.
    pub fn workflow_versions(&self, name: &str) -> Result<Vec<Arc<Workflow>>, Error> {
        self.workflows.versions(name)
    }

    /// Makes a version the one that answers requests which name none.
    pub async fn set_default_workflow(&self, name: &str, version: &str) -> Result<(), Error> {
        self.workflows.set_default(name, version)?;
        let workflow = self.workflows.resolve(name, Some(version))?;
        for model in &workflow.graph.models {
            // One that somebody has taken out has no default.
            let _ = self
                .registry
                .set_default(&workflow.model_name(&model.name), version);
        }
        self.changed().await;
        Ok(())
    }

    async fn register_workflow_whole(
        self: &Arc<Self>,
        registration: WorkflowRegistration,
    ) -> Result<Arc<Workflow>, Error> {
        let (files, brought) = self.open_workflow(&registration).await?;
        let name = files.name.clone();
        check_name(&name)?;
        let version = registration
            .version
            .clone()
            .or_else(|| files.version.clone());
        let version = version.unwrap_or_else(|| VERSION.into());
        self.workflows.check_free(&name, &version)?;
        let Checked {
            graph,
            mut problems,
            summary,
        } = check(&files, self.functions.catalogue.as_ref());
        let refused = |problems: &[Problem]| Error::InvalidGraph {
            file: files.spec_file.clone(),
            problems: problems.to_vec(),
        };
        let Some(mut graph) = graph else {
            return Err(refused(&problems));
        };
        let models = match self
            .register_models(&name, &version, &graph, &files, &registration)
            .await
        {
            Ok(models) => models,
            Err(error) => {
                // Whoever registers the same at the same time may have come first.
                self.workflows.check_free(&name, &version)?;
                return Err(error);
            }
        };
        problems.extend(graph.learn(|node| {
            let model = models.iter().find(|(of, _)| of == node);
            model.map_or_else(Facts::default, |(_, model)| Facts {
                signature: model.signature.clone(),
                merges: model.merges(),
            })
        }));
        if problems.iter().any(Problem::is_error) {
            self.take_back(&name, &version, names(&graph)).await;
            return Err(refused(&problems));
        }
        for warning in &problems {
            warn!(workflow = name, "{}:{warning}", files.spec_file);
        }
        let graph = Arc::new(graph);
        let answers = 0..graph.answers.len();
        let plans = answers.map(|answer| Arc::new(Plan::new(Arc::clone(&graph), answer)));
        let node_names = graph.nodes.iter().map(|node| node.name.as_str());
        let workflow = Arc::new(Workflow {
            url: registration.url.clone().unwrap_or_default(),
            spec: files.spec.clone(),
            plans: plans.collect(),
            whole: Arc::new(Plan::whole(Arc::clone(&graph))),
            live: Live::new(&graph),
            statistics: WorkflowCounters::default(),
            metrics: self.metrics.for_workflow(&name, node_names),
            functions: self.functions.clone(),
            warnings: problems,
            summary,
            graph: Arc::clone(&graph),
            name,
            version,
            registration,
            brought: Mutex::new(brought),
            _files: files,
        });
        if let Err(error) = self.workflows.insert(Arc::clone(&workflow)) {
            self.take_back(&workflow.name, &workflow.version, names(&graph))
                .await;
            return Err(error);
        }
        info!(
            workflow = workflow.name,
            version = workflow.version,
            nodes = graph.nodes.len(),
            models = graph.models.len(),
            "registered"
        );
        self.changed().await;
        Ok(workflow)
    }

    async fn open_workflow(
        self: &Arc<Self>,
        registration: &WorkflowRegistration,
    ) -> Result<(WorkflowFiles, Option<Brought>), Error> {
        let given = registration.name.clone().filter(|name| !name.is_empty());
        if let Some(spec) = &registration.spec {
            let catalogue = self.functions.catalogue.as_ref();
            let own = || {
                dag::check(spec, catalogue, dag::Options::default())
                    .summary
                    .name
            };
            let name = given.or_else(own);
            let name =
                name.ok_or_else(|| Error::InvalidWorkflow("Workflow name is not defined.".into()))?;
            return Ok((WorkflowFiles::inline(name, spec.clone()), None));
        }
        let url = registration.url.clone().filter(|url| !url.is_empty());
        let url = url.ok_or_else(|| Error::InvalidWorkflow("Parameter url is required.".into()))?;
        let brought = if has_scheme(&url) {
            let options = SourceOptions {
                s3_sse_kms: registration.s3_sse_kms,
                at_startup: registration.at_startup,
            };
            Some(self.workflow_source.bring(&url, options).await?)
        } else {
            None
        };
        let place = brought.as_ref().map_or(&url[..], Brought::name).to_owned();
        let this = Arc::clone(self);
        let opened = tokio::task::spawn_blocking(move || {
            this.workflow_store.fetch(&place, given.as_deref())
        });
        let opened = opened.await;
        let files =
            opened.map_err(|_| Error::InvalidWorkflow(format!("{url}: opening it panicked")))??;
        Ok((files, brought))
    }

    /// Registers every model of a graph and waits for all workers. What fails is told together.
    async fn register_models(
        self: &Arc<Self>,
        workflow: &str,
        version: &str,
        graph: &Graph,
        files: &WorkflowFiles,
        registration: &WorkflowRegistration,
    ) -> Result<Vec<(String, Arc<Model>)>, Error> {
        let register = graph.used_models().map(|model| async move {
            let wishes = Wishes {
                // TorchServe starts as many as may be.
                workers: Some(model.max_workers),
                max_workers: Some(model.max_workers),
                batch_size: NonZeroUsize::new(model.batch_size),
                max_batch_delay: Some(model.max_batch_delay),
                response_timeout: registration.response_timeout,
                startup_timeout: registration.startup_timeout,
                ..Wishes::default()
            };
            let (place, handler) = match source(files, model) {
                Ok(source) => source,
                Err(error) => return (model.name.clone(), None, Err(error)),
            };
            let asked = Registration {
                place,
                hidden: handler.is_some(),
                handler,
                url: model.url.clone(),
                name: Some(model_name(workflow, &model.name)),
                version: Some(version.to_owned()),
                wishes,
                s3_sse_kms: registration.s3_sse_kms,
                part: true,
                at_startup: registration.at_startup,
                ..Registration::default()
            };
            let (part, outcome) = match self.register_part(asked, None).await {
                Ok(part) => {
                    let outcome = self.wait_for_workers(&part).await;
                    (Some(part), outcome)
                }
                Err(error) => (None, Err(error)),
            };
            (model.name.clone(), part, outcome)
        });
        let mut models = Vec::new();
        let mut failures = Vec::new();
        for (node, part, outcome) in join_all(register).await {
            if let Err(error) = outcome {
                failures.push((model_name(workflow, &node), error));
            }
            models.extend(part.map(|part| (node, part)));
        }
        if failures.is_empty() {
            return Ok(models);
        }
        // None but these: a model of that name that was there before is somebody else's.
        let names = models.iter().map(|(node, _)| node.as_str());
        self.take_back(workflow, version, names).await;
        Err(Error::WorkflowFailed {
            workflow: workflow.to_owned(),
            failures,
        })
    }

    /// Takes out these models of a workflow, as far as they are there.
    async fn take_back(&self, workflow: &str, version: &str, models: impl Iterator<Item = &str>) {
        let parts = models.map(|model| async move {
            let name = model_name(workflow, model);
            // Somebody may have taken it out through the management API, or it never came in.
            if let Ok(model) = self.registry.remove(&name, Some(version)) {
                let _ = self.unload(&model, UNLOAD).await;
            }
        });
        join_all(parts).await;
    }
}

/// Where a model of the workflow lies, if not in the model store, and its handler, if its archive does not name that. Functions
/// in Python are the workflow's own folder, with their file for a handler.
fn source(
    files: &WorkflowFiles,
    model: &dag::Model,
) -> Result<(Option<PathBuf>, Option<String>), Error> {
    if model.functions.is_empty() {
        return Ok((own::find(files, &model.url)?, None));
    }
    let functions = model.functions.join(",");
    Ok((
        files.dir.clone(),
        Some(format!("{}:{functions}", model.url)),
    ))
}

/// Names are segments of paths, of urls and of files, and stand in tables.
fn check_name(name: &str) -> Result<(), Error> {
    let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | ' ');
    if name.len() <= 128 && name.chars().all(fits) && !name.trim_matches(['.', ' ']).is_empty() {
        return Ok(());
    }
    Err(Error::Job(JobError::bad_input(format!(
        "workflow name {name:?}: expected at most 128 letters, digits, `_`, `-`, `.` and spaces, and more than dots"
    ))))
}

/// Of its models.
fn names(graph: &Graph) -> impl Iterator<Item = &str> {
    graph.models.iter().map(|model| model.name.as_str())
}
