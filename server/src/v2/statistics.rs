//! How often each version of a model was asked, and what that took.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serving::{Model, Tally};

use crate::app::App;
use crate::error::Failure;

/// Of one version of a model, since it was registered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelStatistics {
    pub name: String,
    pub version: String,
    /// When the last request was answered.
    pub last_inference: Option<SystemTime>,
    /// Requests that were answered well.
    pub inferences: u64,
    /// Batches in which that was.
    pub executions: u64,
    /// From arrival to answer.
    pub success: Spent,
    pub fail: Spent,
    /// Waiting for a worker.
    pub queue: Spent,
    /// Before the network, in it and after it. Where nobody can tell them apart, all of it is the network's.
    pub input: Spent,
    pub infer: Spent,
    pub output: Spent,
    /// By the number of requests in a batch.
    pub batches: Vec<BatchStatistics>,
}

/// Batches of one size.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchStatistics {
    pub size: u64,
    pub input: Spent,
    pub infer: Spent,
    pub output: Spent,
}

/// How often, and how long in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    pub count: u64,
    pub time: Duration,
}

/// Of one version, of all versions of a model, or of every model.
///
/// # Errors
///
/// Where there is no such model or version. A workflow has none: its nodes' models have.
pub fn statistics(
    app: &App,
    name: Option<&str>,
    version: Option<&str>,
) -> Result<Vec<ModelStatistics>, Failure> {
    let registry = &app.serving.registry;
    let models: Vec<Arc<Model>> = match (name, version) {
        (Some(name), Some(version)) => vec![registry.resolve(name, Some(version))?],
        (Some(name), None) => registry.versions(name)?,
        (None, _) => {
            let defaults = registry.defaults();
            // One that has gone since has no versions.
            let versions = defaults
                .iter()
                .filter_map(|model| registry.versions(&model.name).ok());
            versions.flatten().collect()
        }
    };
    Ok(models.iter().map(|model| of(model)).collect())
}

fn of(model: &Model) -> ModelStatistics {
    let counted = model.statistics();
    let batches = counted.batches.iter().map(|batch| {
        let count = batch.executions;
        let spent = |time| Spent { count, time };
        BatchStatistics {
            size: batch.size as u64,
            input: spent(batch.input),
            infer: spent(batch.infer),
            output: spent(batch.output),
        }
    });
    ModelStatistics {
        name: model.name.clone(),
        version: model.version.clone(),
        last_inference: counted.last_inference,
        inferences: counted.succeeded.count,
        executions: counted.executions,
        success: counted.succeeded.into(),
        fail: counted.failed.into(),
        queue: counted.queue.into(),
        input: counted.input.into(),
        infer: counted.infer.into(),
        output: counted.output.into(),
        batches: batches.collect(),
    }
}

impl From<Tally> for Spent {
    fn from(tally: Tally) -> Self {
        Spent {
            count: tally.count,
            time: tally.time,
        }
    }
}
