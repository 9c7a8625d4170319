//! How a function of this crate is declared, what it is made with, and how its parameters may come late.

use dag::{
    About, Arguments, Bound, Function, FunctionError, Inputs, Parameter, ParameterError, Port,
};
use image_ops::DecodeLimits;
use servable::{Type, Value};

use crate::given::Given;
use crate::json;
use crate::parameters::Parameters;

/// One function: what is to be known of it, and how it is made of its parameters.
pub(crate) struct Native {
    pub(crate) about: About,
    /// Reads the parameters; what is wrong with them is remembered by [`Parameters`], and the result then dropped.
    pub(crate) bind: fn(&mut Parameters<'_>) -> Box<dyn Ready>,
}

/// A function with its parameters: what a [`Bound`] is inside this crate, where inputs come as [`Given`].
pub(crate) trait Ready: Send + Sync {
    /// As [`Bound::output`].
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String>;

    /// As [`Bound::call`].
    fn call(&self, inputs: Given) -> Result<Value, FunctionError>;

    /// As [`Bound::is_light`].
    fn is_light(&self) -> bool {
        false
    }
}

impl Native {
    /// The function without parameters, for another that makes use of it; `None` where it needs some.
    pub(crate) fn plain(&self) -> Option<Box<dyn Ready>> {
        let arguments = Arguments::new();
        let mut parameters = Parameters::new(&self.about, &arguments);
        let ready = (self.bind)(&mut parameters);
        let (wrong, missing) = parameters.finish();
        (wrong.is_empty() && missing.is_empty()).then_some(ready)
    }
}

/// A function within the bounds that whoever runs it sets to pictures.
pub(crate) struct Bounded {
    pub(crate) native: &'static Native,
    pub(crate) limits: DecodeLimits,
}

impl Function for Bounded {
    fn about(&self) -> &'static About {
        &self.native.about
    }

    fn bind(&self, arguments: &Arguments) -> Result<Box<dyn Bound>, Vec<ParameterError>> {
        let mut parameters = Parameters::new(&self.native.about, arguments);
        let ready = (self.native.bind)(&mut parameters);
        let (wrong, missing) = parameters.finish();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Box::new(Node {
            native: self.native,
            limits: self.limits,
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
    limits: DecodeLimits,
    arguments: Arguments,
    /// Without what is missing, which may come with each call: then nothing is wrong with that.
    ready: Result<Box<dyn Ready>, Vec<ParameterError>>,
}

impl Node {
    /// Whether an input is the name of a parameter, whose value then comes with each call.
    fn is_late(&self, input: &str) -> bool {
        let about = &self.native.about;
        !about.inputs.iter().any(|port| port.name == input)
            && about.parameters.iter().any(|known| known.name == input)
    }

    /// The function with the parameters that came with a call.
    fn with(&self, late: Vec<(String, Value)>) -> Result<Box<dyn Ready>, FunctionError> {
        let mut arguments = self.arguments.clone();
        for (name, value) in late {
            let value = json::of(&value).map_err(|message| FunctionError::Parameter {
                parameter: name.clone(),
                message,
            })?;
            arguments.insert(name, value);
        }
        let mut parameters = Parameters::new(&self.native.about, &arguments);
        let ready = (self.native.bind)(&mut parameters);
        let (wrong, missing) = parameters.finish();
        match wrong.into_iter().chain(missing).next() {
            None => Ok(ready),
            Some(error) => Err(error.into()),
        }
    }
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
            Ok(ready) if late.is_empty() => ready.call(Given::new(inputs, self.limits)),
            Ok(_) | Err(_) => self.with(late)?.call(Given::new(inputs, self.limits)),
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
