//! The types of everything, from what is declared forwards: what can be proven wrong is told, what can be proven right need not
//! be checked again for each request.

use servable::{Fit, Signature, Type};

use crate::check::member;
use crate::graph::{Form, Graph, Kind, Node, NodeId, OnError, Pick, ScopeId, Source};
use crate::problem::{About, Problem, Report};

/// What a model's archive says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub signature: Signature,
    /// Whether requests of different clients may share a batch.
    pub merges: bool,
}

impl Default for Facts {
    fn default() -> Self {
        Facts {
            signature: Signature::default(),
            merges: true,
        }
    }
}

impl Graph {
    /// Goes over all types again with what archives say; `facts` is asked by the name of the model in the spec. Without
    /// archives, `|_| Facts::default()` gives the warnings alone.
    ///
    /// The graph can be run only if none of the problems is an error.
    pub fn learn(&mut self, facts: impl Fn(&str) -> Facts) -> Vec<Problem> {
        let mut report = Report::default();
        let facts: Vec<Facts> = self.models.iter().map(|model| facts(&model.name)).collect();
        for index in 0..self.nodes.len() {
            let Kind::Model { model, .. } = self.nodes[index].kind else {
                continue;
            };
            let form = self.form;
            let node = &mut self.nodes[index];
            if let Kind::Model { together, .. } = &mut node.kind {
                *together = !facts[model].merges && node.scope != ScopeId::REQUEST;
            }
            take_inputs(node, form, &facts[model].signature, &mut report);
        }
        infer(self, Some(&facts), &mut report);
        self.unknown(&mut report);
        report.into_problems()
    }

    /// One warning for each model of whose output nothing is known although somebody wants something of it.
    fn unknown(&self, report: &mut Report) {
        let mut told = vec![false; self.models.len()];
        let wants = self.nodes.iter().flat_map(|node| {
            let all = matches!(node.kind, Kind::Foreach { .. });
            let binds = node
                .inputs
                .iter()
                .filter(move |bind| all || bind.wanted != Type::Any);
            binds.map(move |bind| (bind.from.node(), node))
        });
        for (from, wanting) in wants {
            let Some(node) = from.map(|id| self.node(id)) else {
                continue;
            };
            // A function in Python has no entry in which its output could stand.
            let Kind::Model {
                model,
                function: None,
                ..
            } = node.kind
            else {
                continue;
            };
            if node.output == Type::Any && !std::mem::replace(&mut told[model], true) {
                let model = &self.models[model];
                let at = About::at(model.place).node(&model.name);
                let name = &wanting.name;
                report.warning(
                    at,
                    format!("nothing says what it gives, so what `{name}` takes of it is checked for each request; `output` in its entry would say"),
                );
            }
        }
    }
}

/// What the archive says of the inputs, where the spec says nothing.
fn take_inputs(node: &mut Node, form: Form, signature: &Signature, report: &mut Report) {
    let fields = &signature.inputs;
    let named = |name: &str| fields.iter().find(|field| field.name == name);
    // An only input whose name nobody chose.
    if let ([only], [field]) = (node.inputs.as_mut_slice(), fields.as_slice())
        && only.name == "body"
    {
        only.name.clone_from(&field.name);
    }
    for bind in node.inputs.iter_mut().filter(|bind| !bind.name.is_empty()) {
        match named(&bind.name) {
            Some(field) if bind.wanted == Type::Any => bind.wanted = field.of.clone(),
            Some(_) => {}
            None if fields.is_empty() || form == Form::Classic => {}
            None => {
                let near =
                    report.nearest(&bind.name, fields.iter().map(|field| field.name.as_str()));
                let at = About::at(bind.place).node(&node.name).field("in");
                let name = &bind.name;
                report.warning(at, format!("its archive speaks of no input `{name}`{near}"));
            }
        }
    }
}

/// Goes over all nodes in order. With facts, what archives say of outputs is taken where the spec says nothing.
pub(crate) fn infer(graph: &mut Graph, facts: Option<&[Facts]>, report: &mut Report) {
    for index in 0..graph.nodes.len() {
        let mut offered = Vec::new();
        let mut right = true;
        for bind in 0..graph.nodes[index].inputs.len() {
            let of = take(graph, NodeId(index), bind, report);
            right &= of.is_some();
            let node = &graph.nodes[index];
            offered.push((node.inputs[bind].name.clone(), of.unwrap_or_default()));
        }
        condition(graph, NodeId(index), report);
        let output = output(graph, NodeId(index), &offered, facts, right, report);
        let output = instead(graph, NodeId(index), output, report);
        // Objects of objects of the same objects grow with every node; what nobody could read is no use to anybody.
        let output = if weight(&output) > HEAVIEST {
            Type::Any
        } else {
            output
        };
        graph.nodes[index].output = output;
    }
}

/// The largest type that is kept, in words.
const HEAVIEST: usize = 256;

fn weight(of: &Type) -> usize {
    match of {
        Type::Record(fields) => 1 + fields.iter().map(|field| weight(&field.of)).sum::<usize>(),
        Type::List(of) => 1 + weight(of),
        Type::Any
        | Type::Bool
        | Type::Int
        | Type::Float
        | Type::Text
        | Type::Bytes
        | Type::Json
        | Type::Image
        | Type::Boxes
        | Type::Tensor(_) => 1,
    }
}

