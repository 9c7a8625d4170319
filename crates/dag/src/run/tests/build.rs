//! Graphs for tests, written as text, one node a line:
//!
//! ```text
//! a = call $list request      a function; `$` is a part of the request
//! b = model a.texts c? d:int  `?`: not required; `:int`: wanted, to be checked
//! i = foreach a limit 2 truncate
//! t = together i b when has(b) skip
//! u = call t use a            or `use 5`
//! g = gather u
//! -> g, b.member              what is answered; several as an object
//! ```

use std::fmt;
use std::sync::Arc;

use servable::{Type, Value};

use super::*;
use crate::expression::Parsed;
use crate::function::{Bound, FunctionError, Inputs};
use crate::graph::{
    Answer, Bind, Form, Gather, Graph, Kind, Node, NodeId, OnError, Overflow, Pick, Place, Scope,
    ScopeId, Source,
};
use crate::plan::Plan;

pub(super) struct Workflow {
    pub(super) graph: Arc<Graph>,
}

impl Workflow {
    pub(super) fn parse(text: &str) -> Workflow {
        let mut graph = empty();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(answers) = line.strip_prefix("-> ") {
                let sources: Vec<_> = answers
                    .split(", ")
                    .map(|text| (text.to_owned(), source(&graph, text)))
                    .collect();
                let pick = match &sources[..] {
                    [(_, one)] => Pick::One(one.clone()),
                    _ => Pick::Named(sources),
                };
                answer(&mut graph, pick);
            } else {
                node(&mut graph, line);
            }
        }
        Workflow {
            graph: Arc::new(graph),
        }
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        Arc::new(Plan::new(Arc::clone(&self.graph), 0))
    }

    /// Brings `x` = 7, `list` = [10, 20, 30] and `none` = [].
    pub(super) fn request(&self) -> Request {
        let list = Value::list([10, 20, 30].map(Value::Int));
        Request {
            payload: Some(Value::from("payload")),
            parts: vec![
                ("x".into(), Value::Int(7)),
                ("list".into(), list),
                ("none".into(), Value::list([])),
            ],
        }
    }
}

pub(super) fn empty() -> Graph {
    Graph {
        form: Form::Typed,
        inputs: Vec::new(),
        models: Vec::new(),
        nodes: Vec::new(),
        scopes: vec![Scope {
            opened_by: None,
            parent: None,
        }],
        answers: Vec::new(),
    }
}

/// Adds a node that is in the innermost scope of what it uses, and opens or closes one if it is of that kind.
pub(super) fn add(graph: &mut Graph, mut node: Node) {
    let id = NodeId(graph.nodes.len());
    let depth = |scope: &ScopeId| graph.around(*scope).count();
    let homes = node
        .sources()
        .filter_map(Source::node)
        .map(|from| graph.node(from).value_scope());
    node.scope = homes.max_by_key(depth).unwrap_or(ScopeId::REQUEST);
    match &mut node.kind {
        Kind::Foreach { opens, .. } => {
            *opens = ScopeId(graph.scopes.len());
            graph.scopes.push(Scope {
                opened_by: Some(id),
                parent: Some(node.scope),
            });
        }
        Kind::Gather(gather) => {
            gather.closes = node.scope;
            node.scope = graph.scopes[node.scope.0].parent.expect("a scope to close");
        }
        Kind::Model { .. } | Kind::Function { .. } => {}
    }
    graph.nodes.push(node);
}

/// Adds an answer, with what it needs.
pub(super) fn answer(graph: &mut Graph, pick: Pick) {
    let mut needs = vec![false; graph.nodes.len()];
    let mut open: Vec<NodeId> = pick.sources().filter_map(Source::node).collect();
    while let Some(id) = open.pop() {
        if !std::mem::replace(&mut needs[id.0], true) {
            let node = graph.node(id);
            open.extend(node.sources().filter_map(Source::node));
            open.extend(graph.scopes[node.scope.0].opened_by);
        }
    }
    graph.answers.push(Answer {
        content_type: None,
        pick,
        needs,
    });
}

pub(super) fn function() -> Kind {
    Kind::Function {
        name: "call".into(),
        bound: Arc::new(Nothing),
    }
}

/// A run calls nobody.
struct Nothing;

impl Bound for Nothing {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        Ok(Type::Any)
    }

    fn call(&self, _: Vec<(String, Value)>) -> Result<Value, FunctionError> {
        Err(FunctionError::Failed("nobody calls it".into()))
    }
}

