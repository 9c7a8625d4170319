//! A workflow as TorchServe describes it, and what there is to say beyond that.

use serde_json::{Value, json};
use serde_yaml::Value as Yaml;
use serving::workflow::Workflow;

use super::{graph, node_name};

/// TorchServe's members first. Its numbers are those at the top of `models:`, for models that say nothing of their own.
pub(super) fn of(workflow: &Workflow) -> Value {
    let spec: Yaml = serde_yaml::from_str(&workflow.spec).unwrap_or_default();
    let number = |key: &str, default: u64| {
        let set = spec.get("models").and_then(|models| models.get(key));
        set.and_then(Yaml::as_u64).unwrap_or(default)
    };
    let dag = spec.get("dag").map(java);
    json!({
        "workflowName": workflow.name,
        "workflowUrl": workflow.url,
        "minWorkers": number("min-workers", 1),
        "maxWorkers": number("max-workers", 1),
        "batchSize": number("batch-size", 1),
        "maxBatchDelay": number("max-batch-delay", 50),
        "workflowDag": dag.unwrap_or_else(|| java_of_graph(workflow)),
        "workflowVersion": workflow.version,
        "loadedAtStartup": workflow.registration.at_startup,
        "warnings": warnings(workflow),
        "nodes": graph::nodes(workflow),
    })
}

/// What is worth knowing about the spec, a line each.
pub(super) fn warnings(workflow: &Workflow) -> Vec<Value> {
    let warnings = workflow.warnings.iter();
    warnings
        .map(|problem| Value::from(problem.to_string()))
        .collect()
}

/// A value as Java's collections print themselves: `{pre=[m1, fa], m1=[post]}`.
fn java(value: &Yaml) -> String {
    match value {
        Yaml::Null => "null".into(),
        Yaml::Bool(flag) => flag.to_string(),
        Yaml::Number(number) => number.to_string(),
        Yaml::String(text) => text.clone(),
        Yaml::Sequence(items) => {
            let items: Vec<String> = items.iter().map(java).collect();
            format!("[{}]", items.join(", "))
        }
        Yaml::Mapping(members) => {
            let members = members.iter();
            let members = members.map(|(key, value)| format!("{}={}", java(key), java(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Yaml::Tagged(tagged) => java(&tagged.value),
    }
}

/// The same of a typed graph, which is not written that way round.
fn java_of_graph(workflow: &Workflow) -> String {
    let edges = graph::edges(&workflow.graph);
    let nodes = workflow.graph.nodes.iter().enumerate();
    let members = nodes.filter_map(|(index, node)| {
        let followers = edges.iter().filter(|(from, _)| from.0 == index);
        let followers: Vec<&str> = followers.map(|(_, to)| node_name(workflow, *to)).collect();
        (!followers.is_empty()).then(|| format!("{}=[{}]", node.name, followers.join(", ")))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dag_is_told_as_java_prints_it() {
        let check = |yaml: &str, expected: &str| {
            let value: Yaml = serde_yaml::from_str(yaml).expect("YAML");
            assert_eq!(java(&value), expected, "{yaml}");
        };
        check(
            "pre: [m1, fa]\nm1: [post]\nfa: [post]\n",
            "{pre=[m1, fa], m1=[post], fa=[post]}",
        );
        check("a: [b, '']\nb:\nc: []\n", "{a=[b, ], b=null, c=[]}");
    }
}
