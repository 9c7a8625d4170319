use dag::{About, FunctionError, Inputs};
use servable::{DType, Dim, Tensor, TensorType, Type, Value};
use tensor_ops::Mask;

use crate::given::{Given, failed, given, wrong};
use crate::native::{Native, Ready, optional, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "argmax_map",
        summary: "The best class of each pixel, from scores per class",
        details: "`mask(y, x) = argmax over c of scores(c, y, x)`; the lowest class wins a tie, and a score that is not a number \
never wins. With up to 256 classes the mask is `uint8`, with more `int64`. Scores `[n, classes, height, width]` give \
`[n, height, width]`, scores without the first dimension a mask without it.\n\n\
`cut`, or the size of the picture `like`, takes the upper left corner of the mask: where a picture was padded on the right \
and below before the network saw it, that is the picture.",
        inputs: &[
            required(
                "scores",
                "tensor",
                "`[n, classes, height, width]` or `[classes, height, width]`",
            ),
            optional(
                "like",
                "image",
                "the picture before it was padded: the mask is cut to its size",
            ),
        ],
        open: false,
        parameters: &[setting(
            "cut",
            "`[width, height]`",
            "the whole",
            "the size of the mask",
        )],
        output: "tensor",
        example: "mask: {function: argmax_map, in: {scores: segmenter, like: small}}",
    },
    bind,
};

struct ArgmaxMap {
    cut: Option<(u32, u32)>,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(ArgmaxMap {
        cut: parameters.size("cut"),
    })
}

impl Ready for ArgmaxMap {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        let Type::Tensor(TensorType {
            shape: Some(shape), ..
        }) = given(inputs, "scores")
        else {
            return Ok("tensor".parse().unwrap_or_default());
        };
        let (batch, classes, height, width) = match shape.as_slice() {
            [batch, classes, height, width] => (Some(batch), classes, height, width),
            [classes, height, width] => (None, classes, height, width),
            _ => {
                let sides = shape.len();
                return Err(format!(
                    "input `scores` must have 3 or 4 dimensions ([n, classes, height, width]), not {sides}"
                ));
            }
        };
        let cut = match self.cut {
            Some((width, height)) => [height, width].map(|side| Dim::Fixed(side as usize)),
            None if inputs.iter().any(|(name, _)| name == "like") => [Dim::Any, Dim::Any],
            None => [height.clone(), width.clone()],
        };
        let dtype = match classes {
            Dim::Fixed(classes) if *classes <= 256 => Some(DType::U8),
            Dim::Fixed(_) => Some(DType::I64),
            Dim::Symbol(_) | Dim::Any => None,
        };
        Ok(Type::Tensor(TensorType {
            dtype,
            shape: Some(batch.cloned().into_iter().chain(cut).collect()),
        }))
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let scores = inputs.tensor("scores")?;
        let like = match inputs.optional("like") {
            Some(like) => {
                let picture = inputs.decode(&like).map_err(|error| wrong("like", error))?;
                Some((picture.image.width(), picture.image.height()))
            }
            None => None,
        };
        let (rows, columns) = match *scores.shape() {
            [_, _, rows, columns] | [_, rows, columns] => (rows, columns),
            _ => {
                let reason =
                    format!("is not scores of shape [n, classes, height, width]: found {scores:?}");
                return Err(wrong("scores", reason));
            }
        };
        let size = match self.cut.or(like) {
            Some((width, height)) => (width as usize, height as usize),
            None => (columns, rows),
        };
        let mask = |scores: &Tensor| {
            let mask = Mask::of_scores(scores, size)
                .map_err(|error| wrong("scores", format!("is {error}")))?;
            mask.tensor().map_err(failed)
        };
        let &[batch, _, _, _] = scores.shape() else {
            return mask(&scores).map(Value::Tensor);
        };
        let masks = (0..batch).map_while(|index| scores.row(index));
        stacked(
            &masks.map(|row| mask(&row)).collect::<Result<Vec<_>, _>>()?,
            size,
        )
    }
}

/// Masks of one size as one tensor.
fn stacked(masks: &[Tensor], (width, height): (usize, usize)) -> Result<Value, FunctionError> {
    let dtype = masks.first().map_or(DType::U8, Tensor::dtype);
    let bytes: Vec<u8> = masks
        .iter()
        .flat_map(|mask| mask.bytes())
        .copied()
        .collect();
    let shape = vec![masks.len(), height, width];
    let storage = std::sync::Arc::new(bytes::Bytes::from(bytes));
    Tensor::from_storage(dtype, shape, storage)
        .map(Value::Tensor)
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, output, tensor, text};

    /// Two classes, two rows, three columns.
    const SCORES: [f32; 12] = [0., 1., 2., 3., f32::NAN, 5., 1., 1., 3., 0., 9., 4.];

    fn check(with: &str, inputs: &[(&str, Value)], expected: &str) {
        let found = call("argmax_map", with, inputs);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    #[test]
    fn the_best_class_wins_and_the_lowest_of_equals() {
        let scores = tensor(&[2, 2, 3], &SCORES);
        check("{}", &[("scores", scores.clone())], "[[1,0,1],[0,1,0]]");
        check("{cut: [2, 1]}", &[("scores", scores.clone())], "[[1,0]]");
        let like = tensor(&[2, 1, 3], &[0u8; 6]);
        check(
            "{}",
            &[("scores", scores.clone()), ("like", like)],
            "[[1],[0]]",
        );
        let batch = tensor(&[1, 2, 2, 3], &SCORES);
        check("{cut: [2, 1]}", &[("scores", batch)], "[[[1,0]]]");
        check(
            "{cut: [4, 1]}",
            &[("scores", scores)],
            "input `scores` is float32[2, 2, 3], which does not cover a picture of 4x1",
        );
    }

    #[test]
    fn what_is_no_scores_is_refused() {
        check(
            "{}",
            &[("scores", tensor(&[2], &[1f32, 2.]))],
            "input `scores` is not scores of shape [n, classes, height, width]: found float32[2]",
        );
        check("{}", &[("scores", tensor::<f32>(&[0, 2, 3, 3], &[]))], "[]");
        check(
            "{}",
            &[("scores", tensor::<f32>(&[0, 3, 3], &[]))],
            "input `scores` is float32[0, 3, 3], which does not cover a picture of 3x3",
        );
    }

    #[test]
    fn types_follow_the_scores() {
        let of = |with, scores| output("argmax_map", with, &[("scores", scores)]);
        assert_eq!(
            of("{}", "tensor<f32>[n, 21, h, w]"),
            "tensor<uint8>[n, h, w]"
        );
        assert_eq!(
            of("{cut: [5, 4]}", "tensor<f32>[300, h, w]"),
            "tensor<int64>[4, 5]"
        );
        assert_eq!(of("{}", "any"), "tensor");
        assert!(of("{}", "tensor[n, c]").starts_with("error: input `scores` must have 3 or 4"));
    }
}
