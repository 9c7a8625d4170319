use dag::{About, FunctionError, Inputs};
use servable::{Dim, TensorType, Type, Value};

use super::of_bytes;
use crate::given::{Given, MAX_ITEMS, given, wrong};
use crate::native::{Native, Ready, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "split",
        summary: "A tensor to a list of tensors with so many rows each",
        details: "Along the first dimension, which the pieces keep; the last piece may be shorter. They share the memory of the \
whole. For single rows without that dimension, `foreach` runs over a tensor directly.",
        inputs: &[required("tensor", "tensor", "the whole")],
        open: false,
        parameters: &[setting(
            "rows",
            "a whole number from 1 on",
            "1",
            "how many rows a piece has",
        )],
        output: "list<tensor>",
        example: "parts: {function: split, in: batch, with: {rows: 8}}",
    },
    bind,
};

struct Split {
    rows: usize,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(Split {
        rows: parameters.count("rows", usize::MAX).unwrap_or(1),
    })
}

impl Ready for Split {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        let Type::Tensor(whole) = given(inputs, "tensor") else {
            return Ok(Type::list(Type::Tensor(TensorType::default())));
        };
        let shape = match whole.shape.as_deref() {
            Some([]) => return Err("input `tensor` is a single number, which has no rows".into()),
            Some([_, inner @ ..]) => Some([Dim::Any].iter().chain(inner).cloned().collect()),
            None => None,
        };
        Ok(Type::list(Type::Tensor(TensorType {
            dtype: whole.dtype,
            shape,
        })))
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let tensor = inputs.tensor("tensor")?;
        let Some((&rows, inner)) = tensor.shape().split_first() else {
            return Err(wrong("tensor", "is a single number, which has no rows"));
        };
        let row = tensor.byte_len().checked_div(rows).unwrap_or(0);
        let pieces = rows.div_ceil(self.rows);
        if pieces > MAX_ITEMS {
            return Err(wrong(
                "tensor",
                format!("would become {pieces} pieces, more than {MAX_ITEMS}"),
            ));
        }
        let bytes = tensor.shared_bytes();
        let pieces = (0..pieces).map(|piece| {
            let (from, to) = (piece * self.rows, rows.min((piece + 1) * self.rows));
            let shape = [to - from].iter().chain(inner).copied().collect();
            of_bytes(tensor.dtype(), shape, bytes.slice(from * row..to * row))
        });
        Ok(Value::list(pieces.collect::<Result<Vec<_>, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, output, tensor, text};

    #[test]
    fn pieces_share_the_memory_of_the_whole() {
        let whole = tensor(&[3, 1], &[1i64, 2, 3]);
        let found = call("split", "{rows: 2}", &[("tensor", whole.clone())]).expect("pieces");
        assert_eq!(text(&found), "[[[1],[2]],[[3]]]");
        let (Value::List(pieces), Value::Tensor(whole)) = (found, whole) else {
            panic!("a list of a tensor");
        };
        let Value::Tensor(last) = &pieces[1] else {
            panic!("a tensor")
        };
        assert_eq!(last.bytes().as_ptr(), whole.bytes()[16..].as_ptr());
    }

    #[test]
    fn what_has_no_rows_is_refused() {
        let refused = |value| {
            call("split", "{}", &[("tensor", value)])
                .err()
                .unwrap_or_default()
        };
        assert_eq!(
            refused(tensor(&[], &[1u8])),
            "input `tensor` is a single number, which has no rows"
        );
        assert_eq!(
            refused(tensor::<u8>(&[1 << 40, 0], &[])),
            "input `tensor` would become 1099511627776 pieces, more than 1048576"
        );
        let of = |tensor| output("split", "{}", &[("tensor", tensor)]);
        assert_eq!(of("tensor<f32>[n, 3]"), "list<tensor<float32>[?, 3]>");
        assert_eq!(of("any"), "list<tensor>");
    }
}
