//! A workflow as TorchServe describes it, and what there is to say beyond that.

use dag::Form;
use serde_json::{Value, json};
use serving::workflow::Workflow;

use super::graph;

/// TorchServe's members first. Its numbers are those at the top of `models:`, for models that say nothing of their own.
pub(crate) fn of(workflow: &Workflow) -> Value {
    let defaults = workflow.summary.defaults;
    let dag = match workflow.graph.form {
        Form::Classic => java(&workflow.summary.dag),
        Form::Typed => java(&followers(workflow)),
    };
    json!({
        "workflowName": workflow.name,
        "workflowUrl": workflow.url,
        "minWorkers": defaults.min_workers,
        "maxWorkers": defaults.max_workers,
        "batchSize": defaults.batch_size,
        "maxBatchDelay": defaults.max_batch_delay,
        "workflowDag": dag,
        "description": workflow.summary.description,
        "workflowVersion": workflow.version,
        "loadedAtStartup": workflow.registration.at_startup,
        "warnings": warnings(workflow),
        "nodes": graph::nodes(workflow),
    })
}

/// What is worth knowing about the spec, a line each.
pub(crate) fn warnings(workflow: &Workflow) -> Vec<Value> {
    let warnings = workflow.warnings.iter();
    warnings
        .map(|problem| Value::from(problem.to_string()))
        .collect()
}

/// The `dag` of a spec as Java's collections print themselves: `{pre=[m1, fa], m1=[post]}`.
fn java(dag: &[(String, Vec<String>)]) -> String {
    let members = dag.iter();
    let members = members.map(|(node, next)| format!("{node}=[{}]", next.join(", ")));
    format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
}

/// The same of a typed graph, which is not written that way round.
fn followers(workflow: &Workflow) -> Vec<(String, Vec<String>)> {
    let edges = graph::edges(&workflow.graph);
    let nodes = workflow.graph.nodes.iter().enumerate();
    let followers = nodes.map(|(index, node)| {
        let after = edges.iter().filter(|(from, _)| from.0 == index);
        let after = after.map(|(_, to)| workflow.graph.node(*to).name.clone());
        (node.name.clone(), after.collect::<Vec<_>>())
    });
    followers.filter(|(_, after)| !after.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dag_is_told_as_java_prints_it() {
        let node = |name: &str, next: &[&str]| {
            let next = next.iter().map(|name| (*name).to_owned());
            (name.to_owned(), next.collect())
        };
        let dag = [
            node("pre", &["m1", "fa"]),
            node("m1", &["post"]),
            node("post", &[]),
        ];
        assert_eq!(java(&dag), "{pre=[m1, fa], m1=[post], post=[]}");
        assert_eq!(java(&[]), "{}");
    }
}
