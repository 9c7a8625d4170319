//! Functions of the archive's handler file: however many nodes call, they are one model, whose workers have them all.

use std::sync::Arc;
use std::time::Duration;

use super::Python;
use super::nodes::milliseconds;
use crate::graph::{Kind, Model, Node, Place};
use crate::spec::Spec;

impl Python<'_> {
    pub(super) fn defines(&self, name: &str) -> bool {
        self.functions.iter().any(|function| function == name)
    }

    /// What the model is called. No function has such a name, for the dot in it.
    fn model(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or(self.file)
    }
}

/// A call of a function of the handler file, which has it by then among those that its model runs; `None` where it defines no
/// such function. As in TorchServe there is one worker, and no batch.
pub(super) fn call(
    python: Option<Python<'_>>,
    function: &str,
    place: Place,
    models: &mut Vec<Model>,
) -> Option<Kind> {
    let python = python.filter(|python| python.defines(function))?;
    let known = models.iter().position(|model| !model.functions.is_empty());
    let index = known.unwrap_or(models.len());
    if known.is_none() {
        models.push(Model {
            name: python.model().to_owned(),
            place,
            url: python.file.to_owned(),
            min_workers: 1,
            max_workers: 1,
            batch_size: 1,
            max_batch_delay: Duration::ZERO,
            functions: Vec::new(),
        });
    }
    let functions = &mut models[index].functions;
    if !functions.iter().any(|known| known == function) {
        functions.push(function.to_owned());
    }
    Some(Kind::Model {
        model: index,
        together: false,
        function: Some(Arc::from(function)),
    })
}

/// A node with the attempts and the time limit that the spec has above all models.
pub(super) fn within(mut node: Node, spec: &Spec) -> Node {
    node.retry_attempts = spec.defaults.retry_attempts;
    node.timeout = Some(milliseconds(spec.defaults.timeout_ms));
    node
}

/// What to say of Python beside a name that nothing has.
pub(super) fn told(python: Option<Python<'_>>) -> String {
    match python {
        Some(python) => format!("{} defines no function of that name", python.file),
        None => "there is no handler file that could define it".to_owned(),
    }
}
