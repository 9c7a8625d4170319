//! The models that are given a request as it came, by which a workflow without inputs of its own says what it takes.

use std::sync::Arc;

use dag::{Form, Kind};
use servable::Input;

use crate::Serving;
use crate::registry::Model;
use crate::workflow::{Workflow, model_name};

impl Serving {
    /// The models that a request to the workflow goes to whole; none where a function is first, or the workflow has inputs.
    pub fn first_models(&self, workflow: &Workflow) -> Vec<Arc<Model>> {
        let graph = &workflow.graph;
        if graph.form == Form::Typed {
            return Vec::new();
        }
        let first = graph.nodes.iter();
        let first = first.filter(|node| node.inputs.iter().any(|bind| bind.name.is_empty()));
        let model = |node: &dag::Node| match node.kind {
            Kind::Model { model, .. } => {
                let name = model_name(&workflow.name, &graph.models[model].name);
                let version = Some(workflow.version.as_str());
                self.registry.resolve(&name, version).ok()
            }
            Kind::Function { .. } | Kind::Foreach { .. } | Kind::Gather(_) => None,
        };
        first.map(model).collect::<Option<_>>().unwrap_or_default()
    }

    /// The parts of a request that none of those models looks at, and what is wrong with each.
    pub(crate) fn ignored_by_models(
        &self,
        workflow: &Workflow,
        input: &Input,
    ) -> Vec<(String, String)> {
        let models = self.first_models(workflow);
        let Some((first, others)) = models.split_first() else {
            return Vec::new();
        };
        let mut ignored = first.ignored(input);
        for other in others {
            let too = other.ignored(input);
            ignored.retain(|(name, _)| too.iter().any(|(also, _)| also == name));
        }
        ignored
    }

    /// Why a part of that name is of no use to the workflow; `None` where something may look at it.
    pub fn is_of_no_use(&self, workflow: &Workflow, name: &str) -> Option<String> {
        let graph = &workflow.graph;
        if !graph.inputs.is_empty() {
            return graph.unknown_input(name);
        }
        let nothing = || format!("nothing in the workflow takes `{name}`");
        let models = self.first_models(workflow);
        if models.is_empty() {
            return (!graph.reads(name)).then(nothing);
        }
        let part = servable::Part {
            name: name.to_owned(),
            content_type: String::new(),
            value: "x".into(),
        };
        let mut input = Input::body("", "x");
        input.parts.push(part);
        let mut ignored = self.ignored_by_models(workflow, &input).into_iter();
        ignored.find(|(of, _)| of == name).map(|(_, why)| why)
    }
}
