use dag::{About, FunctionError, Inputs};
use image_ops::DecodeLimits;
use servable::{Dim, Field, Tensor, TensorType, Type, Value};
use std::sync::Arc;

use crate::given::{Given, MAX_ITEMS, failed, tensor, wrong};
use crate::native::{Native, Ready, optional, setting};
use crate::parameters::Parameters;
use crate::path::whole;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "filter",
        summary: "Keeps some places of lists that belong together",
        details: "All inputs but `mask` are lists, or tensors by their rows, of one length; the answer is an object of them by \
the same names, with the places left out that are not wanted. These are the places where `mask` is false or 0; without a mask, \
the places where the input called `by` holds nothing (null, an empty text, list or object); without either, those where any of \
the inputs does.",
        inputs: &[optional(
            "mask",
            "any",
            "a list or tensor of truth values or numbers",
        )],
        open: true,
        parameters: &[setting(
            "by",
            "the name of an input",
            "all inputs",
            "whose empty items decide",
        )],
        output: "{}",
        example: "kept: {function: filter, in: {texts: read.texts, boxes: boxes}, with: {by: texts}}",
    },
    bind,
};

struct Filter {
    by: Option<String>,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(Filter {
        by: parameters.text("by").map(str::to_owned),
    })
}

const MASK: &str = "mask";

impl Ready for Filter {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        if let Some(by) = &self.by
            && !inputs.iter().any(|(name, _)| name == by)
        {
            return Err(format!("there is no input `{by}` to filter by"));
        }
        let lists = inputs.iter().filter(|(name, _)| name != MASK);
        let fields = lists.map(|(name, of)| Field {
            name: name.clone(),
            of: match of {
                Type::Tensor(TensorType {
                    dtype,
                    shape: Some(shape),
                }) if !shape.is_empty() => Type::Tensor(TensorType {
                    dtype: *dtype,
                    shape: Some([Dim::Any].iter().chain(&shape[1..]).cloned().collect()),
                }),
                Type::Boxes | Type::List(_) => of.clone(),
                _ => Type::Any,
            },
        });
        Ok(Type::Record(fields.collect()))
    }

    fn call(&self, inputs: Given) -> Result<Value, FunctionError> {
        let limits = inputs.limits();
        let (mask, lists): (Vec<_>, Vec<_>) =
            inputs.all().into_iter().partition(|(name, _)| name == MASK);
        let mut lists = lists
            .into_iter()
            .map(|(name, value)| Ok((rows(&name, value)?, name)))
            .collect::<Result<Vec<_>, FunctionError>>()?;
        let length = match (lists.first(), mask.first()) {
            (Some((rows, _)), _) => rows.len(),
            (None, _) => return Ok(Value::map::<String>([])),
        };
        if length > MAX_ITEMS {
            let reason = format!("has {length} items, more than {MAX_ITEMS}");
            return Err(wrong(&lists[0].1, reason));
        }
        for (rows, name) in &lists {
            if rows.len() != length {
                let first = &lists[0].1;
                let reason = format!("has {} items, but `{first}` has {length}", rows.len());
                return Err(wrong(name, reason));
            }
        }
        let keep = match mask.into_iter().next() {
            Some((_, mask)) => truths(mask, length, &limits)?,
            None => self.not_empty(&lists, length)?,
        };
        let kept = lists
            .drain(..)
            .map(|(rows, name)| Ok((name, rows.kept(&keep)?)));
        Ok(Value::map(kept.collect::<Result<Vec<_>, FunctionError>>()?))
    }
}

impl Filter {
    fn not_empty(
        &self,
        lists: &[(Rows, String)],
        length: usize,
    ) -> Result<Vec<bool>, FunctionError> {
        let deciding: Vec<&Rows> = match &self.by {
            None => lists.iter().map(|(rows, _)| rows).collect(),
            Some(by) => {
                let found = lists.iter().find(|(_, name)| name == by);
                vec![&found.ok_or_else(|| wrong(by, "is missing"))?.0]
            }
        };
        let keep = (0..length).map(|place| deciding.iter().all(|rows| !rows.is_empty_at(place)));
        Ok(keep.collect())
    }
}

/// A list, or a tensor that has rows.
enum Rows {
    List(Arc<[Value]>),
    Tensor(Tensor),
}

