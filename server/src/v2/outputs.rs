//! An answer as tensors by name.

use bytes::Bytes;
use servable::{DType, Storage, Tensor, Value};

use super::classification;
use super::{InferOutput, WantedOutput};

/// The name of an answer that is one thing, and of a whole object beside the names of its members.
pub(super) const LONE: &str = "output";

/// The outputs of an answer that were asked for, or all of them. `lone` is what an answer is called that has no names.
///
/// # Errors
///
/// An output that was asked for and is not there, and classes of something that has none.
pub(super) fn chosen(
    value: Value,
    lone: &str,
    wanted: &[WantedOutput],
    labels: &[String],
) -> Result<Vec<InferOutput>, String> {
    let members = members(&value, lone);
    if wanted.is_empty() {
        return Ok(members
            .into_iter()
            .map(|(name, value)| output(name, value))
            .collect());
    }
    let mut outputs: Vec<InferOutput> = Vec::with_capacity(wanted.len());
    for asked in wanted {
        if outputs.iter().any(|output| output.name() == asked.name) {
            return Err(format!("output `{}`: it is asked for twice", asked.name));
        }
        let member = members
            .iter()
            .find(|(name, _)| *name == asked.name)
            .map(|(_, value)| value.clone());
        // Whoever cannot know the members may ask for all of it.
        let whole = || (asked.name == LONE).then(|| value.clone());
        let value = member.or_else(whole).ok_or_else(|| {
            let names: Vec<_> = members
                .iter()
                .take(FEW)
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            let names = names.join(", ");
            format!("output `{}`: the answer has {names}", asked.name)
        })?;
        let named = |why: String| format!("output `{}`: {why}", asked.name);
        let classes = asked.parameters.count("classification", 1).map_err(named)?;
        outputs.push(match classes {
            Some(0) | None => output(asked.name.clone(), value),
            Some(classes) => {
                let (shape, elements) =
                    classification::best(&value, classes, labels).map_err(named)?;
                InferOutput::Bytes {
                    name: asked.name.clone(),
                    shape,
                    elements,
                }
            }
        });
    }
    Ok(outputs)
}

/// How many names a message has: an answer may have thousands.
const FEW: usize = 20;

/// The members of an object, the tensors of a list of them, or the one thing that it is.
fn members(value: &Value, lone: &str) -> Vec<(String, Value)> {
    if let Value::Map(members) = value
        && !members.is_empty()
    {
        return members.to_vec();
    }
    if let Value::List(items) = value
        && items.len() > 1
        && items.iter().all(|item| matches!(item, Value::Tensor(_)))
    {
        let items = items.iter().enumerate();
        let named = items.map(|(index, item)| (format!("{lone}_{index}"), item.clone()));
        return named.collect();
    }
    vec![(lone.to_owned(), value.clone())]
}

fn output(name: String, value: Value) -> InferOutput {
    if let Some(tensor) = as_tensor(&value) {
        return InferOutput::Numbers { name, tensor };
    }
    let (shape, elements) = if let Value::List(items) = &value
        && is_strings(items)
    {
        let elements = items.iter().cloned().map(Value::into_body);
        (vec![items.len()], elements.collect())
    } else {
        (vec![1], vec![value.into_body()])
    };
    InferOutput::Bytes {
        name,
        shape,
        elements,
    }
}

fn is_strings(items: &[Value]) -> bool {
    let all = |is: fn(&Value) -> bool| items.iter().all(is);
    all(|item| matches!(item, Value::Text(_))) || all(|item| matches!(item, Value::Bytes(_)))
}

