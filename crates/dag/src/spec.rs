//! A spec as it is written: the parts of the language with their places, each of the right shape, none of them believed yet.
//!
//! Reading tells what has the wrong shape (a list where a text belongs, a key that does not exist); whether names mean
//! something and things fit together is for `check`.

mod fields;
mod files;
mod functions;
pub(crate) mod keys;
mod models;
mod nodes;
mod output;
mod workflow_inputs;

use servable::{Field, Type};

use crate::graph::{Entry, Overflow, Place};
use crate::problem::{About, Report};
use crate::yaml::{Key, Tree};
use fields::Object;

/// Something with its place.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) place: Place,
    pub(crate) value: T,
}

#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) inputs: Vec<At<Entry>>,
    /// As they stand at the end of `models:`, where they hold for the functions of a classic spec.
    pub(crate) defaults: Settings,
    pub(crate) models: Vec<ModelSpec>,
    pub(crate) functions: Vec<FunctionSpec>,
    pub(crate) body: Body,
    pub(crate) output: Option<At<OutputSpec>>,
    /// Content types and the ends of their files' names.
    pub(crate) files: Vec<(String, String)>,
}

/// The two forms.
#[derive(Debug)]
pub(crate) enum Body {
    Classic(Vec<ClassicNode>),
    Typed(Vec<NodeSpec>),
}

/// The settings of TorchServe's workflows; delay and timeout in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub min_workers: u32,
    pub max_workers: u32,
    pub batch_size: u32,
    pub max_batch_delay: u32,
    pub retry_attempts: u32,
    pub timeout_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            min_workers: 1,
            max_workers: 1,
            batch_size: 1,
            max_batch_delay: 50,
            retry_attempts: 1,
            timeout_ms: 10_000,
        }
    }
}

#[derive(Debug)]
pub(crate) struct ModelSpec {
    pub(crate) name: At<String>,
    pub(crate) settings: Settings,
    pub(crate) url: String,
    pub(crate) inputs: Vec<Field>,
    pub(crate) output: Type,
}

impl ModelSpec {
    /// One of which the spec says nothing but that it is there.
    fn unknown(name: &str, place: Place) -> Self {
        ModelSpec {
            name: At {
                place,
                value: name.to_owned(),
            },
            settings: Settings::default(),
            url: String::new(),
            inputs: Vec::new(),
            output: Type::Any,
        }
    }
}

/// A native function with parameters, under a name of one's own.
#[derive(Debug)]
pub(crate) struct FunctionSpec {
    pub(crate) name: At<String>,
    pub(crate) function: At<String>,
    pub(crate) with: Option<Tree>,
    /// In a classic spec: what of the parents goes where.
    pub(crate) inputs: Option<InputsSpec>,
}

/// A key of `dag:` and who comes after it.
#[derive(Debug)]
pub(crate) struct ClassicNode {
    pub(crate) name: At<String>,
    pub(crate) next: Vec<At<String>>,
}

#[derive(Debug)]
pub(crate) struct NodeSpec {
    pub(crate) name: At<String>,
    pub(crate) what: What,
    pub(crate) inputs: Option<InputsSpec>,
    pub(crate) with: Option<Tree>,
    pub(crate) when: Option<At<String>>,
    pub(crate) on_error: OnErrorSpec,
    pub(crate) retry_attempts: Option<u32>,
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) limit: Option<(usize, Overflow)>,
}

#[derive(Debug)]
pub(crate) enum What {
    /// The node's own name says it.
    Own,
    Model(At<String>),
    Function(At<String>),
    Foreach(At<String>),
    Gather(At<String>),
    /// It said it wrongly, which has been told.
    Broken,
}

#[derive(Debug)]
pub(crate) enum InputsSpec {
    One(At<Given>),
    Named(Vec<(Key, At<Given>)>),
}

/// What is given to an input.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    Reference(String),
    Literal(Tree),
}

#[derive(Debug, Default)]
pub(crate) enum OnErrorSpec {
    #[default]
    Fail,
    Skip,
    Use(At<Given>),
}

#[derive(Debug)]
pub(crate) enum OutputSpec {
    One(At<String>),
    Named(Vec<(Key, At<String>)>),
    /// By content type.
    Types(Vec<(Key, At<OutputSpec>)>),
}

impl Spec {
    /// Whatever can be read of the spec. `None` where there are no nodes at all. With `network`, that is the only model.
    pub(crate) fn read(tree: &Tree, network: Option<&str>, report: &mut Report) -> Option<Spec> {
        let top = Object::of(tree, "a spec", report)?;
        top.known(keys::SPEC, report);
        let functions = top
            .get("functions")
            .map_or_else(Vec::new, |tree| functions::read(tree, report));
        let (defaults, mut models) = match top.get("models") {
            Some(tree) => models::read(tree, network, report),
            None => (Settings::default(), Vec::new()),
        };
        if let Some(network) = network
            && !models.iter().any(|model| model.name.value == network)
        {
            models.push(ModelSpec::unknown(network, tree.place));
        }
        let inputs = top
            .get("inputs")
            .map_or_else(Vec::new, |tree| workflow_inputs::read(tree, report));
        let output = top
            .get("output")
            .and_then(|tree| output::read(tree, report));
        let files = top
            .get("files")
            .map_or_else(Vec::new, |tree| files::read(tree, output.as_ref(), report));
        let body = match (top.get("dag"), top.get("nodes")) {
            (Some(_), Some(nodes)) => {
                let at = About::at(nodes.place).field("nodes");
                report.error(at, "a spec has either `dag` (who comes after whom) or `nodes` (who takes what), not both");
                None
            }
            (Some(dag), None) => nodes::read_dag(dag, report).map(Body::Classic),
            (None, Some(nodes)) => nodes::read_nodes(nodes, report).map(Body::Typed),
            (None, None) => {
                report.error(
                    About::at(tree.place),
                    "it has neither `dag` nor `nodes`, so there is nothing to run",
                );
                None
            }
        };
        Some(Spec {
            name: top.text_like("name", report),
            version: top.text_like("version", report),
            description: top.text_like("description", report),
            inputs,
            defaults,
            models,
            functions,
            body: body?,
            output,
            files,
        })
    }
}
