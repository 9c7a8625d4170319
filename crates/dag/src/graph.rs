//! A checked graph: what registration leaves of a spec. Nothing in it can be wrong any more but the values themselves.
//!
//! `check` makes it, `run` runs it, `draw` shows it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use servable::{Type, Value};

use crate::expression::Expression;
use crate::function::Bound;
use crate::problem::nearest;

/// How a spec was written, which decides how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `dag:` of TorchServe: each node says who comes after it. A single leaf is answered as `application/json`, several as
    /// an object; joins get their parents' outputs by the parents' names.
    Classic,
    /// `nodes:` each node says what it takes. Answered in the leaf's own content type.
    Typed,
}

/// A workflow that can run.
#[derive(Debug)]
pub struct Graph {
    pub form: Form,
    /// What a request brings, by name. Empty in the classic form, and where the spec declares nothing: whatever comes goes.
    pub inputs: Vec<Entry>,
    pub models: Vec<Model>,
    /// In an order in which everything stands after what it needs.
    pub nodes: Vec<Node>,
    /// The first is the request itself; each further one is opened by a `foreach` node.
    pub scopes: Vec<Scope>,
    /// What can be answered; the first is answered unless the client asks for another by its content type.
    pub answers: Vec<Answer>,
}

/// Index of a node in [`Graph::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// Index of a scope in [`Graph::scopes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(pub usize);

impl ScopeId {
    /// The request itself.
    pub const REQUEST: ScopeId = ScopeId(0);
}

/// Line and column in the spec, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// A declared input of the workflow.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    pub of: Type,
    /// In place of what the request does not bring. Without one it must.
    pub default: Option<Value>,
    pub given: Given,
    pub from: Giver,
}

/// Who gives an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Giver {
    /// The client, with the request.
    #[default]
    Request,
    /// Whoever runs the graph, with what it knows of the run; a part of that name in the request counts for nothing.
    Server,
}

impl Entry {
    /// Whether a request must bring it.
    pub fn is_required(&self) -> bool {
        self.default.is_none() && self.from == Giver::Request
    }
}

/// The bounds of an input beyond its type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Given {
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// The only values allowed, as they are written.
    pub options: Vec<String>,
    /// Why there are no others, for who asks for one.
    pub because: String,
    pub about: String,
}

/// A model of the workflow, to be registered as `workflow__name`.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub name: String,
    pub place: Place,
    pub url: String,
    pub min_workers: usize,
    pub max_workers: usize,
    pub batch_size: usize,
    pub max_batch_delay: Duration,
    /// The functions of the archive's handler file that nodes call, where it is these and `url` their file; empty where it is a
    /// model with an archive.
    pub functions: Vec<String>,
}

/// What is called, opened or closed.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    pub place: Place,
    pub kind: Kind,
    /// The scope whose items it runs for.
    pub scope: ScopeId,
    /// What it takes; for a `foreach` and a gather exactly one. The classic form's start node takes one named `""`, which
    /// is the request as it came.
    pub inputs: Vec<Bind>,
    /// Runs only where this is true; otherwise it is skipped, and so is whoever needs it.
    pub when: Option<Expression>,
    pub on_error: OnError,
    /// How often it is tried again after a failure.
    pub retry_attempts: u32,
    /// For each attempt.
    pub timeout: Option<Duration>,
    /// What is known of its output.
    pub output: Type,
}

/// What a node is.
pub enum Kind {
    /// Index into [`Graph::models`]. `together`: the model never merges requests, so all items of one request go to it at
    /// once, as one batch. `function`: which of its functions is called, where it is functions of the handler file.
    Model {
        model: usize,
        together: bool,
        function: Option<Arc<str>>,
    },
    Function {
        name: String,
        bound: Arc<dyn Bound>,
    },
    /// Opens a scope: its value inside is one item, in turn.
    Foreach {
        opens: ScopeId,
        /// At most so many items.
        limit: Option<(usize, Overflow)>,
    },
    /// Closes a scope: the list of what its input was for each item, in their order. What was skipped is null.
    Gather(Gather),
}

