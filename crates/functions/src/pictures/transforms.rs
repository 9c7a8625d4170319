mod steps;

use dag::{About, FunctionError, Inputs};
use image_ops::FloatImage;
use servable::{DType, Dim, TensorType, Type, Value};

use crate::given::{Given, made, wrong};
use crate::native::{Native, Ready, needed, required, setting};
use crate::parameters::Parameters;
use steps::Step;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "transforms",
        summary: "The steps of a PaddleSeg model's deploy.yaml, from picture to tensor",
        details: "The steps run in the order in which they are listed, on the RGB values as floats, and nothing is rounded \
between them; then planes of red, green and blue. Names and defaults are PaddleSeg's; sizes are `[width, height]`, and where \
they are computed, halves are rounded to even.\n\n\
- `Normalize`: `(v / 255 - mean) / std`, both 0.5 unless given.\n\
- `Resize`: to `target_size` (512 x 512). With `keep_ratio` by `min(max(target) / max(w, h), min(target) / min(w, h))`; with \
`size_divisor` to the next multiple of it.\n\
- `ResizeByLong`: the longer side becomes `long_size`. `ResizeByShort`: the shorter becomes `short_size`, unless the longer one \
would then exceed `max_size`. `LimitLong`: the longer side becomes at most `max_long` and at least `min_long`.\n\
- `Padding`: to `target_size` on the right and below with `im_padding_value` (127.5); larger pictures are refused. \
`PaddingByAspectRatio`: to `aspect_ratio` (1), which is width by height.\n\n\
`interp` of those that resize is `LINEAR` (the default), `AREA` or `CUBIC`, as OpenCV has them. Steps that only training has are \
refused by their names.",
        inputs: &[required("image", "image", "the picture")],
        open: false,
        parameters: &[
            needed(
                "steps",
                "a list of `{type: NAME, …}`",
                "the `transforms` of deploy.yaml",
            ),
            setting(
                "batch",
                "`true` or `false`",
                "true",
                "whether the tensor has a first dimension of 1",
            ),
        ],
        output: "tensor<float32>",
        example: "planes: {function: transforms, in: small, with: {steps: [{type: Resize, target_size: [512, 512]}, {type: Normalize}]}}",
    },
    bind,
};

struct Transforms {
    steps: Vec<Step>,
    batch: bool,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let listed = parameters.typed("steps", "a list of steps", |value| value.as_array());
    let mut steps = Vec::new();
    for (place, written) in listed.into_iter().flatten().enumerate() {
        match Step::read(written) {
            Ok(step) => steps.push(step),
            Err((key, reason)) => parameters.refuse(&format!("steps[{place}]{key}"), reason),
        }
    }
    Box::new(Transforms {
        steps,
        batch: parameters.flag("batch").unwrap_or(true),
    })
}

impl Ready for Transforms {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        let batch = self.batch.then_some(Dim::Fixed(1));
        let sides = [Dim::Fixed(3), Dim::Any, Dim::Any];
        Ok(Type::Tensor(TensorType {
            dtype: Some(DType::F32),
            shape: Some(batch.into_iter().chain(sides).collect()),
        }))
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let picture = inputs.picture("image")?;
        steps::check(picture.image.width(), picture.image.height())?;
        let mut image = FloatImage::of(&picture.image);
        for step in &self.steps {
            let (width, height) = (image.width(), image.height());
            image = step.apply(image).map_err(|error| match error {
                FunctionError::BadInput(reason) => wrong(
                    "image",
                    format!("of {width}x{height} at `{}`: {reason}", step.name()),
                ),
                other @ (FunctionError::Parameter { .. } | FunctionError::Failed(_)) => other,
            })?;
        }
        let mut shape = vec![3, image.height() as usize, image.width() as usize];
        if self.batch {
            shape.insert(0, 1);
        }
        made(shape, image.planes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, output, tensor, text, try_bound};

    /// The shape of what becomes of a picture.
    fn check(steps: &str, (width, height): (usize, usize), expected: &str) {
        let image = tensor(&[height, width, 3], &vec![51u8; width * height * 3]);
        let with = format!("{{batch: false, steps: [{steps}]}}");
        let found = match call("transforms", &with, &[("image", image)]) {
            Ok(Value::Tensor(tensor)) => format!("{:?}", &tensor.shape()[1..]),
            Ok(other) => format!("{other:?}"),
            Err(error) => error,
        };
        assert_eq!(found, expected, "{steps}");
    }

