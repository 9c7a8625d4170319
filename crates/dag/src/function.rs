//! Native functions as graphs see them: what they are called, what they take and give, and how one is made ready.
//!
//! The functions themselves live in the crate `functions`, which nobody here knows.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use servable::{Type, Value};
use thiserror::Error;

/// One native function: `resize`, `nms`, `merge`.
pub trait Function: Send + Sync {
    /// What people read about it, and what specs are checked against.
    fn about(&self) -> &'static About;

    /// Checks the parameters of one node and makes the function ready for any number of calls. Every mistake is told.
    fn bind(&self, arguments: &Arguments) -> Result<Box<dyn Bound>, Vec<ParameterError>>;
}

/// The parameters of one node, as written under `with:`.
pub type Arguments = Map<String, Json>;

/// What is to be known of a function, in one place: specs are checked against it, and its page of the documentation is
/// made of it.
#[derive(Debug, Clone)]
pub struct About {
    pub name: &'static str,
    /// One line, without a full stop.
    pub summary: &'static str,
    /// Markdown: mathematics, sources, edge cases. May be empty.
    pub details: &'static str,
    pub inputs: &'static [Port],
    /// Whether any further inputs may be given, under any name: `merge` takes whatever there is.
    pub open: bool,
    pub parameters: &'static [Parameter],
    /// The type of its output as text, for people; [`Bound::output`] is what counts.
    pub output: &'static str,
    /// YAML of one node that uses it, as it would stand under `nodes:`.
    pub example: &'static str,
}

/// A named input.
#[derive(Debug, Clone, Copy)]
pub struct Port {
    pub name: &'static str,
    /// Its type, in the words of [`Type`].
    pub of: &'static str,
    pub required: bool,
    pub about: &'static str,
}

/// A named parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    pub name: &'static str,
    /// What may stand there, for people: `one of cv_linear, cv_area`, `[width, height]`, `number from 0 to 1`.
    pub values: &'static str,
    /// As it would be written; `None` where it must be given.
    pub default: Option<&'static str>,
    pub about: &'static str,
}

/// A parameter that is missing, unknown or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{parameter}: {message}")]
pub struct ParameterError {
    /// Its name, with the place inside it where that helps: `size[1]`.
    pub parameter: String,
    /// Expected and found, or the nearest known name.
    pub message: String,
}

/// The named inputs of one call, in the order of the function's ports and then of the spec. What is absent was skipped, or is
/// optional and not given.
pub type Inputs<T> = [(String, T)];

/// A function with its parameters, ready to be called from many threads at once.
pub trait Bound: Send + Sync {
    /// The type of the output for inputs of these types.
    ///
    /// # Errors
    ///
    /// Why it cannot work for them, in one line that names the input.
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String>;

    /// Computes. May take milliseconds: callers keep it off threads that must not wait, unless it [is light](Bound::is_light).
    fn call(&self, inputs: Vec<(String, Value)>) -> Result<Value, FunctionError>;

    /// Whether a call takes microseconds, whatever it is given.
    fn is_light(&self) -> bool {
        false
    }
}

/// Why a function gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FunctionError {
    /// The value is at fault, and with it the request: no picture, wrong shape, a missing member.
    #[error("{0}")]
    BadInput(String),
    /// A parameter is at fault, by itself or beside this value. Where it came with the request, so is the request.
    #[error("parameter `{parameter}`: {message}")]
    Parameter {
        /// Its name, with the place inside it where that helps: `size[1]`.
        parameter: String,
        /// Expected and found.
        message: String,
    },
    /// The function is at fault, or the machine.
    #[error("{0}")]
    Failed(String),
}

impl From<ParameterError> for FunctionError {
    fn from(error: ParameterError) -> Self {
        FunctionError::Parameter {
            parameter: error.parameter,
            message: error.message,
        }
    }
}

/// The functions there are.
pub trait Catalogue: Send + Sync {
    /// The function of that name, with all that it works with beside parameters and inputs.
    fn find(&self, name: &str) -> Option<Arc<dyn Function>>;

    /// All names, for the nearest one to a mistake.
    fn names(&self) -> Vec<&'static str>;
}
