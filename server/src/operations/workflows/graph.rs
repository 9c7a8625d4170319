//! The checked graph of a workflow as a document, with what each node has done so far, and as a picture.

use dag::{Form, Graph, Kind, Node, NodeId, Notes, OnError, Overflow, Pick, Source};
use serde_json::{Map, Value, json};
use serving::workflow::{NodeNumbers, Workflow};

/// The whole graph.
pub(crate) fn of(workflow: &Workflow) -> Value {
    let graph = &workflow.graph;
    let name = |node: NodeId| graph.node(node).name.as_str();
    let inputs = graph.inputs.iter().map(|entry| {
        let mut members = Map::new();
        members.insert("name".into(), json!(entry.name));
        members.insert("type".into(), json!(entry.of.to_string()));
        members.insert("required".into(), json!(entry.is_required()));
        if !entry.given.about.is_empty() {
            members.insert("about".into(), json!(entry.given.about));
        }
        Value::Object(members)
    });
    let models = graph.models.iter().map(|model| {
        json!({
            "name": model.name,
            "registeredAs": workflow.model_name(&model.name),
            "url": model.url,
            "minWorkers": model.min_workers,
            "maxWorkers": model.max_workers,
            "batchSize": model.batch_size,
            "maxBatchDelay": millis(model.max_batch_delay),
        })
    });
    let edges = edges(graph);
    let edges = edges
        .iter()
        .map(|(from, to)| json!([name(*from), name(*to)]));
    let answers = graph.answers.iter().map(|answer| {
        let pick = match &answer.pick {
            Pick::One(source) => reference(graph, source),
            Pick::Named(members) => {
                let members = members.iter();
                members
                    .map(|(name, source)| (name.clone(), reference(graph, source)))
                    .collect::<Map<_, _>>()
                    .into()
            }
        };
        json!({ "contentType": answer.content_type, "output": pick })
    });
    json!({
        "workflowName": workflow.name,
        "workflowVersion": workflow.version,
        "form": match graph.form {
            Form::Classic => "classic",
            Form::Typed => "typed",
        },
        "inputs": inputs.collect::<Vec<_>>(),
        "models": models.collect::<Vec<_>>(),
        "nodes": nodes(workflow),
        "edges": edges.collect::<Vec<_>>(),
        "answers": answers.collect::<Vec<_>>(),
    })
}

/// The nodes alone, each after what it needs.
pub(crate) fn nodes(workflow: &Workflow) -> Vec<Value> {
    let numbers = workflow.live();
    let nodes = workflow.graph.nodes.iter().zip(numbers);
    nodes
        .map(|(node, numbers)| of_node(workflow, node, &numbers))
        .collect()
}

fn of_node(workflow: &Workflow, node: &Node, numbers: &NodeNumbers) -> Value {
    let graph = &workflow.graph;
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("name", json!(node.name));
    match &node.kind {
        Kind::Model {
            model,
            together,
            function,
        } => {
            match function {
                Some(function) => {
                    put("kind", json!("function"));
                    put("function", json!(function.as_ref()));
                }
                None => put("kind", json!("model")),
            }
            put(
                "model",
                json!(workflow.model_name(&graph.models[*model].name)),
            );
            if *together {
                put("together", json!(true));
            }
        }
        Kind::Function { name, .. } => {
            put("kind", json!("function"));
            put("function", json!(name));
        }
        Kind::Foreach { limit, .. } => {
            put("kind", json!("foreach"));
            if let Some((most, overflow)) = limit {
                let overflow = match overflow {
                    Overflow::Truncate => "truncate",
                    Overflow::Error => "error",
                };
                put("limit", json!(most));
                put("overflow", json!(overflow));
            }
        }
        Kind::Gather(gather) => {
            put("kind", json!("gather"));
            if let Some(foreach) = graph.scopes[gather.closes.0].opened_by {
                put("closes", json!(graph.node(foreach).name));
            }
        }
    }
    let inputs = node.inputs.iter();
    let inputs = inputs.map(|bind| (bind.name.clone(), reference(graph, &bind.from)));
    put("in", Value::Object(inputs.collect()));
    let scope = graph.scopes[node.scope.0].opened_by;
    if let Some(foreach) = scope {
        put("foreach", json!(graph.node(foreach).name));
    }
    if let Some(condition) = &node.when {
        put("when", json!(condition.text()));
    }
    match &node.on_error {
        OnError::Fail => {}
        OnError::Skip => {
            put("onError", json!("skip"));
        }
        OnError::Use(source) => {
            put("onError", json!({ "use": reference(graph, source) }));
        }
    }
    if node.retry_attempts > 0 {
        put("retryAttempts", json!(node.retry_attempts));
    }
    if let Some(timeout) = node.timeout {
        put("timeoutMs", millis(timeout));
    }
    put("output", json!(node.output.to_string()));
    put("calls", json!(numbers.calls));
    put("failures", json!(numbers.failures));
    put("meanMs", json!(numbers.mean_time.as_micros() as f64 / 1e3));
    put("meanBatch", json!(numbers.mean_batch));
    Value::Object(members)
}

