use dag::{About, FunctionError, Inputs};
use image_ops::DecodeLimits;
use servable::{DType, Tensor, TensorType, Type, Value};

use super::argmax_map;
use crate::given::{Given, failed, given, wrong};
use crate::native::{Native, Ready, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "class_map",
        summary: "The class of each pixel, from a segmenter that says it or gives scores",
        details: "Whole numbers are class numbers and pass as they are; other numbers are scores per class, of which the best is \
taken as `argmax_map` does. `argmax` says which of the two the network is to give, and refuses the other. One first dimension of \
1 is dropped, so that the answer is a mask.",
        inputs: &[required(
            "given",
            "any",
            "class numbers `[n, height, width]`, or scores `[n, classes, height, width]`; of several tensors the first",
        )],
        open: false,
        parameters: &[setting(
            "argmax",
            "`true` or `false`",
            "by what is given",
            "whether scores are expected, and the best of them taken here",
        )],
        output: "tensor",
        example: "mask: {function: class_map, in: segmenter}",
    },
    bind,
};

struct ClassMap {
    argmax: Option<bool>,
    best: Option<Box<dyn Ready>>,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(ClassMap {
        argmax: parameters.flag("argmax"),
        best: argmax_map::FUNCTION.plain(),
    })
}

/// Whether numbers of this type are scores; truth values are neither.
fn are_scores(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
}

impl ClassMap {
    fn best_of(&self, scores: Tensor, limits: DecodeLimits) -> Result<Tensor, FunctionError> {
        let best = self.best.as_ref();
        let best = best.ok_or_else(|| failed("`argmax_map` is not there"))?;
        let scores = vec![("scores".into(), Value::Tensor(scores))];
        let mask = best.call(Given::new(scores, limits));
        match mask {
            Ok(Value::Tensor(mask)) => Ok(mask),
            Ok(other) => Err(failed(format!(
                "a mask was expected, not a {}",
                other.kind()
            ))),
            Err(FunctionError::BadInput(reason)) => Err(FunctionError::BadInput(
                reason.replace("`scores`", "`given`"),
            )),
            Err(error) => Err(error),
        }
    }
}

impl Ready for ClassMap {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        if let Type::Tensor(TensorType {
            dtype: Some(dtype), ..
        }) = given(inputs, "given")
            && let Some(argmax) = self.argmax
            && are_scores(dtype) != argmax
        {
            return Err(format!(
                "input `given` is {dtype}, and `argmax` is {argmax}"
            ));
        }
        "tensor"
            .parse()
            .map_err(|error: servable::TypeError| error.to_string())
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let limits = inputs.limits();
        let given = inputs.first_tensor("given")?;
        let scores = are_scores(given.dtype());
        if self.argmax.is_some_and(|argmax| argmax != scores) {
            let message = match scores {
                true => format!(
                    "expected true, found false: the segmenter gives scores, {given:?}, of which the best must be taken"
                ),
                false => format!(
                    "expected false, found true: the segmenter gives class numbers, {given:?}, of which there is no best to take"
                ),
            };
            return Err(FunctionError::Parameter {
                parameter: "argmax".into(),
                message,
            });
        }
        let mask = if scores {
            self.best_of(given, limits)?
        } else {
            given
        };
        match *mask.shape() {
            [1, height, width] => mask
                .reshape(vec![height, width])
                .map(Value::Tensor)
                .map_err(failed),
            [_, _, _] | [_, _] => Ok(Value::Tensor(mask)),
            _ => Err(wrong(
                "given",
                format!("is not class numbers of shape [n, height, width]: found {mask:?}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, output, tensor, text};

    fn check(with: &str, given: Value, expected: &str) {
        let found = call("class_map", with, &[("given", given)]);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    fn scores() -> Value {
        tensor(&[1, 2, 1, 2], &[0.5f32, 2.0, 0.7, 1.0])
    }

    #[test]
    fn class_numbers_pass_and_of_scores_the_best_is_taken() {
        let classes = || tensor(&[1, 1, 2], &[3i64, 1]);
        check("{}", classes(), "[[3,1]]");
        check("{argmax: false}", classes(), "[[3,1]]");
        check("{}", tensor(&[2, 1, 1], &[3i32, 1]), "[[[3]],[[1]]]");
        check("{}", scores(), "[[1,0]]");
        check("{argmax: true}", scores(), "[[1,0]]");
        check("{}", Value::list([scores(), classes()]), "[[1,0]]");
    }

    #[test]
    fn what_was_not_expected_is_refused() {
        check(
            "{argmax: true}",
            tensor(&[1, 1, 2], &[3i64, 1]),
            "parameter `argmax`: expected false, found true: the segmenter gives class numbers, int64[1, 1, 2], of which there is no best to take",
        );
        check(
            "{argmax: false}",
            scores(),
            "parameter `argmax`: expected true, found false: the segmenter gives scores, float32[1, 2, 1, 2], of which the best must be taken",
        );
        check(
            "{}",
            tensor(&[2], &[3i64, 1]),
            "input `given` is not class numbers of shape [n, height, width]: found int64[2]",
        );
        assert_eq!(
            output(
                "class_map",
                "{argmax: true}",
                &[("given", "tensor<int64>[1, 2, 2]")]
            ),
            "error: input `given` is int64, and `argmax` is true"
        );
    }
}
