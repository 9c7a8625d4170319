//! Names of functions to functions with their parameters.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use servable::{Type, Value};

use super::Python;
use crate::function::{
    Arguments, Bound, Catalogue, Function, FunctionError, Inputs, ParameterError,
};
use crate::graph::Place;
use crate::problem::{About, Report};
use crate::spec::FunctionSpec;
use crate::yaml::{Content, Tree};

mod rebinding;

pub(super) use rebinding::Rebinding;

pub(super) struct Functions<'a> {
    catalogue: &'a dyn Catalogue,
    specs: &'a [FunctionSpec],
    python: Option<Python<'a>>,
    used: HashSet<&'a str>,
}

/// A native function, and the entry of `functions:` that leads to it.
#[derive(Clone)]
pub(super) struct Found<'a> {
    pub(super) native: Arc<dyn Function>,
    pub(super) spec: Option<&'a FunctionSpec>,
}

impl<'a> Functions<'a> {
    pub(super) fn new(
        catalogue: &'a dyn Catalogue,
        specs: &'a [FunctionSpec],
        python: Option<Python<'a>>,
    ) -> Self {
        Functions {
            catalogue,
            specs,
            python,
            used: HashSet::new(),
        }
    }

    /// The entry of `functions:`.
    pub(super) fn entry(&self, name: &str) -> Option<&'a FunctionSpec> {
        self.specs.iter().find(|spec| spec.name.value == name)
    }

    pub(super) fn native(&self, name: &str) -> Option<Arc<dyn Function>> {
        self.catalogue.find(name)
    }

    /// What an entry leads to. An unknown function is told where the entry is written.
    pub(super) fn follow(
        &mut self,
        spec: &'a FunctionSpec,
        report: &mut Report,
    ) -> Option<Found<'a>> {
        let first = self.used.insert(&spec.name.value);
        let native = self.catalogue.find(&spec.function.value);
        if native.is_none() && first {
            let at = About::at(spec.function.place)
                .node(&spec.name.value)
                .field("function");
            report.error(at, self.unknown(&spec.function.value, report));
        }
        Some(Found {
            native: native?,
            spec: Some(spec),
        })
    }

    pub(super) fn unknown(&self, name: &str, report: &Report) -> String {
        if let Some(python) = self.python.filter(|python| python.defines(name)) {
            let file = python.file;
            return format!(
                "`{name}` is a function of {file}, which nodes call without an entry here"
            );
        }
        let names = self.catalogue.names();
        let near = report.nearest(name, names.iter().copied());
        format!("there is no native function `{name}`{near}")
    }

    /// Names for a message about one that is unknown.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        let specs = self.specs.iter().map(|spec| spec.name.value.as_str());
        let python = self.python.map_or(&[][..], |python| python.functions);
        let python = python.iter().map(String::as_str);
        specs.chain(python).chain(self.catalogue.names())
    }

    pub(super) fn unused(&self) -> impl Iterator<Item = &'a FunctionSpec> {
        self.specs
            .iter()
            .filter(|spec| !self.used.contains(spec.name.value.as_str()))
    }
}

impl Found<'_> {
    /// The function with the parameters of its entry and, over them, of the node; those in `later` come with each request.
    pub(super) fn bind(
        &self,
        node: &str,
        place: Place,
        with: Option<&Tree>,
        later: &[&str],
        report: &mut Report,
    ) -> Arc<dyn Bound> {
        let withs = [self.spec.and_then(|spec| spec.with.as_ref()), with];
        let mut arguments = Arguments::new();
        for tree in withs.into_iter().flatten() {
            match (&tree.content, tree.to_json()) {
                (_, Json::Object(members)) => arguments.extend(members),
                (Content::Null, _) => {}
                _ => {
                    let at = About::at(tree.place).node(node).field("with");
                    report.error(
                        at,
                        format!("expected an object of parameters, found {}", tree.kind()),
                    );
                }
            }
        }
        for name in later {
            if arguments.contains_key(*name) {
                let at = About::at(place).node(node).field(name);
                report.error(at, "the parameter is given under both `in` and `with`");
            }
        }
        let bound = self.native.bind(&arguments);
        if later.is_empty() {
            return match bound {
                Ok(bound) => Arc::from(bound),
                Err(errors) => {
                    wrong(&errors, node, place, withs, &[], report);
                    Arc::new(Unknown)
                }
            };
        }
        if let Err(errors) = &bound {
            wrong(errors, node, place, withs, later, report);
        }
        Arc::new(Rebinding::new(Arc::clone(&self.native), arguments, later))
    }
}

/// Tells each wrong parameter at its place. What is missing and will come later is not missing.
fn wrong(
    errors: &[ParameterError],
    node: &str,
    place: Place,
    withs: [Option<&Tree>; 2],
    later: &[&str],
    report: &mut Report,
) {
    for error in errors {
        let path = &error.parameter;
        let name = path.split(['.', '[']).next().unwrap_or_default();
        if later.contains(&name) {
            continue;
        }
        let [entry, own] = withs;
        let tree = own
            .filter(|tree| tree.get(name).is_some())
            .or(entry.filter(|tree| tree.get(name).is_some()));
        let place = match (tree, own.or(entry)) {
            (Some(tree), _) => tree.along(path).place,
            (None, Some(tree)) => tree.place,
            (None, None) => place,
        };
        let field = format!("with.{path}");
        report.error(About::at(place).node(node).field(&field), &*error.message);
    }
}

/// In place of what could not be made: nothing is known of it, and it is never called.
pub(super) struct Unknown;

impl Bound for Unknown {
    fn output(&self, _inputs: &Inputs<Type>) -> Result<Type, String> {
        Ok(Type::Any)
    }

    fn call(&self, _inputs: Vec<(String, Value)>) -> Result<Value, FunctionError> {
        Err(FunctionError::Failed(
            "the function could not be made".to_owned(),
        ))
    }
}

/// A value as a parameter. `None` for what no spec could write.
fn to_json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::Text(text) => Json::from(&**text),
        // Form fields come as bytes.
        Value::Bytes(bytes) => {
            let text = std::str::from_utf8(bytes).ok()?;
            serde_json::from_str(text).unwrap_or_else(|_| Json::from(text))
        }
        Value::List(items) => Json::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Value::Map(members) => Json::Object(
            members
                .iter()
                .map(|(name, value)| Some((name.clone(), to_json(value)?)))
                .collect::<Option<Map<_, _>>>()?,
        ),
        Value::Image(_) | Value::Tensor(_) => return None,
    })
}