/// A source as a spec writes it.
fn reference(graph: &Graph, source: &Source) -> Value {
    match source {
        Source::Request => json!("request"),
        Source::Part(name) => json!(format!("request.{name}")),
        Source::Node { node, path } => {
            let mut text = graph.node(*node).name.clone();
            for member in path {
                text.push('.');
                text.push_str(member);
            }
            json!(text)
        }
        Source::Literal(value) => {
            let text = value.clone().into_body();
            let value = serde_json::from_slice(&text);
            json!({ "value": value.unwrap_or(Value::Null) })
        }
    }
}

/// Who needs whose output, each pair once, in the order of the nodes that need it.
pub(crate) fn edges(graph: &Graph) -> Vec<(NodeId, NodeId)> {
    let mut edges = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let conditions = node.when.iter().flat_map(|when| when.sources());
        let instead = match &node.on_error {
            OnError::Use(source) => Some(source),
            OnError::Fail | OnError::Skip => None,
        };
        let sources = node.inputs.iter().map(|bind| &bind.from);
        for source in sources.chain(conditions).chain(instead) {
            if let Source::Node { node: from, .. } = source
                && !edges.contains(&(*from, NodeId(index)))
            {
                edges.push((*from, NodeId(index)));
            }
        }
    }
    edges
}

fn millis(duration: std::time::Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// A picture of the graph, with the same numbers.
pub(crate) fn svg(workflow: &Workflow) -> String {
    workflow.graph.to_svg(&notes(workflow))
}

/// The same as the text of a Mermaid flowchart.
pub(crate) fn mermaid(workflow: &Workflow) -> String {
    workflow.graph.to_mermaid(&notes(workflow))
}

/// A line for each node that has been called.
fn notes(workflow: &Workflow) -> Notes {
    let numbers = workflow.live();
    let nodes = workflow.graph.nodes.iter().zip(numbers);
    let called = nodes.filter(|(_, numbers)| numbers.calls > 0);
    called
        .map(|(node, numbers)| (node.name.clone(), note(&numbers)))
        .collect()
}

fn note(numbers: &NodeNumbers) -> String {
    let calls = if numbers.calls == 1 { "call" } else { "calls" };
    let millis = numbers.mean_time.as_micros() as f64 / 1e3;
    let mut note = format!("{} {calls}, {millis:.1} ms", numbers.calls);
    if numbers.mean_batch > 1.05 {
        note.push_str(&format!(", batch {:.1}", numbers.mean_batch));
    }
    if numbers.failures > 0 {
        note.push_str(&format!(", {} failed", numbers.failures));
    }
    note
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_note_says_what_a_node_has_done() {
        let check = |calls, failures, mean_batch, expected: &str| {
            let numbers = NodeNumbers {
                calls,
                failures,
                mean_time: Duration::from_micros(12_340),
                mean_batch,
            };
            assert_eq!(note(&numbers), expected);
        };
        check(1, 0, 1.0, "1 call, 12.3 ms");
        check(70, 2, 3.25, "70 calls, 12.3 ms, batch 3.2, 2 failed");
    }
}
