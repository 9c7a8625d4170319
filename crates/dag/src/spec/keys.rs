//! The keys of every object of the language, once: reading refuses others, and the schema for editors is made of them.

/// A key and what may stand there.
#[derive(Debug)]
pub(crate) struct KeyOf {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) about: &'static str,
}

/// What may stand at a key, as the schema needs to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text,
    /// Text or number.
    Word,
    /// Text, or true or false.
    Condition,
    Integer {
        min: u32,
    },
    Number,
    Anything,
    /// The words of `Type`.
    Type,
    Reference,
    /// A reference, or an object from input names to references and literals.
    Inputs,
    /// An object of types by name.
    Types,
    /// Texts, numbers and truth values.
    Options,
    Model,
    Function,
    With,
    OneOf(&'static [&'static str]),
    OnError,
    Models,
    Functions,
    Dag,
    Nodes,
    Declared,
    Output,
    /// An object of texts by content type.
    Suffixes,
}

const fn key(name: &'static str, shape: Shape, about: &'static str) -> KeyOf {
    KeyOf { name, shape, about }
}

pub(crate) const SPEC: &[KeyOf] = &[
    key(
        "name",
        Shape::Text,
        "What the workflow is called where its archive does not say",
    ),
    key("version", Shape::Word, "The workflow's version"),
    key("description", Shape::Text, "What it is for"),
    key("inputs", Shape::Declared, "What a request brings, by name"),
    key(
        "models",
        Shape::Models,
        "The models, and defaults for those below them",
    ),
    key(
        "functions",
        Shape::Functions,
        "Native functions with parameters, under names of one's own",
    ),
    key("dag", Shape::Dag, "The classic form: who comes after whom"),
    key("nodes", Shape::Nodes, "The typed form: who takes what"),
    key(
        "output",
        Shape::Output,
        "What is answered: a reference, an object of them, or one of these by content type",
    ),
    key(
        "files",
        Shape::Suffixes,
        "What files of answers are called, by content type: `.pseudo.png` makes `cow.pseudo.png` of `cow.jpg`",
    ),
];

/// Of a model, and above models the defaults for them.
pub(crate) const SETTINGS: &[KeyOf] = &[
    key(
        "min-workers",
        Shape::Integer { min: 0 },
        "Reported, as TorchServe does; max-workers are started",
    ),
    key(
        "max-workers",
        Shape::Integer { min: 1 },
        "Workers that are started",
    ),
    key(
        "batch-size",
        Shape::Integer { min: 1 },
        "The most requests in one batch",
    ),
    key(
        "max-batch-delay",
        Shape::Integer { min: 0 },
        "Milliseconds that a request waits for company at most",
    ),
    key(
        "retry-attempts",
        Shape::Integer { min: 0 },
        "How often a failed call is tried again",
    ),
    key(
        "timeout-ms",
        Shape::Integer { min: 1 },
        "Milliseconds that one attempt may take",
    ),
];

pub(crate) const MODEL: &[KeyOf] = &[
    key(
        "url",
        Shape::Text,
        "The model's archive, as in registering a model",
    ),
    key(
        "inputs",
        Shape::Types,
        "Types of its inputs by name, where the archive does not say",
    ),
    key(
        "output",
        Shape::Type,
        "Type of its output, where the archive does not say",
    ),
];

pub(crate) const FUNCTION: &[KeyOf] = &[
    key("function", Shape::Function, "A native function"),
    key("with", Shape::With, "Its parameters"),
    key(
        "in",
        Shape::Inputs,
        "In a classic spec: which parent's output, or which member of it, goes to which input",
    ),
];

pub(crate) const INPUT: &[KeyOf] = &[
    key("type", Shape::Type, "Its type"),
    key(
        "default",
        Shape::Anything,
        "In place of what a request does not bring",
    ),
    key("min", Shape::Number, "The least number allowed"),
    key("max", Shape::Number, "The greatest number allowed"),
    key("options", Shape::Options, "The only values allowed"),
    key(
        "because",
        Shape::Text,
        "Why others are refused, for who asks for one",
    ),
    key("about", Shape::Text, "What it means"),
    key(
        "from",
        Shape::OneOf(&["request", "server"]),
        "Who gives it: with `server`, it is what the server knows of the run",
    ),
];

/// Of every node.
pub(crate) const NODE: &[KeyOf] = &[
    key("model", Shape::Model, "A model of `models`"),
    key(
        "function",
        Shape::Function,
        "One of `functions`, or a native function",
    ),
    key(
        "foreach",
        Shape::Reference,
        "A list or tensor: what needs this node runs for each item",
    ),
    key(
        "gather",
        Shape::Reference,
        "A node inside a foreach: the list of what it gave for each item",
    ),
    key("in", Shape::Inputs, "What it takes"),
    key("with", Shape::With, "Parameters of the function"),
    key(
        "when",
        Shape::Condition,
        "It runs only where this condition holds",
    ),
    key(
        "on-error",
        Shape::OnError,
        "What is done after the last failed attempt: fail, skip, or {use: reference}",
    ),
    key(
        "retry-attempts",
        Shape::Integer { min: 0 },
        "How often a failed call is tried again",
    ),
    key(
        "timeout-ms",
        Shape::Integer { min: 1 },
        "Milliseconds that one attempt may take",
    ),
    key(
        "limit",
        Shape::Integer { min: 1 },
        "The most items of a foreach",
    ),
    key(
        "overflow",
        Shape::OneOf(&["error", "truncate"]),
        "What happens to more items than `limit`",
    ),
];

/// The keys that say what a node is.
pub(crate) const KINDS: &[&str] = &["model", "function", "foreach", "gather"];

/// Which further keys a kind of node has, beyond `when` and `on-error`.
pub(crate) fn of_kind(kind: &str) -> &'static [&'static str] {
    match kind {
        "model" => &["in", "retry-attempts", "timeout-ms"],
        "foreach" => &["limit", "overflow"],
        "gather" => &[],
        _ => &["in", "with", "retry-attempts", "timeout-ms"],
    }
}
