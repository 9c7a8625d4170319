use dag::{About, FunctionError, Inputs};
use servable::{Tensor, Type, Value};

use super::of_bytes;
use crate::given::{Given, check_size, tensor, wrong};
use crate::native::{Native, Ready, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "concat",
        summary: "Joins tensors along an axis, or lists end to end",
        details: "All inputs in the order in which they are written, whatever their names. Tensors must be of one type and \
agree in all sides but the one along which they are joined; if any input is a list that holds something other than numbers, all \
must be lists.",
        inputs: &[],
        open: true,
        parameters: &[setting(
            "axis",
            "a whole number from 0 to 15",
            "0",
            "the axis along which tensors are joined",
        )],
        output: "any",
        example: "both: {function: concat, in: {first: left, second: right}, with: {axis: 1}}",
    },
    bind,
};

struct Concat {
    axis: usize,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(Concat {
        axis: parameters.whole("axis", 0, 15).unwrap_or(0) as usize,
    })
}

impl Ready for Concat {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        let Some((_, first)) = inputs.first() else {
            return Err("there is nothing to join: give it inputs".into());
        };
        let all_lists = inputs.iter().all(|(_, of)| matches!(of, Type::List(_)));
        Ok(match first {
            Type::List(_) if all_lists && inputs.iter().all(|(_, of)| of == first) => first.clone(),
            Type::List(_) if all_lists => Type::list(Type::Any),
            Type::Tensor(first) if inputs.iter().all(|(_, of)| matches!(of, Type::Tensor(_))) => {
                Type::Tensor(servable::TensorType {
                    dtype: first.dtype,
                    shape: None,
                })
            }
            _ => Type::Any,
        })
    }

    fn call(&self, inputs: Given) -> Result<Value, FunctionError> {
        let limits = inputs.limits();
        let inputs = inputs.all();
        if inputs.is_empty() {
            return Err(FunctionError::BadInput("there is nothing to join".into()));
        }
        if inputs
            .iter()
            .all(|(_, value)| matches!(value, Value::List(_)))
        {
            let lists = inputs.iter().flat_map(|(_, value)| match value {
                Value::List(items) => items.to_vec(),
                _ => Vec::new(),
            });
            return Ok(Value::list(lists));
        }
        let tensors = inputs
            .into_iter()
            .map(|(name, value)| {
                let tensor = tensor(value, &limits).map_err(|reason| wrong(&name, reason))?;
                Ok((tensor, name))
            })
            .collect::<Result<Vec<_>, FunctionError>>()?;
        self.joined(&tensors)
    }
}

impl Concat {
    fn joined(&self, tensors: &[(Tensor, String)]) -> Result<Value, FunctionError> {
        let Some((first, _)) = tensors.first() else {
            return Err(FunctionError::BadInput("there is nothing to join".into()));
        };
        let axis = self.axis;
        let mut shape = first.shape().to_vec();
        if axis >= shape.len() {
            return Err(FunctionError::BadInput(format!(
                "{first:?} has no axis {axis} to join it along"
            )));
        }
        shape[axis] = 0;
        for (tensor, name) in tensors {
            let fits = tensor.dtype() == first.dtype()
                && tensor.shape().len() == shape.len()
                && (0..shape.len()).all(|side| side == axis || tensor.shape()[side] == shape[side]);
            if !fits {
                return Err(wrong(
                    name,
                    format!("is {tensor:?}, which cannot be joined to {first:?} along axis {axis}"),
                ));
            }
            shape[axis] = shape[axis].saturating_add(tensor.shape()[axis]);
        }
        let element = first.dtype().size();
        let total = check_size(&shape, element)? * element;
        let mut bytes = Vec::with_capacity(total);
        // Without elements the sides can be of any length, and there is nothing to copy.
        let outer: usize = if total == 0 {
            0
        } else {
            shape[..axis].iter().product()
        };
        for block in 0..outer {
            for (tensor, _) in tensors {
                let size = tensor.shape()[axis..].iter().product::<usize>() * element;
                bytes.extend_from_slice(&tensor.bytes()[block * size..(block + 1) * size]);
            }
        }
        of_bytes(first.dtype(), shape, bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, json, output, tensor, text};

    fn check(with: &str, inputs: &[(&str, Value)], expected: &str) {
        let found = call("concat", with, inputs);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    #[test]
    fn tensors_and_lists_are_joined() {
        let (a, b) = (
            || tensor(&[1, 2], &[1i64, 2]),
            || tensor(&[1, 2], &[3i64, 4]),
        );
        check("{}", &[("a", a()), ("b", b())], "[[1,2],[3,4]]");
        check("{axis: 1}", &[("b", b()), ("a", a())], "[[3,4,1,2]]");
        check(
            "{}",
            &[("a", json(r#"["x"]"#)), ("b", json("[1]"))],
            r#"["x",1]"#,
        );
        check(
            "{}",
            &[("a", a()), ("b", json("[[5, 6]]"))],
            "[[1,2],[5,6]]",
        );
        check(
            "{axis: 1}",
            &[
                ("a", tensor::<u8>(&[0, 2], &[])),
                ("b", tensor::<u8>(&[0, 3], &[])),
            ],
            "[]",
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let a = || tensor(&[1, 2], &[1i64, 2]);
        check(
            "{}",
            &[("a", a()), ("b", tensor(&[1, 3], &[0i64; 3]))],
            "input `b` is int64[1, 3], which cannot be joined to int64[1, 2] along axis 0",
        );
        check(
            "{axis: 2}",
            &[("a", a())],
            "int64[1, 2] has no axis 2 to join it along",
        );
        check("{}", &[], "there is nothing to join");
        assert_eq!(
            output("concat", "{}", &[]),
            "error: there is nothing to join: give it inputs"
        );
        assert_eq!(
            output("concat", "{}", &[("a", "list<int>"), ("b", "list<int>")]),
            "list<int>"
        );
    }
}