/// The type of what an input is given; marks the input as certain where it is. `None` where it is wrong, which is told.
fn take(graph: &mut Graph, id: NodeId, bind: usize, report: &mut Report) -> Option<Type> {
    let node = graph.node(id);
    let input = &node.inputs[bind];
    let field = match &node.kind {
        Kind::Foreach { .. } => "foreach".to_owned(),
        Kind::Gather(_) => "gather".to_owned(),
        Kind::Model { .. } | Kind::Function { .. } if node.inputs.len() > 1 => {
            format!("in.{}", input.name)
        }
        Kind::Model { .. } | Kind::Function { .. } => "in".to_owned(),
    };
    let at = About::at(input.place).node(&node.name).field(&field);
    let of = match type_of(graph, &input.from) {
        Ok(of) => of,
        Err(message) => {
            report.error(at, message);
            return None;
        }
    };
    let fit = of.fits(&input.wanted);
    if fit == Fit::No {
        let (name, wanted) = (&input.name, &input.wanted);
        let from = name_of(graph, &input.from);
        report.error(
            at,
            format!("input `{name}` is {wanted}, and {from} is {of}"),
        );
        return None;
    }
    // A model may give something else than it said.
    let promised = input
        .from
        .node()
        .is_some_and(|id| matches!(graph.node(id).kind, Kind::Model { .. }));
    let certain = fit == Fit::Yes && (!promised || input.wanted == Type::Any);
    graph.nodes[id.0].inputs[bind].certain = certain;
    Some(of)
}

fn condition(graph: &Graph, id: NodeId, report: &mut Report) {
    let node = graph.node(id);
    let Some(when) = &node.when else { return };
    let types: Vec<Type> = when
        .sources()
        .iter()
        .map(|source| type_of(graph, source).unwrap_or_default())
        .collect();
    if let Err(message) = when.check(&types) {
        report.error(
            About::at(when.place).node(&node.name).field("when"),
            message,
        );
    }
}

fn output(
    graph: &Graph,
    id: NodeId,
    offered: &[(String, Type)],
    facts: Option<&[Facts]>,
    right: bool,
    report: &mut Report,
) -> Type {
    let node = graph.node(id);
    let first = offered
        .first()
        .map(|(_, of)| of.clone())
        .unwrap_or_default();
    match &node.kind {
        Kind::Model { model, .. } => {
            let Some(facts) = facts else {
                return node.output.clone();
            };
            let said = &facts[*model].signature.output;
            if node.output == Type::Any {
                return said.clone();
            }
            if said.fits(&node.output) == Fit::No {
                let (model, declared) = (&graph.models[*model], &node.output);
                let at = About::at(model.place).node(&model.name).field("output");
                report.error(
                    at,
                    format!("it is declared as {declared}, and its archive says {said}"),
                );
            }
            node.output.clone()
        }
        Kind::Function { .. } if !right => Type::Any,
        Kind::Function { bound, .. } => bound.output(offered).unwrap_or_else(|message| {
            report.error(About::at(node.place).node(&node.name), message);
            Type::Any
        }),
        Kind::Foreach { .. } if !right => Type::Any,
        Kind::Foreach { .. } => first.item().unwrap_or_else(|| {
            let place = node.inputs.first().map_or(node.place, |bind| bind.place);
            let at = About::at(place).node(&node.name).field("foreach");
            report.error(
                at,
                format!("a list or a tensor has items, and this is {first}"),
            );
            Type::Any
        }),
        Kind::Gather(_) => Type::list(first),
    }
}

/// What stands in after an error may be of another type, and then nothing is certain. For a `foreach` it is a list.
fn instead(graph: &Graph, id: NodeId, output: Type, report: &mut Report) -> Type {
    let node = graph.node(id);
    let source = match &node.on_error {
        OnError::Fail | OnError::Skip => return output,
        OnError::Use(source) => source,
    };
    let at = About::at(node.place).node(&node.name).field("on-error");
    let of = type_of(graph, source).and_then(|of| match node.kind {
        Kind::Foreach { .. } => of
            .item()
            .ok_or_else(|| format!("a `foreach` uses a list instead, and this is {of}")),
        Kind::Model { .. } | Kind::Function { .. } | Kind::Gather(_) => Ok(of),
    });
    match of {
        Ok(of) if of.fits(&output) == Fit::Yes => output,
        Ok(_) => Type::Any,
        Err(message) => {
            report.error(at, message);
            Type::Any
        }
    }
}

/// What is known of a value that a node or an answer takes.
pub(crate) fn type_of(graph: &Graph, source: &Source) -> Result<Type, String> {
    match source {
        Source::Request => Ok(payload(graph)),
        Source::Part(name) => {
            let entry = graph.inputs.iter().find(|entry| entry.name == *name);
            Ok(entry.map(|entry| entry.of.clone()).unwrap_or_default())
        }
        Source::Node { node, path } => member(&graph.node(*node).output, path),
        Source::Literal(value) => Ok(Type::of(value)),
    }
}

/// The payload is the only required input, where there is one.
fn payload(graph: &Graph) -> Type {
    let mut required = graph.inputs.iter().filter(|entry| entry.is_required());
    match (required.next(), required.next()) {
        (Some(entry), None) => entry.of.clone(),
        (_, _) => Type::Any,
    }
}

fn name_of(graph: &Graph, source: &Source) -> String {
    match source {
        Source::Request => "the payload".to_owned(),
        Source::Part(name) => format!("`{name}`"),
        Source::Node { node, path } => {
            let mut name = graph.node(*node).name.clone();
            for step in path {
                name.push('.');
                name.push_str(step);
            }
            format!("`{name}`")
        }
        Source::Literal(_) => "the value".to_owned(),
    }
}

impl Pick {
    /// What is known of an answer.
    pub fn output(&self, graph: &Graph) -> Type {
        let of = |source: &Source| type_of(graph, source).unwrap_or_default();
        match self {
            Pick::One(source) => of(source),
            Pick::Named(named) => Type::Record(
                named
                    .iter()
                    .map(|(name, source)| servable::Field {
                        name: name.clone(),
                        of: of(source),
                    })
                    .collect(),
            ),
        }
    }
}
