//! A spec to a graph that can run, or everything that is wrong with it.
//!
//! In order: text to a [spec](crate::spec), names to nodes and functions with their parameters, nodes to an order, scopes,
//! answers, and last the types of everything. A part that is broken is told once and then passed over as something of which
//! nothing is known, so that one mistake hides no other.

mod answers;
mod classic;
mod functions;
mod names;
mod nodes;
mod order;
mod python;
mod scopes;
mod typed;
mod unused;

use std::time::Duration;

use servable::Type;

use crate::function::Catalogue;
use crate::graph::{Form, Graph, Model};
use crate::infer::infer;
use crate::problem::{About, Problem, Report, nearest};
use crate::spec::{Body, ModelSpec, Settings, Spec};
use crate::yaml;
use functions::Functions;
use names::Names;

/// What a spec may lean on beyond the native functions.
#[derive(Default, Clone, Copy)]
pub struct Options<'a> {
    /// The archive's handler file, if it has one.
    pub python: Option<Python<'a>>,
    /// The keys that lead to the spec inside its document; none where it is all of that.
    pub inside: &'a [&'a str],
    /// The one model there is, where whoever runs the graph is that model: it needs no entry in `models` and has no `url`.
    pub network: Option<&'a str>,
}

/// The handler file of a workflow's archive.
#[derive(Clone, Copy, Debug)]
pub struct Python<'a> {
    /// Its place in the archive.
    pub file: &'a str,
    /// The functions that it defines, as far as its text says.
    pub functions: &'a [String],
}

/// What came of checking a spec.
#[derive(Debug)]
pub struct Checked {
    /// `None` where one of the problems is an error.
    pub graph: Option<Graph>,
    /// By line and column.
    pub problems: Vec<Problem>,
    pub summary: Summary,
}

/// What a spec says about itself, for who describes a workflow.
#[derive(Debug, Default)]
pub struct Summary {
    pub name: Option<String>,
    pub version: Option<String>,
    pub description: Option<String>,
    /// The settings above all models.
    pub defaults: Settings,
    /// The classic form's `dag`, as written: each node and who comes after it.
    pub dag: Vec<(String, Vec<String>)>,
    /// By content type, how the name of a file ends that holds such an answer.
    pub files: Vec<(String, String)>,
}

/// Checks the text of a spec. Types of models are those that the spec declares; once their archives are known,
/// [`Graph::learn`] goes over the types again.
pub fn check(text: &str, catalogue: &dyn Catalogue, options: Options<'_>) -> Checked {
    let mut report = Report::default();
    let mut summary = Summary::default();
    let graph = yaml::read(text, &mut report)
        .and_then(|tree| inside(tree, options.inside, &mut report))
        .and_then(|tree| Spec::read(&tree, options.network, &mut report))
        .and_then(|spec| {
            let graph = graph(&spec, catalogue, options, &mut report);
            summary = summarise(spec);
            graph
        });
    let graph = graph.filter(|_| !report.failed());
    Checked {
        graph,
        problems: report.into_problems(),
        summary,
    }
}

/// The part of a document that keys lead to.
fn inside(tree: yaml::Tree, keys: &[&str], report: &mut Report) -> Option<yaml::Tree> {
    keys.iter().try_fold(tree, |tree, key| {
        let found = tree.get(key).cloned();
        if found.is_none() {
            report.error(About::at(tree.place).field(key), "there is no such key");
        }
        found
    })
}

fn graph(
    spec: &Spec,
    catalogue: &dyn Catalogue,
    options: Options<'_>,
    report: &mut Report,
) -> Option<Graph> {
    let inputs: Vec<_> = spec
        .inputs
        .iter()
        .map(|entry| entry.value.clone())
        .collect();
    let mut models: Vec<Model> = spec.models.iter().map(model).collect();
    let python = options.python;
    let mut functions = Functions::new(catalogue, &spec.functions, python);
    let (form, nodes) = match &spec.body {
        Body::Classic(dag) => {
            let mut maker = classic::Maker {
                spec,
                inputs: &inputs,
                models: &mut models,
                functions: &mut functions,
                python,
            };
            (Form::Classic, maker.nodes(dag, report)?)
        }
        Body::Typed(list) => {
            let names = Names::new(list.iter().map(|node| node.name.value.as_str()), &inputs);
            let mut maker = typed::Maker {
                spec,
                names: &names,
                models: &mut models,
                functions: &mut functions,
                python,
            };
            (Form::Typed, maker.nodes(list, report)?)
        }
    };
    let connections: usize = nodes.iter().map(|node| node.sources().count()).sum();
    if connections > MOST_CONNECTIONS {
        let at = About::at(nodes.first()?.place);
        report.error(at, format!("it has {connections} connections between nodes, and a workflow may have {MOST_CONNECTIONS}"));
        return None;
    }
    let mut nodes = order::sort(nodes, form, report);
    let scopes = scopes::assign(&mut nodes, report);
    let mut graph = Graph {
        form,
        inputs,
        models,
        nodes,
        scopes,
        answers: Vec::new(),
    };
    answers::choose(&mut graph, spec.output.as_ref(), report);
    infer(&mut graph, None, report);
    answers::check(&graph, spec.output.as_ref(), report);
    unused::tell(&graph, spec, &functions, report);
    Some(graph)
}

fn model(spec: &ModelSpec) -> Model {
    let settings = spec.settings;
    Model {
        name: spec.name.value.clone(),
        place: spec.name.place,
        url: spec.url.clone(),
        min_workers: settings.min_workers as usize,
        max_workers: settings.max_workers as usize,
        batch_size: settings.batch_size as usize,
        max_batch_delay: Duration::from_millis(settings.max_batch_delay.into()),
        functions: Vec::new(),
    }
}

fn summarise(spec: Spec) -> Summary {
    let names = |list: Vec<crate::spec::At<String>>| list.into_iter().map(|at| at.value).collect();
    Summary {
        name: spec.name,
        version: spec.version,
        description: spec.description,
        defaults: spec.defaults,
        files: spec.files,
        dag: match spec.body {
            Body::Classic(dag) => dag
                .into_iter()
                .map(|node| (node.name.value, names(node.next)))
                .collect(),
            Body::Typed(_) => Vec::new(),
        },
    }
}

/// The type of a member inside a value.
///
/// # Errors
///
/// Says which member there certainly is not, and which there are.
pub(crate) fn member(of: &Type, path: &[String]) -> Result<Type, String> {
    let mut found = of.clone();
    for name in path {
        found = match found.member(name) {
            Some(member) => member,
            None => {
                let near = match &found {
                    Type::Record(fields) => {
                        nearest(name, fields.iter().map(|field| field.name.as_str()))
                    }
                    Type::Any
                    | Type::Bool
                    | Type::Int
                    | Type::Float
                    | Type::Text
                    | Type::Bytes
                    | Type::Json
                    | Type::Image
                    | Type::Boxes
                    | Type::Tensor(_)
                    | Type::List(_) => String::new(),
                };
                return Err(format!("`{found}` has no member `{name}`{near}"));
            }
        };
    }
    Ok(found)
}

/// A graph that has more cannot be drawn, understood or run in time.
const MOST_NODES: usize = 1000;
const MOST_CONNECTIONS: usize = 10_000;

fn few_enough(nodes: usize, at: About<'_>, report: &mut Report) -> Option<()> {
    if nodes > MOST_NODES {
        report.error(
            at,
            format!("it has {nodes} nodes, and a workflow may have {MOST_NODES}"),
        );
        return None;
    }
    Some(())
}

#[cfg(test)]
mod tests;
