//! `graph`: a workflow as a picture, as Mermaid text or as JSON.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use dag::{Checked, Graph as Workflow, Kind, Notes, Options, Problem, ScopeId, Source};
use functions::Functions;
use serde_json::{Map, Value, json};

use crate::args::{Format, Graph};
use crate::error::Error;
use crate::excerpt::excerpt;
use crate::output::Output;
use crate::sources;

pub(crate) fn run(args: &Graph, output: &mut Output) -> Result<(), Error> {
    let source = sources::one(&args.file)?;
    let Checked {
        graph, problems, ..
    } = dag::check(&source.text, &Functions, Options::default());
    let Some(graph) = graph else {
        for problem in problems.iter().filter(|problem| problem.is_error()) {
            let text = excerpt(&source.file, &source.text, problem, false);
            // If anybody reads it.
            let _ = io::stderr().write_all(text.as_bytes());
        }
        return Err(Error::Told);
    };
    let format = args.format.unwrap_or_else(|| of_name(args.out.as_deref()));
    let text = match format {
        Format::Svg => graph.to_svg(&Notes::new()),
        Format::Mermaid => graph.to_mermaid(&Notes::new()),
        Format::Json => format!("{:#}\n", document(&graph, &problems)),
    };
    match &args.out {
        None => output.text(&text),
        Some(path) => fs::write(path, text).map_err(|source| Error::File {
            path: path.clone(),
            source,
        }),
    }
}

fn of_name(out: Option<&Path>) -> Format {
    let extension = out.and_then(Path::extension).unwrap_or_default();
    match extension.to_string_lossy().to_lowercase().as_str() {
        "json" => Format::Json,
        "mmd" | "mermaid" | "md" => Format::Mermaid,
        _ => Format::Svg,
    }
}

/// The graph for programs: nodes in an order in which everything stands after what it needs.
fn document(graph: &Workflow, problems: &[Problem]) -> Value {
    let inputs: Vec<Value> = graph
        .inputs
        .iter()
        .map(|entry| {
            json!({"name": entry.name, "type": entry.of.to_string(), "required": entry.default.is_none()})
        })
        .collect();
    let models: Vec<Value> = graph
        .models
        .iter()
        .map(|model| json!({"name": model.name, "url": model.url}))
        .collect();
    let nodes: Vec<Value> = graph.nodes.iter().map(|node| node_json(graph, node)).collect();
    let answers: Vec<Option<&str>> = graph
        .answers
        .iter()
        .map(|answer| answer.content_type.as_deref())
        .collect();
    let warnings: Vec<String> = problems.iter().map(ToString::to_string).collect();
    json!({
        "inputs": inputs,
        "models": models,
        "nodes": nodes,
        "answers": answers,
        "warnings": warnings,
    })
}

fn node_json(graph: &Workflow, node: &dag::Node) -> Value {
    let mut about = Map::new();
    about.insert("name".into(), node.name.as_str().into());
    about.insert("line".into(), node.place.line.into());
    let (kind, of) = match &node.kind {
        Kind::Model { model, .. } => ("model", graph.models[*model].name.as_str()),
        Kind::Function { name, .. } => ("function", name.as_str()),
        Kind::Foreach { .. } => ("foreach", ""),
        Kind::Gather(_) => ("gather", ""),
    };
    about.insert("kind".into(), kind.into());
    if !of.is_empty() {
        about.insert(kind.into(), of.into());
    }
    let inputs: Vec<Value> = node
        .inputs
        .iter()
        .map(|bind| json!({"name": bind.name, "from": reference(graph, &bind.from)}))
        .collect();
    about.insert("inputs".into(), inputs.into());
    if let Some(when) = &node.when {
        about.insert("when".into(), when.text().into());
    }
    // Inside which `foreach` it runs, once for each item.
    if node.scope != ScopeId::REQUEST
        && let Some(opener) = graph.scopes[node.scope.0].opened_by
    {
        about.insert("within".into(), graph.node(opener).name.as_str().into());
    }
    about.insert("type".into(), node.output.to_string().into());
    Value::Object(about)
}

/// As a spec would write it.
fn reference(graph: &Workflow, source: &Source) -> Value {
    match source {
        Source::Request => "request".into(),
        Source::Part(name) if graph.inputs.iter().any(|entry| entry.name == *name) => {
            name.as_str().into()
        }
        Source::Part(name) => format!("request.{name}").into(),
        Source::Node { node, path } => {
            let mut text = graph.node(*node).name.clone();
            for member in path {
                text.push('.');
                text.push_str(member);
            }
            text.into()
        }
        Source::Literal(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_file_says_the_format() {
        let check = |name: Option<&str>, expected| {
            assert_eq!(of_name(name.map(Path::new)), expected, "{name:?}");
        };
        check(None, Format::Svg);
        check(Some("a.svg"), Format::Svg);
        check(Some("a"), Format::Svg);
        check(Some("a.JSON"), Format::Json);
        check(Some("a.mmd"), Format::Mermaid);
    }

    #[test]
    fn a_graph_is_written_for_programs() {
        let spec = "
inputs: {image: image}
nodes:
  small: {function: resize, in: image, with: {longest_side: 64}}
  kept: {function: passthrough, in: small, when: 'true'}
output: kept
";
        let checked = dag::check(spec, &Functions, Options::default());
        let graph = checked.graph.unwrap_or_else(|| panic!("{:?}", checked.problems));
        let found = document(&graph, &[]);
        let expected = json!({
            "inputs": [{"name": "image", "type": "image", "required": true}],
            "models": [],
            "nodes": [
                {"name": "small", "line": 4, "kind": "function", "function": "resize",
                 "inputs": [{"name": "image", "from": "image"}], "type": "image"},
                {"name": "kept", "line": 5, "kind": "function", "function": "passthrough",
                 "inputs": [{"name": "value", "from": "small"}], "when": "true", "type": "image"},
            ],
            "answers": [null],
            "warnings": [],
        });
        assert_eq!(found, expected, "{found:#}");
    }
}