fn rows(name: &str, value: Value) -> Result<Rows, FunctionError> {
    match value {
        Value::List(items) => Ok(Rows::List(items)),
        Value::Tensor(tensor) if !tensor.shape().is_empty() => Ok(Rows::Tensor(tensor)),
        other => match whole(&other) {
            Some(Value::List(items)) => Ok(Rows::List(items)),
            Some(_) | None => Err(wrong(
                name,
                format!("is not a list (found {})", other.kind()),
            )),
        },
    }
}

impl Rows {
    fn len(&self) -> usize {
        match self {
            Rows::List(items) => items.len(),
            Rows::Tensor(tensor) => tensor.shape().first().copied().unwrap_or(0),
        }
    }

    fn is_empty_at(&self, place: usize) -> bool {
        match self {
            Rows::List(items) => items[place].is_empty(),
            Rows::Tensor(_) => false,
        }
    }

    fn kept(self, keep: &[bool]) -> Result<Value, FunctionError> {
        let places = keep
            .iter()
            .enumerate()
            .filter(|(_, keep)| **keep)
            .map(|(place, _)| place);
        match self {
            Rows::List(items) => Ok(Value::list(places.map(|place| items[place].clone()))),
            // Nothing is left out, so nothing need be copied.
            Rows::Tensor(tensor) if keep.iter().all(|keep| *keep) => Ok(Value::Tensor(tensor)),
            Rows::Tensor(tensor) => {
                let row = tensor.byte_len() / keep.len();
                let mut bytes = Vec::new();
                let mut count = 0;
                for place in places {
                    bytes.extend_from_slice(&tensor.bytes()[place * row..(place + 1) * row]);
                    count += 1;
                }
                let mut shape = tensor.shape().to_vec();
                shape[0] = count;
                let bytes = Arc::new(bytes::Bytes::from(bytes));
                let kept = Tensor::from_storage(tensor.dtype(), shape, bytes).map_err(failed)?;
                Ok(Value::Tensor(kept))
            }
        }
    }
}

/// The mask as truth values, one for each place.
fn truths(mask: Value, length: usize, limits: &DecodeLimits) -> Result<Vec<bool>, FunctionError> {
    let mask = tensor(mask, limits).map_err(|reason| wrong(MASK, reason))?;
    let found = mask.shape();
    if found != [length] {
        return Err(wrong(
            MASK,
            format!("is {mask:?}, but there are {length} items"),
        ));
    }
    Ok(tensor_ops::doubles(&mask)
        .into_iter()
        .map(|number| number != 0.0)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, json, output, tensor as value, text};

    fn check(with: &str, inputs: &[(&str, Value)], expected: &str) {
        let found = call("filter", with, inputs);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    fn texts() -> (&'static str, Value) {
        ("texts", json(r#"["a", "", "c"]"#))
    }

    fn boxes() -> (&'static str, Value) {
        ("boxes", value(&[3, 1], &[1i64, 2, 3]))
    }

    #[test]
    fn places_are_kept_together() {
        check(
            "{}",
            &[texts(), boxes()],
            r#"{"texts":["a","c"],"boxes":[[1],[3]]}"#,
        );
        check(
            "{by: boxes}",
            &[texts(), boxes()],
            r#"{"texts":["a","","c"],"boxes":[[1],[2],[3]]}"#,
        );
        let mask = ("mask", json("[true, true, false]"));
        check(
            "{}",
            &[mask, texts(), boxes()],
            r#"{"texts":["a",""],"boxes":[[1],[2]]}"#,
        );
        check("{}", &[("texts", json("[]"))], r#"{"texts":[]}"#);
        check(
            "{}",
            &[("rows", value::<f32>(&[0, 3], &[]))],
            r#"{"rows":[]}"#,
        );
        check("{}", &[], "{}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        check(
            "{}",
            &[texts(), ("boxes", json("[1]"))],
            "input `boxes` has 1 items, but `texts` has 3",
        );
        check(
            "{}",
            &[texts(), ("mask", json("[1]"))],
            "input `mask` is int64[1], but there are 3 items",
        );
        check(
            "{}",
            &[("a", Value::Int(1))],
            "input `a` is not a list (found integer)",
        );
        assert_eq!(
            output("filter", "{by: x}", &[("a", "list<int>")]),
            "error: there is no input `x` to filter by"
        );
        assert_eq!(
            output(
                "filter",
                "{}",
                &[("a", "list<int>"), ("b", "tensor<f32>[n, 6]")]
            ),
            "{a: list<int>, b: tensor<float32>[?, 6]}"
        );
    }
}