/// What a gather closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gather {
    pub closes: ScopeId,
}

/// What happens to more items than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The first ones are taken; the answer says that it is degraded.
    Truncate,
    /// The node fails.
    Error,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Model {
                model,
                together,
                function,
            } => f
                .debug_struct("Model")
                .field("model", model)
                .field("together", together)
                .field("function", function)
                .finish(),
            Kind::Function { name, .. } => f.debug_tuple("Function").field(name).finish(),
            Kind::Foreach { opens, limit } => f
                .debug_struct("Foreach")
                .field("opens", opens)
                .field("limit", limit)
                .finish(),
            Kind::Gather(gather) => gather.fmt(f),
        }
    }
}

/// A named input of a node.
#[derive(Debug, Clone)]
pub struct Bind {
    pub name: String,
    pub place: Place,
    pub from: Source,
    /// What the node wants there; checked again when the value is there, unless it is certain to fit.
    pub wanted: Type,
    pub certain: bool,
    /// If it is skipped, the node is skipped too; otherwise the node runs without it.
    pub required: bool,
}

/// Where a value comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The whole request: every part of it, as it came. Only the start node of the classic form, and `request` in a typed one,
    /// where it is the payload (`data`, else `body`, else the only part there is).
    Request,
    /// A part of the request, or a declared input.
    Part(String),
    /// The output of a node, of the same scope or of one around it, or a member inside it.
    Node {
        node: NodeId,
        path: Vec<String>,
    },
    Literal(Value),
}

/// What is done when a node has failed for the last time.
#[derive(Debug, Clone, Default)]
pub enum OnError {
    #[default]
    Fail,
    /// As if its condition had been false; the answer says that it is degraded.
    Skip,
    /// This in place of its output; the answer says that it is degraded.
    Use(Source),
}

/// A place where a scope's items come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// The `foreach` node that opens it; `None` for the request.
    pub opened_by: Option<NodeId>,
    pub parent: Option<ScopeId>,
}

/// One form of the answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// For which `Accept` it is made; `None` for the usual one.
    pub content_type: Option<String>,
    pub pick: Pick,
    /// For each node of the graph whether this answer needs it. The others are not run.
    pub needs: Vec<bool>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Pick {
    One(Source),
    /// An object.
    Named(Vec<(String, Source)>),
}

impl Given {
    /// Whether a value of the right type is within the bounds.
    ///
    /// # Errors
    ///
    /// What was expected and what was found, in one line.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let told = |why: String| match self.because.as_str() {
            "" => why,
            because => format!("{why}: {because}"),
        };
        let Some(word) = word(value) else {
            return Ok(());
        };
        if !self.is_option(&word) {
            let known = match &self.options[..] {
                [only] => only.clone(),
                all => format!("one of {}", all.join(", ")),
            };
            return Err(told(format!("expected {known}, found `{word}`")));
        }
        let number = match value {
            Value::Int(number) => *number as f64,
            Value::Float(number) => *number,
            Value::Null
            | Value::Bool(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Image(_)
            | Value::Tensor(_)
            | Value::List(_)
            | Value::Map(_) => return Ok(()),
        };
        // What is no number is within no bounds.
        let within =
            self.min.is_none_or(|min| number >= min) && self.max.is_none_or(|max| number <= max);
        if within {
            return Ok(());
        }
        let bounds = match (self.min, self.max) {
            (Some(min), Some(max)) => format!("from {min} to {max}"),
            (Some(min), None) => format!("of at least {min}"),
            (None, max) => format!("of at most {}", max.unwrap_or_default()),
        };
        Err(told(format!("expected a number {bounds}, found {number}")))
    }

    pub(crate) fn is_option(&self, word: &str) -> bool {
        self.options.is_empty() || self.options.iter().any(|option| option == word)
    }
}

/// A value as it is written; `None` for what no option can be.
pub(crate) fn word(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Text(text) => Some(text.to_string()),
        Value::Null
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::Tensor(_)
        | Value::List(_)
        | Value::Map(_) => None,
    }
}

