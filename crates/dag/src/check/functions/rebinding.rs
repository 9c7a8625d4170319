//! A function some of whose parameters come with each request.

use std::sync::{Arc, Mutex, PoisonError};

use servable::{Type, Value};

use super::to_json;
use crate::function::{Arguments, Bound, Function, FunctionError, Inputs};

/// Binds its function anew whenever the parameters differ from the last ones.
pub(in crate::check) struct Rebinding {
    native: Arc<dyn Function>,
    fixed: Arguments,
    /// The names of the parameters among the inputs.
    later: Vec<String>,
    /// Requests mostly bring the same ones.
    last: Mutex<Option<(Arguments, Arc<dyn Bound>)>>,
}

impl Rebinding {
    pub(super) fn new(native: Arc<dyn Function>, fixed: Arguments, later: &[&str]) -> Self {
        Rebinding {
            native,
            fixed,
            later: later.iter().map(|&name| name.to_owned()).collect(),
            last: Mutex::new(None),
        }
    }

    fn bound(&self, arguments: Arguments) -> Result<Arc<dyn Bound>, FunctionError> {
        // The lock is not held while binding, so that a slow one holds up nobody else.
        if let Some((last, bound)) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
            && *last == arguments
        {
            return Ok(Arc::clone(bound));
        }
        let bound = self.native.bind(&arguments).map_err(|errors| {
            let first = errors.into_iter().next();
            first.map_or_else(
                || FunctionError::Failed("the parameters cannot be used".into()),
                FunctionError::from,
            )
        })?;
        let bound: Arc<dyn Bound> = Arc::from(bound);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((arguments, Arc::clone(&bound)));
        Ok(bound)
    }
}

impl Bound for Rebinding {
    /// What the function's page says, as the parameters may change everything else.
    fn output(&self, _inputs: &Inputs<Type>) -> Result<Type, String> {
        Ok(self.native.about().output.parse().unwrap_or_default())
    }

    fn call(&self, inputs: Vec<(String, Value)>) -> Result<Value, FunctionError> {
        let mut arguments = self.fixed.clone();
        let mut rest = Vec::new();
        for (name, value) in inputs {
            if !self.later.contains(&name) {
                rest.push((name, value));
                continue;
            }
            let kind = value.kind();
            let json = to_json(&value).ok_or_else(|| FunctionError::Parameter {
                parameter: name.clone(),
                message: format!("{kind} is no parameter"),
            })?;
            arguments.insert(name, json);
        }
        self.bound(arguments)?.call(rest)
    }
}
