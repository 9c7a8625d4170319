//! A catalogue of a few functions for tests: about the shape of the real ones, without their work.

use std::sync::Arc;

use servable::{Type, Value};

use crate::function::{
    About, Arguments, Bound, Catalogue, Function, FunctionError, Inputs, Parameter, ParameterError,
    Port,
};

pub(crate) struct Few;

impl Catalogue for Few {
    fn find(&self, name: &str) -> Option<Arc<dyn Function>> {
        let found = ALL.iter().find(|function| function.about.name == name)?;
        Some(Arc::new(found))
    }

    fn names(&self) -> Vec<&'static str> {
        ALL.iter().map(|function| function.about.name).collect()
    }
}

struct Simple {
    about: About,
}

static ALL: [Simple; 7] = [
    simple("decode_image", &[port("image", "bytes")], "image", &[]),
    simple(
        "resize",
        &[port("image", "image")],
        "image",
        &[
            parameter("size", None),
            parameter("kernel", Some("cv_linear")),
        ],
    ),
    simple(
        "crop_by_boxes",
        &[port("image", "image"), port("boxes", "boxes")],
        "list<image>",
        &[parameter("size", None)],
    ),
    simple("stack", &[port("list", "list<text>")], "text", &[]),
    simple("count", &[port("list", "list<any>")], "int", &[]),
    simple("now", &[], "float", &[]),
    Simple {
        about: About {
            open: true,
            ..simple("merge", &[], "json", &[]).about
        },
    },
];

const fn simple(
    name: &'static str,
    inputs: &'static [Port],
    output: &'static str,
    parameters: &'static [Parameter],
) -> Simple {
    Simple {
        about: About {
            name,
            summary: "does it",
            details: "",
            inputs,
            open: false,
            parameters,
            output,
            example: "",
        },
    }
}

const fn port(name: &'static str, of: &'static str) -> Port {
    Port {
        name,
        of,
        required: true,
        about: "",
    }
}

const fn parameter(name: &'static str, default: Option<&'static str>) -> Parameter {
    Parameter {
        name,
        values: "anything",
        default,
        about: "what it is",
    }
}

impl Function for &'static Simple {
    fn about(&self) -> &'static About {
        &self.about
    }

    fn bind(&self, arguments: &Arguments) -> Result<Box<dyn Bound>, Vec<ParameterError>> {
        let mut errors = Vec::new();
        let mut wrong = |parameter: &str, message: &str| {
            errors.push(ParameterError {
                parameter: parameter.to_owned(),
                message: message.to_owned(),
            });
        };
        for parameter in self.about.parameters {
            if parameter.default.is_none() && !arguments.contains_key(parameter.name) {
                wrong(parameter.name, "it must be given");
            }
        }
        for (name, value) in arguments {
            if !self
                .about
                .parameters
                .iter()
                .any(|parameter| parameter.name == name)
            {
                wrong(name, "there is no such parameter");
            } else if let Some(index) = value
                .as_array()
                .and_then(|items| items.iter().position(|item| !item.is_number()))
            {
                wrong(&format!("{name}[{index}]"), "expected a number");
            }
        }
        let bound = Echo {
            name: self.about.name,
            output: self.about.output.parse().expect("a type"),
            arguments: arguments.clone(),
        };
        if errors.is_empty() {
            Ok(Box::new(bound))
        } else {
            Err(errors)
        }
    }
}

/// Gives what it was called with, as text.
struct Echo {
    name: &'static str,
    output: Type,
    arguments: Arguments,
}

impl Bound for Echo {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        if self.name != "merge" {
            return Ok(self.output.clone());
        }
        let fields = inputs.iter().map(|(name, of)| servable::Field {
            name: name.clone(),
            of: of.clone(),
        });
        Ok(Type::Record(fields.collect()))
    }

    fn call(&self, inputs: Vec<(String, Value)>) -> Result<Value, FunctionError> {
        let names: Vec<_> = inputs.into_iter().map(|(name, _)| name).collect();
        let arguments = serde_json::Value::Object(self.arguments.clone());
        Ok(Value::from(format!(
            "{}({}) with {arguments}",
            self.name,
            names.join(", ")
        )))
    }
}