    #[test]
    fn each_step_has_its_size() {
        check("{type: Resize}", (4, 2), "[512, 512]");
        check("{type: Resize, target_size: [8, 6]}", (4, 2), "[6, 8]");
        check(
            "{type: Resize, target_size: [8, 6], keep_ratio: true}",
            (4, 2),
            "[4, 8]",
        );
        check(
            "{type: Resize, target_size: 10, keep_ratio: true, size_divisor: 4}",
            (4, 2),
            "[8, 12]",
        );
        check("{type: ResizeByLong, long_size: 5}", (4, 2), "[2, 5]");
        check("{type: ResizeByShort, short_size: 4}", (4, 2), "[4, 8]");
        check(
            "{type: ResizeByShort, short_size: 4, max_size: 6}",
            (4, 2),
            "[3, 6]",
        );
        check("{type: LimitLong, max_long: 2}", (4, 2), "[1, 2]");
        check("{type: LimitLong, min_long: 8}", (4, 2), "[4, 8]");
        check(
            "{type: LimitLong, max_long: 9, min_long: 3}",
            (4, 2),
            "[2, 4]",
        );
        check("{type: Padding, target_size: [5, 6]}", (4, 2), "[6, 5]");
        check("{type: PaddingByAspectRatio}", (4, 2), "[4, 4]");
        check(
            "{type: PaddingByAspectRatio, aspect_ratio: 3}",
            (4, 2),
            "[2, 6]",
        );
        check(
            "{type: Padding, target_size: [3, 6]}",
            (4, 2),
            "input `image` of 4x2 at `Padding`: the picture is 4x2, too large to be padded to 3x6",
        );
        check(
            "{type: ResizeByShort, short_size: 16384}",
            (900, 1),
            "input `image` of 900x1 at `ResizeByShort`: an output of shape [16384, 14745600, 3] would exceed the limit of 536870912 bytes",
        );
        check(
            "{type: ResizeByLong, long_size: 5}",
            (400, 2),
            "input `image` of 400x2 at `ResizeByLong`: resized to 5x0 it would have an empty side",
        );
    }

    #[test]
    fn values_stay_floats_from_step_to_step() {
        let image = tensor(&[1, 2, 3], &[0u8, 0, 0, 51, 51, 51]);
        let with = "{steps: [{type: Resize, target_size: [1, 1]}, {type: Padding, target_size: [2, 1], im_padding_value: 255}, {type: Normalize}]}";
        let found = call("transforms", with, &[("image", image)]).expect("planes");
        let plane = "[[-0.79999995,1.0]]";
        let found = text(&found).replace("-0.8,", "-0.79999995,");
        assert_eq!(found, format!("[[{plane},{plane},{plane}]]"));
        assert_eq!(
            output("transforms", "{steps: []}", &[]),
            "tensor<float32>[1, 3, ?, ?]"
        );
    }

    #[test]
    fn what_cannot_be_done_is_said_by_its_place() {
        let refused = |steps: &str| {
            try_bound("transforms", &format!("{{steps: [{steps}]}}"))
                .err()
                .unwrap_or_default()
        };
        assert_eq!(
            refused("{type: Normalize}, {type: RandomHorizontalFlip}"),
            "steps[1].type: `RandomHorizontalFlip` is no step of inference, expected one of Normalize, Resize, ResizeByLong, \
             ResizeByShort, LimitLong, Padding, PaddingByAspectRatio"
        );
        assert_eq!(
            refused("{type: Resize, interp: LANCZOS4}"),
            "steps[0].interp: expected one of LINEAR, AREA, CUBIC, found \"LANCZOS4\""
        );
        assert_eq!(
            refused("{type: Normalize, std: [0, 1, 1]}"),
            "steps[0].std: expected a list of 3 numbers that are not 0, found [0,1,1]"
        );
        assert_eq!(
            refused("{type: ResizeByLong, long_size: 4, size: 3}"),
            "steps[0].size: unknown key of `ResizeByLong`"
        );
        assert_eq!(
            refused("{type: ResizeByLong}"),
            "steps[0].long_size: must be given"
        );
    }
}
