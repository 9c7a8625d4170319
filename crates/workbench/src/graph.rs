//! `graph`: a workflow as a picture, as Mermaid text or as JSON.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use dag::{Checked, Form, Graph as Workflow, Kind, Node, Notes, Pick, Problem, Source};
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
    } = source.check();
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

/// The graph for programs, in the words of the management API: nodes in an order in which everything stands after what it
/// needs.
fn document(graph: &Workflow, problems: &[Problem]) -> Value {
    let inputs = graph.inputs.iter().map(|entry| {
        json!({"name": entry.name, "type": entry.of.to_string(), "required": entry.is_required()})
    });
    let models = graph.models.iter();
    let models = models.map(|model| json!({"name": model.name, "url": model.url}));
    let answers = graph.answers.iter().map(|answer| {
        let output = match &answer.pick {
            Pick::One(source) => reference(graph, source),
            Pick::Named(members) => members
                .iter()
                .map(|(name, source)| (name.clone(), reference(graph, source)))
                .collect::<Map<_, _>>()
                .into(),
        };
        json!({"contentType": answer.content_type, "output": output})
    });
    json!({
        "form": match graph.form {
            Form::Classic => "classic",
            Form::Typed => "typed",
        },
        "inputs": inputs.collect::<Vec<_>>(),
        "models": models.collect::<Vec<_>>(),
        "nodes": graph.nodes.iter().map(|node| node_json(graph, node)).collect::<Vec<_>>(),
        "answers": answers.collect::<Vec<_>>(),
        "warnings": problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn node_json(graph: &Workflow, node: &Node) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: &str| {
        members.insert(name.to_owned(), json!(value));
    };
    put("name", &node.name);
    match &node.kind {
        Kind::Model {
            model, function, ..
        } => {
            match function {
                Some(function) => {
                    put("kind", "function");
                    put("function", function);
                }
                None => put("kind", "model"),
            }
            put("model", &graph.models[*model].name);
        }
        Kind::Function { name, .. } => {
            put("kind", "function");
            put("function", name);
        }
        Kind::Foreach { .. } => {
            put("kind", "foreach");
        }
        Kind::Gather(_) => {
            put("kind", "gather");
        }
    }
    // The one for whose items it runs.
    if let Some(foreach) = graph.scopes[node.scope.0].opened_by {
        put("foreach", &graph.node(foreach).name);
    }
    if let Some(when) = &node.when {
        put("when", when.text());
    }
    put("output", &node.output.to_string());
    let inputs = node.inputs.iter();
    let inputs = inputs.map(|bind| (bind.name.clone(), reference(graph, &bind.from)));
    members.insert("in".to_owned(), Value::Object(inputs.collect()));
    members.insert("line".to_owned(), json!(node.place.line));
    Value::Object(members)
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
        Source::Literal(value) => {
            let text = value.clone().into_body();
            json!({"value": serde_json::from_slice(&text).unwrap_or(Value::Null)})
        }
    }
}

#[cfg(test)]
mod tests {
    use dag::Options;
    use functions::Functions;

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
        let checked = dag::check(spec, &Functions::default(), Options::default());
        let graph = checked
            .graph
            .unwrap_or_else(|| panic!("{:?}", checked.problems));
        let found = document(&graph, &[]);
        let expected = json!({
            "form": "typed",
            "inputs": [{"name": "image", "type": "image", "required": true}],
            "models": [],
            "nodes": [
                {"name": "small", "kind": "function", "function": "resize", "output": "image",
                 "in": {"image": "image"}, "line": 4},
                {"name": "kept", "kind": "function", "function": "passthrough", "when": "true",
                 "output": "image", "in": {"value": "small"}, "line": 5},
            ],
            "answers": [{"contentType": null, "output": "kept"}],
            "warnings": [],
        });
        assert_eq!(found, expected, "{found:#}");
    }
}
