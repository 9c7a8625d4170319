//! What a start registers: the models and workflows of the snapshot, or those that the configuration names.
//!
//! As TorchServe does with models, what cannot be registered is logged and left out, and the others serve. A workflow that
//! is left out keeps the server from being ready until somebody registers it: its clients have no other server.

use std::path::Path;
use std::sync::Arc;

use serving::workflow::WorkflowRegistration;
use serving::{Registration, Serving};
use tracing::error;

use crate::config::{Config, LoadModels, ModelSource};
use crate::snapshot::{self, SnapshotModels, SnapshotWorkflows};

/// What a start came to.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Versions of models and workflows that a snapshot must not forget although they are not registered.
    pub(crate) to_keep: (SnapshotModels, SnapshotWorkflows),
    /// Workflows that should be there and are not.
    pub(crate) left_out: Vec<LeftOut>,
}

/// A workflow that could not be registered at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Where somebody gave it one; its archive may call it otherwise.
    pub name: Option<String>,
    /// Without secrets; empty where the spec came with the registration.
    pub url: String,
    pub failure: String,
}

impl LeftOut {
    /// Whether somebody has registered it since.
    pub(crate) fn is_there(&self, serving: &Serving) -> bool {
        match &self.name {
            Some(name) => serving.workflow(name, None).is_ok(),
            None => serving
                .workflows()
                .iter()
                .any(|workflow| sources::shown(&workflow.url) == self.url),
        }
    }
}

/// Registers what is to be there from the start.
pub(crate) async fn load(serving: &Arc<Serving>, config: &Config) -> anyhow::Result<Loaded> {
    let models = load_models(serving, config).await?;
    let (workflows, left_out) = match &config.workflow_snapshot {
        Some(snapshot) => snapshot::restore_workflows(serving, snapshot).await,
        None => (
            SnapshotWorkflows::default(),
            load_workflows(serving, config).await?,
        ),
    };
    Ok(Loaded {
        to_keep: (models, workflows),
        left_out,
    })
}

async fn load_models(serving: &Arc<Serving>, config: &Config) -> anyhow::Result<SnapshotModels> {
    if let Some(snapshot) = &config.model_snapshot {
        let file = config.file.as_deref().unwrap_or(Path::new(""));
        let file = file.display().to_string();
        return Ok(snapshot::restore(serving, snapshot, &file).await?);
    }
    for ModelSource { name, url } in wanted(&config.load_models, || serving.store.list())? {
        let registration = Registration {
            url: url.clone(),
            name,
            at_startup: true,
            ..Registration::default()
        };
        if let Err(failure) = serving.register(registration).await {
            error!("model {} is left out: {failure}", sources::shown(&url));
        }
    }
    Ok(SnapshotModels::default())
}

async fn load_workflows(serving: &Arc<Serving>, config: &Config) -> anyhow::Result<Vec<LeftOut>> {
    let list = || serving.workflow_store().list();
    let mut left_out = Vec::new();
    for ModelSource { name, url } in wanted(&config.load_workflows, list)? {
        let registration = WorkflowRegistration {
            url: Some(url.clone()),
            name: name.clone(),
            at_startup: true,
            ..WorkflowRegistration::default()
        };
        if let Err(failure) = serving.register_workflow(registration).await {
            let url = sources::shown(&url);
            error!("workflow {url} is left out: {failure}");
            left_out.push(LeftOut {
                name,
                url,
                failure: failure.to_string(),
            });
        }
    }
    Ok(left_out)
}

/// The urls to register, with their names where they were given some.
fn wanted<E>(
    of: &LoadModels,
    list: impl FnOnce() -> Result<Vec<String>, E>,
) -> Result<Vec<ModelSource>, E> {
    Ok(match of {
        LoadModels::None => Vec::new(),
        LoadModels::All => {
            let names = list()?.into_iter();
            names.map(|url| ModelSource { name: None, url }).collect()
        }
        LoadModels::List(sources) => sources.clone(),
    })
}
