//! `deploy.yaml`: the network's file, and the transforms before it.

use dag::{Arguments, Catalogue};
use functions::Functions;
use serde_json::Value;

/// What the file says, with transforms that there are.
#[derive(Debug, PartialEq)]
pub(super) struct Deploy {
    /// A name in the archive.
    pub(super) model: String,
    /// As they are written.
    pub(super) transforms: Vec<Value>,
}

impl Deploy {
    /// Reads and checks it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in one line, each mistake with its key.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let document: Value =
            serde_yaml::from_str(text).map_err(|error| format!("it is not YAML: {error}"))?;
        let section = &document["Deploy"];
        if !section.is_object() {
            return Err(format!(
                "Deploy: expected an object, found {}",
                kind(section)
            ));
        }
        let model = section["model"].as_str().ok_or_else(|| {
            let found = kind(&section["model"]);
            format!("Deploy.model: expected the name of a file, found {found}")
        })?;
        let transforms = match &section["transforms"] {
            Value::Null => Vec::new(),
            Value::Array(transforms) => transforms.clone(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                let found = kind(other);
                return Err(format!("Deploy.transforms: expected a list, found {found}"));
            }
        };
        check(&transforms)?;
        Ok(Deploy {
            model: model.to_owned(),
            transforms,
        })
    }
}

/// Has the function that will run them read them.
fn check(transforms: &[Value]) -> Result<(), String> {
    let function = Functions::default()
        .find("transforms")
        .ok_or("there is no function `transforms`")?;
    let arguments = Arguments::from_iter([("steps".to_owned(), Value::from(transforms))]);
    let Err(mistakes) = function.bind(&arguments) else {
        return Ok(());
    };
    let told = mistakes.iter().map(|mistake| {
        let place = mistake.parameter.replacen("steps", "Deploy.transforms", 1);
        format!("{place}: {}", mistake.message)
    });
    Err(told.collect::<Vec<_>>().join("; "))
}

/// What a value is, in a message.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, usize), &str>) {
        let found = Deploy::read(text);
        let found = found
            .as_ref()
            .map(|deploy| (deploy.model.as_str(), deploy.transforms.len()));
        assert_eq!(found.map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn the_network_and_its_transforms_are_found() {
        let text = "Deploy:\n  model: model.pt\n  params: model.pt\n  transforms:\n  - type: Normalize\n    mean: [0.5, 0.5, 0.5]\n  - {type: Resize, target_size: [512, 512], keep_ratio: true, size_divisor: 32, interp: AREA}\n";
        check(text, Ok(("model.pt", 2)));
        check("Deploy: {model: m.pt}", Ok(("m.pt", 0)));
        check("Deploy: {model: m.pt, transforms: null}", Ok(("m.pt", 0)));
    }

    #[test]
    fn mistakes_name_their_place() {
        check(
            "Deploy: [",
            Err(
                "it is not YAML: did not find expected node content at line 2 column 1, while parsing a flow node",
            ),
        );
        check("{}", Err("Deploy: expected an object, found nothing"));
        check(
            "Deploy: {}",
            Err("Deploy.model: expected the name of a file, found nothing"),
        );
        check(
            "Deploy: {model: m, transforms: {type: Normalize}}",
            Err("Deploy.transforms: expected a list, found an object"),
        );
        // Of training alone, unknown, and with a value that cannot be.
        check(
            "Deploy: {model: m, transforms: [{type: RandomHorizontalFlip}, {type: Normalize, std: 0}, {type: ResizeByLong}]}",
            Err(
                "Deploy.transforms[0].type: `RandomHorizontalFlip` is no step of inference, expected one of Normalize, Resize, ResizeByLong, ResizeByShort, LimitLong, Padding, PaddingByAspectRatio; \
                 Deploy.transforms[1].std: expected a list of 3 numbers that are not 0, found 0; \
                 Deploy.transforms[2].long_size: must be given",
            ),
        );
    }
}