impl Node {
    /// Everything it needs: its inputs, what its condition looks at, and what stands in for its output.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let inputs = self.inputs.iter().map(|bind| &bind.from);
        let when = self.when.iter().flat_map(Expression::sources);
        let instead = match &self.on_error {
            OnError::Use(source) => Some(source),
            OnError::Fail | OnError::Skip => None,
        };
        inputs.chain(when).chain(instead)
    }

    pub(crate) fn sources_mut(&mut self) -> impl Iterator<Item = &mut Source> {
        let inputs = self.inputs.iter_mut().map(|bind| &mut bind.from);
        let when = self.when.iter_mut().flat_map(|when| &mut when.sources);
        let instead = match &mut self.on_error {
            OnError::Use(source) => Some(source),
            OnError::Fail | OnError::Skip => None,
        };
        inputs.chain(when).chain(instead)
    }

    /// The request's input from which a parameter of its function is taken, where it comes from there. `parameter` may say a
    /// place inside it, as [`FunctionError::Parameter`](crate::FunctionError::Parameter) does.
    pub fn asked(&self, parameter: &str) -> Option<&str> {
        let name = parameter.split(['.', '[']).next().unwrap_or_default();
        let bind = self.inputs.iter().find(|bind| bind.name == name)?;
        match &bind.from {
            Source::Part(input) => Some(input),
            Source::Request | Source::Node { .. } | Source::Literal(_) => None,
        }
    }

    /// The scope in which its value is: that which it opens, or its own.
    pub fn value_scope(&self) -> ScopeId {
        match self.kind {
            Kind::Foreach { opens, .. } => opens,
            Kind::Model { .. } | Kind::Function { .. } | Kind::Gather(_) => self.scope,
        }
    }
}

impl Source {
    /// The node it comes from.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Source::Node { node, .. } => Some(*node),
            Source::Request | Source::Part(_) | Source::Literal(_) => None,
        }
    }
}

impl Pick {
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let (one, named) = match self {
            Pick::One(source) => (Some(source), &[][..]),
            Pick::Named(named) => (None, named.as_slice()),
        };
        one.into_iter()
            .chain(named.iter().map(|(_, source)| source))
    }
}

impl Graph {
    /// The models that some node calls.
    pub fn used_models(&self) -> impl Iterator<Item = &Model> {
        let is_called = |index: usize| {
            let calls = |kind: &Kind| matches!(kind, Kind::Model { model, .. } if *model == index);
            self.nodes.iter().any(|node| calls(&node.kind))
        };
        let models = self.models.iter().enumerate();
        models.filter_map(move |(index, model)| is_called(index).then_some(model))
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The node of that name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        let index = self.nodes.iter().position(|node| node.name == name)?;
        Some(NodeId(index))
    }

    /// What is wrong with a request's part of that name, and which input it may mean; `None` where an input takes it, or where
    /// the graph declares none.
    pub fn unknown_input(&self, name: &str) -> Option<String> {
        let entry = self.inputs.iter().find(|entry| entry.name == name);
        match entry.map(|entry| entry.from) {
            None if self.inputs.is_empty() => None,
            None => {
                let of_client = |entry: &&Entry| entry.from == Giver::Request;
                let names = self.inputs.iter().filter(of_client);
                let near = nearest(name, names.map(|entry| entry.name.as_str()));
                Some(format!("there is no input `{name}`{near}"))
            }
            Some(Giver::Request) => None,
            Some(Giver::Server) => Some(format!("the server itself gives the input `{name}`")),
        }
    }

    /// Whether something in the graph looks at a request's part of that name, be it declared or not.
    pub fn reads(&self, name: &str) -> bool {
        let nodes = self.nodes.iter().flat_map(Node::sources);
        let answers = self.answers.iter().flat_map(|answer| answer.pick.sources());
        let mut sources = nodes.chain(answers);
        sources.any(|source| matches!(source, Source::Part(part) if part == name))
    }

    /// The scopes around one, from itself to the request.
    pub fn around(&self, scope: ScopeId) -> impl Iterator<Item = ScopeId> + '_ {
        std::iter::successors(Some(scope), |scope| self.scopes[scope.0].parent)
    }
}
