use dag::{About, FunctionError, Inputs};
use image_ops::{ChannelOrder, Normalize as Table};
use servable::{DType, Dim, Tensor, TensorType, Type, Value};
use tensor_ops::numbers;

use super::planes;
use crate::given::{Given, check_size, given, made, wrong};
use crate::native::{Native, Ready, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "normalize",
        summary: "Samples to the numbers a network wants",
        details: "`(v · scale - mean) / std` for each channel, in single precision. A picture becomes planes, \
`[1, channels, height, width]`; a tensor of numbers `[channels, height, width]` or `[n, channels, height, width]` keeps its \
shape. The defaults give what torchvision's `ToTensor` gives; ImageNet's numbers are `mean: [0.485, 0.456, 0.406]` and \
`std: [0.229, 0.224, 0.225]`.",
        inputs: &[required("image", "any", "a picture, or planes of numbers")],
        open: false,
        parameters: &[
            setting(
                "mean",
                "a number or a list of 3 numbers",
                "0",
                "what is subtracted, in the order of the output's channels",
            ),
            setting(
                "std",
                "a number or a list of 3 numbers",
                "1",
                "what is divided by, in the order of the output's channels",
            ),
            setting(
                "scale",
                "a number",
                "1/255 for pictures, else 1",
                "what comes first",
            ),
            setting(
                "order",
                "`rgb` or `bgr`",
                "rgb",
                "which of red and blue comes first in the output; the input is taken as RGB",
            ),
            setting(
                "batch",
                "`true` or `false`",
                "true",
                "whether a picture's tensor has a first dimension of 1",
            ),
        ],
        output: "tensor<float32>",
        example: "planes: {function: normalize, in: small, with: {mean: 1, scale: 0.00784313725490196}}",
    },
    bind,
};

struct Normalize {
    mean: [f32; 3],
    std: [f32; 3],
    scale: Option<f64>,
    order: ChannelOrder,
    /// For pictures.
    table: Table,
    batch: bool,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let orders = [("rgb", ChannelOrder::Rgb), ("bgr", ChannelOrder::Bgr)];
    let mean = parameters.per_channel("mean").unwrap_or([0.0; 3]);
    let std = parameters.per_channel("std").unwrap_or([1.0; 3]);
    if std.contains(&0.0) {
        parameters.refuse("std", "a deviation of 0 divides by nothing");
    }
    let scale = parameters.number("scale", -1e6, 1e6);
    let order = parameters.choice("order", &orders).unwrap_or_default();
    Box::new(Normalize {
        mean,
        std,
        scale,
        order,
        table: Table::new(mean, std, order, scale.unwrap_or(1.0 / 255.0)),
        batch: parameters.flag("batch").unwrap_or(true),
    })
}

impl Normalize {
    fn of_numbers(&self, tensor: &Tensor) -> Result<Value, FunctionError> {
        let channels = match *tensor.shape() {
            [channels, _, _] | [_, channels, _, _] if channels == 1 || channels == 3 => channels,
            _ => {
                let reason = format!(
                    "cannot be normalised: expected a picture or numbers of shape [n, 1 or 3, height, width], found {tensor:?}"
                );
                return Err(wrong("image", reason));
            }
        };
        let shape = tensor.shape().to_vec();
        let mut out = Vec::with_capacity(check_size(&shape, size_of::<f32>())?);
        if !tensor.is_empty() {
            let numbers = numbers(tensor);
            let scale = self.scale.unwrap_or(1.0) as f32;
            let plane = shape[shape.len() - 2] * shape[shape.len() - 1];
            for image in numbers.chunks_exact(channels * plane) {
                for channel in 0..channels {
                    let from = match self.order {
                        ChannelOrder::Rgb => channel,
                        ChannelOrder::Bgr => channels - 1 - channel,
                    };
                    let (mean, std) = (self.mean[channel], self.std[channel]);
                    let values = &image[from * plane..(from + 1) * plane];
                    out.extend(values.iter().map(|v| (v * scale - mean) / std));
                }
            }
        }
        made(shape, out)
    }
}

impl Ready for Normalize {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        let shape = match given(inputs, "image") {
            Type::Image => {
                let batch = self.batch.then_some(Dim::Fixed(1));
                Some(
                    batch
                        .into_iter()
                        .chain([Dim::Fixed(3), Dim::Any, Dim::Any])
                        .collect(),
                )
            }
            Type::Tensor(TensorType {
                dtype: Some(dtype),
                shape,
            }) if dtype != DType::U8 => shape,
            _ => None,
        };
        Ok(Type::Tensor(TensorType {
            dtype: Some(DType::F32),
            shape,
        }))
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        match inputs.value("image")? {
            Value::Tensor(tensor) if tensor.dtype() != DType::U8 => self.of_numbers(&tensor),
            other => {
                let picture = inputs
                    .decode(&other)
                    .map_err(|error| wrong("image", error))?;
                planes(&picture.image, &self.table, self.batch)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, output, tensor, text, try_bound};

    fn check(with: &str, image: Value, expected: &str) {
        let found = call("normalize", with, &[("image", image)]);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    #[test]
    fn pictures_become_planes() {
        let pixel = || tensor(&[1, 1, 3], &[0u8, 51, 255]);
        check("{}", pixel(), "[[[[0.0]],[[0.2]],[[1.0]]]]");
        check(
            "{batch: false, order: bgr}",
            pixel(),
            "[[[1.0]],[[0.2]],[[0.0]]]",
        );
        check(
            "{scale: 1, mean: [1, 0, 5], std: 2}",
            pixel(),
            "[[[[-0.5]],[[25.5]],[[125.0]]]]",
        );
        check("{}", tensor(&[1, 1], &[255u8]), "[[[[1.0]]]]");
    }

    #[test]
    fn numbers_keep_their_shape() {
        let planes = || tensor(&[3, 1, 1], &[1f32, 2., 3.]);
        check("{mean: 1, std: 2}", planes(), "[[[0.0]],[[0.5]],[[1.0]]]");
        check("{order: bgr}", planes(), "[[[3.0]],[[2.0]],[[1.0]]]");
        check("{}", tensor::<f32>(&[0, 3, 2, 2], &[]), "[]");
        check(
            "{}",
            tensor(&[2], &[1f32, 2.]),
            "input `image` cannot be normalised: expected a picture or numbers of shape [n, 1 or 3, height, width], found float32[2]",
        );
    }

    #[test]
    fn parameters_and_types() {
        assert_eq!(
            try_bound("normalize", "{std: [1, 0, 1]}").err().as_deref(),
            Some("std: a deviation of 0 divides by nothing")
        );
        let of = |with, image| output("normalize", with, &[("image", image)]);
        assert_eq!(of("{}", "image"), "tensor<float32>[1, 3, ?, ?]");
        assert_eq!(
            of("{}", "tensor<f32>[n, 3, h, w]"),
            "tensor<float32>[n, 3, h, w]"
        );
        assert_eq!(of("{}", "any"), "tensor<float32>");
    }
}
