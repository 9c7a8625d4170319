//! How a function of this crate is declared, and how its parameters may come late.

use dag::{
    About, Arguments, Bound, Function, FunctionError, Inputs, Parameter, ParameterError, Port,
};
use servable::{Type, Value};

use crate::json;
use crate::parameters::Parameters;

/// One function: what is to be known of it, and how it is made of its parameters.
pub(crate) struct Native {
    pub(crate) about: About,
    /// Reads the parameters; what is wrong with them is remembered by [`Parameters`], and the result then dropped.
    pub(crate) bind: fn(&mut Parameters<'_>) -> Box<dyn Bound>,
}

impl Function for &'static Native {
    fn about(&self) -> &About {
        &self.about
    }

    fn bind(&self, arguments: &Arguments) -> Result<Box<dyn Bound>, Vec<ParameterError>> {
        let mut parameters = Parameters::new(&self.about, arguments);
        let ready = (self.bind)(&mut parameters);
        let (wrong, missing) = parameters.finish();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Box::new(Node {
            native: self,
            arguments: arguments.clone(),
            ready: if missing.is_empty() {
                Ok(ready)
            } else {
                Err(missing)
            },
        }))
    }
}

/// One node's use of a function.
struct Node {
    native: &'static Native,
    arguments: Arguments,
    /// Without what is missing, which may come with each call: then nothing is wrong with that.
    ready: Result<Box<dyn Bound>, Vec<ParameterError>>,
}

impl Node {
    /// Whether an input is the name of a parameter, whose value then comes with each call.
    fn is_late(&self, input: &str) -> bool {
        let about = &self.native.about;
        !about.inputs.iter().any(|port| port.name == input)
            && about.parameters.iter().any(|known| known.name == input)
    }

    /// The function with the parameters that came with a call.
    fn with(&self, late: Vec<(String, Value)>) -> Result<Box<dyn Bound>, FunctionError> {
        let mut arguments = self.arguments.clone();
        for (name, value) in late {
            let value = json::of(&value).map_err(|reason| bad_parameter(&name, &reason))?;
            arguments.insert(name, value);
        }
        let mut parameters = Parameters::new(&self.native.about, &arguments);
        let ready = (self.native.bind)(&mut parameters);
        let (wrong, missing) = parameters.finish();
        match wrong.iter().chain(&missing).next() {
            None => Ok(ready),
            Some(error) => Err(bad_parameter(&error.parameter, &error.message)),
        }
    }
}

fn bad_parameter(name: &str, reason: &str) -> FunctionError {
    FunctionError::BadInput(format!("parameter `{name}`: {reason}"))
}

impl Bound for Node {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        if inputs.iter().any(|(name, _)| self.is_late(name)) {
            return Ok(self.native.about.output.parse().unwrap_or_default());
        }
        match &self.ready {
            Ok(ready) => ready.output(inputs),
            Err(missing) => {
                let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
                Err(missing.join("; "))
            }
        }
    }

    fn call(&self, inputs: Vec<(String, Value)>) -> Result<Value, FunctionError> {
        let (late, inputs): (Vec<_>, Vec<_>) =
            inputs.into_iter().partition(|(name, _)| self.is_late(name));
        match &self.ready {
            Ok(ready) if late.is_empty() => ready.call(inputs),
            Ok(_) | Err(_) => self.with(late)?.call(inputs),
        }
    }

    fn is_light(&self) -> bool {
        self.ready.as_ref().is_ok_and(|ready| ready.is_light())
    }
}

/// An input that must be there.
pub(crate) const fn required(name: &'static str, of: &'static str, about: &'static str) -> Port {
    Port {
        name,
        of,
        required: true,
        about,
    }
}

/// An input that may be there.
pub(crate) const fn optional(name: &'static str, of: &'static str, about: &'static str) -> Port {
    Port {
        name,
        of,
        required: false,
        about,
    }
}

/// A parameter that must be given.
pub(crate) const fn needed(
    name: &'static str,
    values: &'static str,
    about: &'static str,
) -> Parameter {
    Parameter {
        name,
        values,
        default: None,
        about,
    }
}

/// A parameter with a value of its own; `none` where leaving it out switches something off.
pub(crate) const fn setting(
    name: &'static str,
    values: &'static str,
    default: &'static str,
    about: &'static str,
) -> Parameter {
    Parameter {
        name,
        values,
        default: Some(default),
        about,
    }
}
