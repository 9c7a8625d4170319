//! Functions in Python of a workflow, as they are asked for one by one: under TorchServe's names, although they share a model.

use std::sync::Arc;

use crate::Serving;
use crate::registry::Model;
use crate::workflow::Workflow;

impl Serving {
    /// The model that runs the function which TorchServe registers under that name, `workflow__function`; of the workflow's
    /// default version, where none is named.
    pub fn model_of_function(&self, name: &str, version: Option<&str>) -> Option<Arc<Model>> {
        let workflows = self.workflows.defaults();
        workflows.iter().find_map(|workflow| {
            let function = name.strip_prefix(&workflow.name)?.strip_prefix("__")?;
            let workflow = self.workflows.resolve(&workflow.name, version).ok()?;
            let model = runs(&workflow, function)?;
            let version = Some(workflow.version.as_str());
            self.registry.resolve(&model, version).ok()
        })
    }
}

/// The name of the model that runs a function.
fn runs(workflow: &Workflow, function: &str) -> Option<String> {
    let mut models = workflow.graph.models.iter();
    let has_it = |model: &&dag::Model| model.functions.iter().any(|known| known == function);
    let model = models.find(has_it)?;
    Some(workflow.model_name(&model.name))
}
