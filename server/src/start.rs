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
use crate::missing::{MissingWorkflow, MissingWorkflows};
use crate::snapshot::{self, LeftOut};

/// What a start could not register: of a snapshot, what must not be forgotten; and workflows that should be there.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    pub(crate) models: LeftOut,
    pub(crate) workflows: MissingWorkflows,
}

/// Registers what is to be there from the start.
pub(crate) async fn load(serving: &Arc<Serving>, config: &Config) -> anyhow::Result<Loaded> {
    let models = load_models(serving, config).await?;
    let workflows = match &config.workflow_snapshot {
        Some(snapshot) => snapshot::restore_workflows(serving, snapshot).await,
        None => load_workflows(serving, config).await?,
    };
    Ok(Loaded { models, workflows })
}

async fn load_models(serving: &Arc<Serving>, config: &Config) -> anyhow::Result<LeftOut> {
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
    Ok(LeftOut::default())
}

async fn load_workflows(
    serving: &Arc<Serving>,
    config: &Config,
) -> anyhow::Result<MissingWorkflows> {
    let list = || serving.workflow_store().list();
    let missing = MissingWorkflows::default();
    for ModelSource { name, url } in wanted(&config.load_workflows, list)? {
        let registration = WorkflowRegistration {
            url: Some(url.clone()),
            name: name.clone(),
            at_startup: true,
            ..WorkflowRegistration::default()
        };
        if let Err(failure) = serving.register_workflow(registration).await {
            let shown = sources::shown(&url);
            let why = failure.to_string().replace(&url, &shown);
            error!("workflow {shown} is left out: {why}");
            missing.add(MissingWorkflow {
                name,
                url: shown,
                why,
                kept: None,
            });
        }
    }
    Ok(missing)
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