/// Numbers as a tensor: a lone one of shape `[1]`, a list of them of shape `[n]`.
fn as_tensor(value: &Value) -> Option<Tensor> {
    match value {
        Value::Tensor(tensor) => Some(tensor.clone()),
        Value::Bool(flag) => {
            let storage: std::sync::Arc<dyn Storage> =
                std::sync::Arc::new(Bytes::copy_from_slice(&[u8::from(*flag)]));
            Tensor::from_storage(DType::Bool, vec![1], storage).ok()
        }
        Value::Int(number) => Tensor::new(vec![1], vec![*number]).ok(),
        Value::Float(number) => Tensor::new(vec![1], vec![*number]).ok(),
        // One without a file: nobody has encoded it.
        Value::Image(image) if image.file().is_none() => image.decoded(),
        Value::List(items) if !items.is_empty() => {
            let shape = vec![items.len()];
            let whole: Option<Vec<i64>> = items.iter().map(integer).collect();
            if let Some(whole) = whole {
                return Tensor::new(shape, whole).ok();
            }
            let real: Option<Vec<f64>> = items.iter().map(number).collect();
            Tensor::new(shape, real?).ok()
        }
        Value::Null
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::List(_)
        | Value::Map(_) => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    if let Value::Int(number) = value {
        Some(*number)
    } else {
        None
    }
}

/// An integer or any other number.
pub(super) fn number(value: &Value) -> Option<f64> {
    if let Value::Float(number) = value {
        return Some(*number);
    }
    integer(value).map(|number| number as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2::{Parameter, Parameters};

    /// An answer's outputs as `name datatype shape content`.
    fn check(value: Value, wanted: &[(&str, i64)], expected: Result<&[&str], &str>) {
        let shown = format!("{value:?} {wanted:?}");
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(name, classes)| {
                let classes = Parameter::Int(*classes);
                let parameters = [("classification".to_owned(), classes)];
                let is_asked =
                    |_: &&(String, Parameter)| !matches!(parameters[0].1, Parameter::Int(0));
                WantedOutput {
                    name: (*name).into(),
                    parameters: Parameters(parameters.iter().filter(is_asked).cloned().collect()),
                }
            })
            .collect();
        let labels = ["sand".to_owned(), "rock".to_owned()];
        let found = chosen(value, LONE, &wanted, &labels).map(|outputs| {
            let lines = outputs.iter().map(|output| {
                let head = format!(
                    "{} {} {:?}",
                    output.name(),
                    output.datatype(),
                    output.shape()
                );
                match output {
                    InferOutput::Numbers { tensor, .. } => {
                        let numbers = Value::Tensor(tensor.clone()).to_json();
                        format!("{head} {}", String::from_utf8_lossy(&numbers))
                    }
                    InferOutput::Bytes { elements, .. } => format!("{head} {elements:?}"),
                }
            });
            lines.collect::<Vec<_>>()
        });
        let found = found.as_ref().map_err(String::as_str);
        let found = found.map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(found, expected.map(<[&str]>::to_vec), "{shown}");
    }

    fn tensor(numbers: &[f32]) -> Value {
        Tensor::new(vec![numbers.len()], numbers.to_vec())
            .expect("as many")
            .into()
    }

    #[test]
    fn every_kind_of_answer_has_its_tensors() {
        check(
            tensor(&[0.5, 0.1]),
            &[],
            Ok(&["output FP32 [2] [0.5, 0.1]"]),
        );
        check(
            Value::map([
                ("map", tensor(&[1.0])),
                ("count", Value::Int(3)),
                ("share", Value::Float(0.25)),
                ("flag", Value::Bool(true)),
                ("name", "rock".into()),
                ("texts", Value::list(["a".into(), "b".into()])),
                ("size", Value::list([Value::Int(4), Value::Int(6)])),
                ("mixed", Value::list([Value::Int(4), Value::Float(0.5)])),
                ("odd", Value::list([Value::Int(4), "a".into()])),
                ("none", Value::Null),
            ]),
            &[],
            Ok(&[
                "map FP32 [1] [1.0]",
                "count INT64 [1] [3]",
                "share FP64 [1] [0.25]",
                "flag BOOL [1] [true]",
                "name BYTES [1] [b\"rock\"]",
                "texts BYTES [2] [b\"a\", b\"b\"]",
                "size INT64 [2] [4, 6]",
                "mixed FP64 [2] [4.0, 0.5]",
                "odd BYTES [1] [b\"[\\n  4,\\n  \\\"a\\\"\\n]\"]",
                "none BYTES [1] [b\"null\"]",
            ]),
        );
        check(
            Value::list([tensor(&[1.0]), tensor(&[2.0])]),
            &[],
            Ok(&["output_0 FP32 [1] [1.0]", "output_1 FP32 [1] [2.0]"]),
        );
        check(
            Value::from(Bytes::from("png")),
            &[],
            Ok(&["output BYTES [1] [b\"png\"]"]),
        );
    }

    #[test]
    fn names_choose_and_order() {
        let answer = || Value::map([("a", Value::Int(1)), ("b", Value::Int(2))]);
        check(
            answer(),
            &[("b", 0), ("a", 0)],
            Ok(&["b INT64 [1] [2]", "a INT64 [1] [1]"]),
        );
        check(answer(), &[("b", 0)], Ok(&["b INT64 [1] [2]"]));
        check(
            answer(),
            &[("c", 0)],
            Err("output `c`: the answer has `a`, `b`"),
        );
        check(
            answer(),
            &[("a", 0), ("a", 0)],
            Err("output `a`: it is asked for twice"),
        );
        check(
            answer(),
            &[("output", 0)],
            Ok(&["output BYTES [1] [b\"{\\n  \\\"a\\\": 1,\\n  \\\"b\\\": 2\\n}\"]"]),
        );
    }

    #[test]
    fn classes_stand_in_for_scores() {
        check(
            tensor(&[0.1, 0.7, 0.2]),
            &[("output", 2)],
            Ok(&["output BYTES [2] [b\"0.7:1:rock\", b\"0.2:2\"]"]),
        );
        check(
            tensor(&[0.1]),
            &[("output", -1)],
            Err(
                "output `output`: parameter `classification`: expected a whole number from 1, found -1",
            ),
        );
    }
}