pub(super) fn blank(name: &str, kind: Kind) -> Node {
    Node {
        name: name.to_owned(),
        place: Place::default(),
        kind,
        scope: ScopeId::REQUEST,
        inputs: Vec::new(),
        when: None,
        on_error: OnError::Fail,
        retry_attempts: 0,
        timeout: None,
        output: Type::Any,
    }
}

pub(super) fn bind(name: &str, from: Source) -> Bind {
    Bind {
        name: name.to_owned(),
        place: Place::default(),
        from,
        wanted: Type::Any,
        certain: true,
        required: true,
    }
}

/// A node `a[2,0]`: of the third item of the outer scope the first of the inner one.
pub(super) struct Name;

impl Name {
    pub(super) fn of(graph: &Graph, node: NodeId, item: &[usize]) -> String {
        let name = &graph.node(node).name;
        if item.is_empty() {
            return name.clone();
        }
        let item: Vec<_> = item.iter().map(usize::to_string).collect();
        format!("{name}[{}]", item.join(","))
    }
}

fn node(graph: &mut Graph, line: &str) {
    let (name, rest) = line.split_once(" = ").expect("NAME = KIND");
    let mut words = rest.split(' ').peekable();
    let kind = match words.next().expect("a kind") {
        "call" => function(),
        kind @ ("model" | "together") => Kind::Model {
            model: 0,
            together: kind == "together",
            function: None,
        },
        "foreach" => Kind::Foreach {
            opens: ScopeId::REQUEST,
            limit: None,
        },
        "gather" => Kind::Gather(Gather {
            closes: ScopeId::REQUEST,
        }),
        other => panic!("no kind {other}"),
    };
    let mut node = blank(name, kind);
    while let Some(word) = words.next() {
        let mut argument = || words.next().expect("an argument");
        match word {
            "when" => {
                let parsed = Parsed::parse(argument()).expect("a condition");
                node.when = Some(parsed.resolve(Place::default(), |name| source(graph, name)));
            }
            "skip" => node.on_error = OnError::Skip,
            "use" => node.on_error = OnError::Use(source(graph, argument())),
            "limit" => {
                let most = argument().parse().expect("a number");
                let overflow = match argument() {
                    "truncate" => Overflow::Truncate,
                    _ => Overflow::Error,
                };
                if let Kind::Foreach { limit, .. } = &mut node.kind {
                    *limit = Some((most, overflow));
                }
            }
            _ => node.inputs.push(input(graph, word)),
        }
    }
    add(graph, node);
}

fn input(graph: &Graph, text: &str) -> Bind {
    let (text, wanted) = match text.split_once(':') {
        Some((text, wanted)) => (text, Some(wanted.parse().expect("a type"))),
        None => (text, None),
    };
    let name = text.trim_end_matches('?');
    Bind {
        certain: wanted.is_none(),
        wanted: wanted.unwrap_or_default(),
        required: name == text,
        ..bind(name.trim_start_matches('$'), source(graph, name))
    }
}

fn source(graph: &Graph, text: &str) -> Source {
    if let Some(part) = text.strip_prefix('$') {
        return Source::Part(part.to_owned());
    }
    match text {
        "request" => return Source::Request,
        "yes" => return Source::Literal(Value::Bool(true)),
        "no" => return Source::Literal(Value::Bool(false)),
        _ => {}
    }
    if let Ok(number) = text.parse() {
        return Source::Literal(Value::Int(number));
    }
    let mut names = text.split('.').map(str::to_owned);
    let name = names.next().expect("a name");
    Source::Node {
        node: graph.find(&name).unwrap_or_else(|| panic!("no {name}")),
        path: names.collect(),
    }
}

impl fmt::Debug for Workflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.graph.fmt(f)
    }
}

/// A value in a few letters.
pub(super) fn text(value: &Value) -> String {
    let joined = |items: Vec<String>| items.join(" ");
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Text(value) => value.to_string(),
        Value::Tensor(tensor) => match tensor.elements::<i64>() {
            Some(numbers) => format!("{numbers:?}"),
            None => format!("{tensor:?}"),
        },
        Value::List(items) => format!("[{}]", joined(items.iter().map(text).collect())),
        Value::Map(members) => {
            let member = |(name, value): &(String, Value)| format!("{name}: {}", text(value));
            format!("{{{}}}", joined(members.iter().map(member).collect()))
        }
        Value::Float(_) | Value::Bytes(_) | Value::Image(_) => value.kind().into(),
    }
}
