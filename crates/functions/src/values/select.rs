use dag::{About, FunctionError, Inputs};
use servable::{Type, Value};

use crate::given::{Given, given, wrong};
use crate::native::{Native, Ready, needed, required, setting};
use crate::parameters::Parameters;
use crate::path::Path;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "select",
        summary: "Picks a member of an object or an item of a list",
        details: "A path is `member`, `member.member`, `member[0]` or `[0]`; places count from 0, and an item of a tensor is its \
row. Where a member of text or of bytes is asked for, they are read as JSON first, so what a model of another kind answered \
can be taken apart too.",
        inputs: &[required("value", "any", "the whole")],
        open: false,
        parameters: &[
            needed(
                "path",
                "a path such as `predictions[0].label`",
                "what is picked",
            ),
            setting(
                "default",
                "any value",
                "none",
                "the answer where there is no such member; without it that is an error",
            ),
        ],
        output: "any",
        example: "first: {function: select, in: detector, with: {path: \"coordinates[0]\"}}",
    },
    bind,
};

struct Select {
    path: Option<Path>,
    default: Option<Value>,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let path = parameters.text("path").map(Path::parse);
    let path = path.and_then(|path| {
        path.map_err(|reason| parameters.refuse("path", reason))
            .ok()
    });
    let default = parameters.find("default").cloned();
    Box::new(Select {
        path,
        default: default.map(crate::json::value),
    })
}

impl Ready for Select {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        match &self.path {
            Some(path) if self.default.is_none() => path.type_in(&given(inputs, "value")),
            Some(_) | None => Ok(Type::Any),
        }
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let value = inputs.value("value")?;
        let Some(path) = &self.path else {
            return Ok(value);
        };
        match (path.value_in(&value), &self.default) {
            (Ok(found), _) => Ok(found),
            (Err(_), Some(default)) => Ok(default.clone()),
            (Err(reason), None) => Err(wrong("value", reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, json, output, tensor, text, try_bound};

    fn check(with: &str, value: Value, expected: &str) {
        let found = call("select", with, &[("value", value)]);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    #[test]
    fn members_are_picked() {
        check("{path: a.b}", json(r#"{"a": {"b": [1, 2]}}"#), "[1,2]");
        check("{path: 'a[1]'}", Value::from(r#"{"a": [1, 2]}"#), "2");
        check("{path: '[1]'}", tensor(&[2, 2], &[1i64, 2, 3, 4]), "[3,4]");
        check(
            "{path: b}",
            json(r#"{"a": 1}"#),
            "input `value` `b`: no member `b` in an object of a",
        );
        check("{path: b, default: []}", json(r#"{"a": 1}"#), "[]");
    }

    #[test]
    fn paths_and_types_are_checked() {
        assert_eq!(
            try_bound("select", "{path: 'a['}").err().as_deref(),
            Some("path: `a[` has no `]` for its `[`")
        );
        assert_eq!(
            output("select", "{path: b}", &[("value", "{a: int}")]),
            "error: `b`: {a: int} has no member `b`"
        );
        assert_eq!(
            output("select", "{path: a}", &[("value", "{a: int}")]),
            "int"
        );
        assert_eq!(
            output("select", "{}", &[("value", "any")]),
            "error: path: must be given"
        );
    }
}
