//! Workflow graphs without I/O: what a spec says, whether that can run ([`Graph`]), and one run of it.
//!
//! A tour: YAML is read with every place remembered, the spec is what is written there, checking makes the graph of it or
//! says everything that is wrong at once, and a run is a state machine that says what can be called next and is told what
//! came of it. Nobody here calls a model or looks at a clock.
//!
//! `serving` drives runs; the server's endpoints, `torchrelay lint` and `torchrelay graph` check specs.

mod check;
mod draw;
mod expression;
mod function;
mod graph;
mod infer;
mod json;
mod plan;
mod problem;
mod run;
mod schema;
mod spec;
#[cfg(test)]
mod testing;
mod yaml;

pub use check::{Checked, Options, Python, Summary, check};
pub use draw::Notes;
pub use expression::Expression;
pub use function::{
    About, Arguments, Bound, Catalogue, Function, FunctionError, Inputs, Parameter, ParameterError,
    Port,
};
pub use graph::{
    Answer, Bind, Entry, Form, Gather, Given, Giver, Graph, Kind, Model, Node, NodeId, OnError,
    Overflow, Pick, Place, Scope, ScopeId, Source,
};
pub use infer::Facts;
pub use json::{from_json, value_of};
pub use plan::Plan;
pub use problem::{Problem, Severity, nearest};
pub use run::{Call, CallId, Calls, Failure, Fault, Outcome, Request, Run};
pub use schema::schema;
pub use spec::Settings;
