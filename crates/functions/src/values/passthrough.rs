use dag::{About, FunctionError, Inputs};
use servable::{Type, Value};

use crate::given::{Given, given};
use crate::native::{Native, Ready, required};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "passthrough",
        summary: "Gives what it is given",
        details: "For a name of one's own in the middle of a graph, or for a condition (`when:`) that others depend on.",
        inputs: &[required("value", "any", "anything")],
        open: false,
        parameters: &[],
        output: "any",
        example: "found: {function: passthrough, in: boxes, when: \"size(boxes) > 0\"}",
    },
    bind,
};

struct Passthrough;

fn bind(_: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(Passthrough)
}

impl Ready for Passthrough {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        Ok(given(inputs, "value"))
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        inputs.value("value")
    }

    fn is_light(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bound, call, output, text, try_bound};

    #[test]
    fn it_changes_nothing() {
        let found = call("passthrough", "{}", &[("value", Value::Int(3))]);
        assert_eq!(found.map(|found| text(&found)).as_deref(), Ok("3"));
        assert_eq!(output("passthrough", "{}", &[("value", "boxes")]), "boxes");
        assert!(bound("passthrough", "{}").is_light());
        assert_eq!(
            call("passthrough", "{}", &[]).err().as_deref(),
            Some("input `value` is missing")
        );
        assert_eq!(
            try_bound("passthrough", "{a: 1}").err().as_deref(),
            Some("a: unknown parameter: passthrough takes none")
        );
    }
}
