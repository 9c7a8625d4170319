use dag::{About, FunctionError, Inputs};
use servable::{DType, TensorType, Type, Value};
use tensor_ops::numbers;

use crate::given::{Given, check_size, given, made, wrong};
use crate::native::{Native, Ready, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "softmax",
        summary: "Probabilities from scores",
        details: "`exp(s - max) / sum(exp(s - max))` along one axis, in single precision. Where that axis has no length, or \
the tensor no axis, there is nothing to share out.",
        inputs: &[required(
            "scores",
            "any",
            "numbers; of several tensors the first",
        )],
        open: false,
        parameters: &[setting(
            "axis",
            "a whole number, from -1 for the last",
            "-1",
            "the axis of the classes",
        )],
        output: "tensor<float32>",
        example: "shares: {function: softmax, in: classifier}",
    },
    bind,
};

struct Softmax {
    axis: i64,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(Softmax {
        axis: parameters.whole("axis", -16, 15).unwrap_or(-1),
    })
}

impl Ready for Softmax {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        let shape = match given(inputs, "scores") {
            Type::Tensor(tensor) => tensor.shape,
            _ => None,
        };
        if let Some(shape) = &shape {
            axis_of(self.axis, shape.len()).map_err(|reason| format!("input `scores` {reason}"))?;
        }
        Ok(Type::Tensor(TensorType {
            dtype: Some(DType::F32),
            shape,
        }))
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let scores = inputs.first_tensor("scores")?;
        let shape = scores.shape().to_vec();
        let axis = axis_of(self.axis, shape.len()).map_err(|reason| wrong("scores", reason))?;
        let mut out = vec![0f32; check_size(&shape, size_of::<f32>())?];
        if out.is_empty() {
            return made(shape, out);
        }
        let numbers = numbers(&scores);
        let inner: usize = shape[axis + 1..].iter().product();
        let block = shape[axis] * inner;
        for (from, to) in numbers.chunks_exact(block).zip(out.chunks_exact_mut(block)) {
            for at in 0..inner {
                let line: Vec<f32> = from.iter().skip(at).step_by(inner).copied().collect();
                let shares = tensor_ops::softmax(&line);
                for (to, share) in to.iter_mut().skip(at).step_by(inner).zip(shares) {
                    *to = share;
                }
            }
        }
        made(shape, out)
    }
}

/// The place of an axis, counted from the end where it is negative.
fn axis_of(axis: i64, dimensions: usize) -> Result<usize, String> {
    let place = if axis < 0 {
        axis + dimensions as i64
    } else {
        axis
    };
    usize::try_from(place)
        .ok()
        .filter(|place| *place < dimensions)
        .ok_or_else(|| format!("has {dimensions} dimensions, and therefore no axis {axis}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, output, tensor, text};

    fn check(with: &str, scores: Value, expected: &str) {
        let found = call("softmax", with, &[("scores", scores)]);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    #[test]
    fn shares_sum_to_one_along_their_axis() {
        let scores = || tensor(&[2, 2], &[0f32, 0., 1000., 1000.]);
        check("{}", scores(), "[[0.5,0.5],[0.5,0.5]]");
        check("{axis: 0}", scores(), "[[0.0,0.0],[1.0,1.0]]");
        check(
            "{}",
            Value::list([scores(), Value::Null]),
            "[[0.5,0.5],[0.5,0.5]]",
        );
        check("{}", tensor::<f32>(&[2, 0], &[]), "[[],[]]");
        check(
            "{axis: 2}",
            scores(),
            "input `scores` has 2 dimensions, and therefore no axis 2",
        );
        check(
            "{}",
            tensor(&[], &[1f32]),
            "input `scores` has 0 dimensions, and therefore no axis -1",
        );
        assert_eq!(
            output("softmax", "{}", &[("scores", "tensor[n, 10]")]),
            "tensor<float32>[n, 10]"
        );
        assert!(
            output("softmax", "{axis: 2}", &[("scores", "tensor[n, 10]")]).starts_with("error")
        );
    }
}
