//! Who answers to a name: a model, or else a workflow.

use std::sync::Arc;
use std::time::Duration;

use dag::Giver;
use servable::{Input, Output, Ports, Type};
use serving::workflow::{RunOptions, Workflow};
use serving::{Error, Model};

use crate::app::App;
use crate::envelope::{self, Envelope};

/// A model or a workflow that was found.
pub(super) enum Target {
    Model(Arc<Model>),
    Workflow(Arc<Workflow>),
}

/// One input, as far as it is known.
pub(super) struct Wanted<'t> {
    pub(super) name: &'t str,
    pub(super) of: &'t Type,
    /// Whether a request without it is certainly refused.
    pub(super) is_required: bool,
}

impl Target {
    /// The model of that name, or the workflow if there is no such model.
    pub(super) fn find(app: &App, name: &str, version: Option<&str>) -> Result<Self, Error> {
        match app.serving.registry.resolve(name, version) {
            Ok(model) => Ok(Target::Model(model)),
            Err(missing @ Error::ModelNotFound(_)) => match app.serving.workflow(name, version) {
                Ok(workflow) => Ok(Target::Workflow(workflow)),
                Err(Error::WorkflowNotFound(_)) => Err(missing),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Target::Model(model) => &model.name,
            Target::Workflow(workflow) => &workflow.name,
        }
    }

    pub(super) fn version(&self) -> &str {
        match self {
            Target::Model(model) => &model.version,
            Target::Workflow(workflow) => &workflow.version,
        }
    }

    /// What it is, in the words of a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Target::Model(_) => "model",
            Target::Workflow(_) => "workflow",
        }
    }

    /// Its inputs. Empty where nobody knows them: whatever comes goes.
    pub(super) fn inputs(&self) -> Vec<Wanted<'_>> {
        match self {
            Target::Model(model) => {
                let inputs = &model.signature.inputs;
                let wanted = inputs.iter().map(|field| Wanted {
                    name: &field.name,
                    of: &field.of,
                    // Of several, the handler knows which it can do without.
                    is_required: inputs.len() == 1,
                });
                wanted.collect()
            }
            Target::Workflow(workflow) => {
                let of_client = |entry: &&dag::Entry| entry.from == Giver::Request;
                let entries = workflow.graph.inputs.iter().filter(of_client);
                let wanted = entries.map(|entry| Wanted {
                    name: &entry.name,
                    of: &entry.of,
                    is_required: entry.is_required(),
                });
                wanted.collect()
            }
        }
    }

    pub(super) fn output(&self) -> Type {
        match self {
            Target::Model(model) => model.signature.output.clone(),
            Target::Workflow(workflow) => {
                let answer = workflow.graph.answers.first();
                answer.map_or(Type::Any, |answer| answer.pick.output(&workflow.graph))
            }
        }
    }

    /// What is known of it as tensors by now.
    pub(super) fn ports(&self) -> Ports {
        match self {
            Target::Model(model) => model.signature().ports,
            Target::Workflow(_) => Ports::default(),
        }
    }

    /// The names of the classes that it tells apart; empty where it has none.
    pub(super) fn labels(&self) -> &[String] {
        match self {
            Target::Model(model) => &model.labels,
            Target::Workflow(_) => &[],
        }
    }

    /// Whether it stands in TorchServe's envelope for this protocol, whose clients name inputs as they like.
    pub(super) fn is_enveloped(&self, app: &App) -> bool {
        match self {
            Target::Model(model) => envelope::of(app, model) == Some(Envelope::Kservev2),
            Target::Workflow(_) => false,
        }
    }

    /// Asks it.
    pub(super) async fn ask(
        &self,
        app: &App,
        version: Option<&str>,
        input: Input,
        patience: Option<Duration>,
    ) -> Result<Output, Error> {
        match self {
            Target::Model(model) => {
                let name = &model.name;
                app.serving.predict(name, version, input, patience).await
            }
            Target::Workflow(workflow) => {
                let options = RunOptions {
                    patience,
                    ..RunOptions::default()
                };
                let name = &workflow.name;
                let reply = app
                    .serving
                    .run_workflow(name, version, input, options)
                    .await?;
                Ok(reply.output)
            }
        }
    }
}
