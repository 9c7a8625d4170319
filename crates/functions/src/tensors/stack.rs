use dag::{About, FunctionError, Inputs};
use servable::{Dim, Tensor, TensorType, Type, Value};

use super::of_bytes;
use crate::given::{Given, check_size, given, tensor, wrong};
use crate::native::{Native, Ready, required};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "stack",
        summary: "A list of tensors of one shape to one tensor",
        details: "`[n, …]` for n tensors of shape `[…]`, in their order; of no tensors an empty one, `float32 [0]`. What a \
`gather` gives becomes a batch for a model that takes batches.",
        inputs: &[required(
            "items",
            "list<any>",
            "tensors, or nested lists of numbers",
        )],
        open: false,
        parameters: &[],
        output: "tensor",
        example: "batch: {function: stack, in: gathered}",
    },
    bind,
};

struct Stack;

fn bind(_: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(Stack)
}

impl Ready for Stack {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        let item = match given(inputs, "items") {
            Type::List(of) => *of,
            _ => Type::Any,
        };
        let (dtype, shape) = match item {
            Type::Tensor(tensor) => (tensor.dtype, tensor.shape),
            _ => (None, None),
        };
        Ok(Type::Tensor(TensorType {
            dtype,
            shape: shape.map(|shape| [Dim::Any].into_iter().chain(shape).collect()),
        }))
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let limits = inputs.limits();
        let items = match inputs.value("items")? {
            Value::List(items) => items,
            Value::Tensor(tensor) if !tensor.shape().is_empty() => {
                return Ok(Value::Tensor(tensor));
            }
            other => {
                let reason = format!("is not a list of tensors (found {})", other.kind());
                return Err(wrong("items", reason));
            }
        };
        let tensors = items
            .iter()
            .cloned()
            .map(|item| tensor(item, &limits))
            .collect::<Result<Vec<Tensor>, _>>();
        let tensors = tensors.map_err(|reason| wrong("items", format!("holds what {reason}")))?;
        let Some(first) = tensors.first() else {
            return crate::given::made::<f32>(vec![0], Vec::new());
        };
        let fits =
            |other: &Tensor| other.dtype() == first.dtype() && other.shape() == first.shape();
        if let Some(place) = tensors.iter().position(|other| !fits(other)) {
            let found = &tensors[place];
            let reason = format!("is {first:?} at its beginning and {found:?} at place {place}");
            return Err(wrong("items", reason));
        }
        let shape: Vec<usize> = [tensors.len()]
            .iter()
            .chain(first.shape())
            .copied()
            .collect();
        let size = first.dtype().size();
        let mut bytes = Vec::with_capacity(check_size(&shape, size)? * size);
        for tensor in &tensors {
            bytes.extend_from_slice(tensor.bytes());
        }
        of_bytes(first.dtype(), shape, bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, json, output, tensor as value, text};

    fn check(items: Value, expected: &str) {
        let found = call("stack", "{}", &[("items", items)]);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected);
    }

    #[test]
    fn items_become_rows() {
        let item = |number| value(&[1], &[number]);
        check(Value::list([item(1i64), item(2)]), "[[1],[2]]");
        check(json("[[1], [2]]"), "[[1],[2]]");
        check(Value::list([]), "[]");
        check(
            Value::list([item(1i64), value(&[1], &[2f32])]),
            "input `items` is int64[1] at its beginning and float32[1] at place 1",
        );
        check(
            json(r#"["a"]"#),
            "input `items` holds what is not a tensor (found text)",
        );
        let of = |items| output("stack", "{}", &[("items", items)]);
        assert_eq!(of("list<tensor<f32>[3, 4]>"), "tensor<float32>[?, 3, 4]");
        assert_eq!(of("any"), "tensor");
    }
}
