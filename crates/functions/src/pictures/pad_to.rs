use dag::{About, FunctionError, Inputs};
use image_ops::{Corner, pad};
use servable::{Dim, Tensor, TensorType, Type, Value};
use tensor_ops::numbers;

use crate::given::{Given, Picture, check_size, given, made, wrong};
use crate::native::{Native, Ready, needed, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "pad_to",
        summary: "Puts a picture on a larger canvas",
        details: "A picture, or planes of numbers `[…, height, width]` as `normalize` makes them: there `value` is what the \
network sees, so 0 after a normalisation to -1…1 is the grey 127.5. Tensors of 8-bit samples count as pictures.",
        inputs: &[required(
            "image",
            "any",
            "a picture, or a tensor `[…, height, width]` of numbers",
        )],
        open: false,
        parameters: &[
            needed("size", "`[width, height]`", "the canvas"),
            setting(
                "value",
                "a number; for pictures a whole one from 0 to 255",
                "0",
                "what the canvas is filled with",
            ),
            setting(
                "corner",
                "one of `top_left`, `top_right`, `bottom_left`, `bottom_right`, `centre`",
                "top_left",
                "where the picture lies",
            ),
            setting(
                "larger",
                "`refuse` or `keep`",
                "refuse",
                "what happens to a picture that is larger than the canvas: with `keep`, each side is padded to at least that of `size`",
            ),
        ],
        output: "any",
        example: "padded: {function: pad_to, in: planes, with: {size: [513, 513], larger: keep}}",
    },
    bind,
};

struct PadTo {
    size: (u32, u32),
    value: f32,
    corner: Corner,
    keep: bool,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let corners = [
        ("top_left", Corner::TopLeft),
        ("top_right", Corner::TopRight),
        ("bottom_left", Corner::BottomLeft),
        ("bottom_right", Corner::BottomRight),
        ("centre", Corner::Centre),
    ];
    let value = parameters.number("value", f64::from(f32::MIN), f64::from(f32::MAX));
    Box::new(PadTo {
        size: parameters.size("size").unwrap_or((1, 1)),
        value: value.unwrap_or(0.0) as f32,
        corner: parameters.choice("corner", &corners).unwrap_or_default(),
        keep: parameters
            .choice("larger", &[("refuse", false), ("keep", true)])
            .unwrap_or(false),
    })
}

impl PadTo {
    /// The canvas for a picture of this size.
    fn canvas(&self, width: u32, height: u32) -> (u32, u32) {
        if self.keep {
            (self.size.0.max(width), self.size.1.max(height))
        } else {
            self.size
        }
    }

    fn picture(&self, picture: &Picture) -> Result<Value, FunctionError> {
        if self.value.fract() != 0.0 || !(0.0..=255.0).contains(&self.value) {
            let reason = format!(
                "is a picture of whole samples from 0 to 255, which `value: {}` is none of",
                self.value
            );
            return Err(wrong("image", reason));
        }
        let image = &picture.image;
        let (width, height) = self.canvas(image.width(), image.height());
        let padded = pad(image, width, height, self.value as u8, self.corner)
            .map_err(|error| wrong("image", format!("cannot be padded: {error}")))?;
        Ok(picture.made(padded))
    }

    fn planes(&self, tensor: &Tensor) -> Result<Value, FunctionError> {
        let [outer @ .., height, width] = tensor.shape() else {
            let reason =
                format!("is no plane: expected a shape […, height, width], found {tensor:?}");
            return Err(wrong("image", reason));
        };
        let (height, width) = (*height, *width);
        let (canvas_width, canvas_height) = match self.keep {
            true => (
                width.max(self.size.0 as usize),
                height.max(self.size.1 as usize),
            ),
            false => (self.size.0 as usize, self.size.1 as usize),
        };
        let (Some(dx), Some(dy)) = (
            canvas_width.checked_sub(width),
            canvas_height.checked_sub(height),
        ) else {
            let reason =
                format!("is {tensor:?}, larger than the canvas of {canvas_width}x{canvas_height}");
            return Err(wrong("image", reason));
        };
        let (left, top) = match self.corner {
            Corner::TopLeft => (0, 0),
            Corner::TopRight => (dx, 0),
            Corner::BottomLeft => (0, dy),
            Corner::BottomRight => (dx, dy),
            Corner::Centre => (dx / 2, dy / 2),
        };
        let mut shape = outer.to_vec();
        shape.extend([canvas_height, canvas_width]);
        let mut out = vec![self.value; check_size(&shape, size_of::<f32>())?];
        if !tensor.is_empty() {
            let numbers = numbers(tensor);
            for (from, to) in numbers
                .chunks_exact(height * width)
                .zip(out.chunks_exact_mut(canvas_height * canvas_width))
            {
                for (y, row) in from.chunks_exact(width).enumerate() {
                    let start = (top + y) * canvas_width + left;
                    to[start..start + width].copy_from_slice(row);
                }
            }
        }
        made(shape, out)
    }
}

impl Ready for PadTo {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        let canvas = [self.size.1, self.size.0].map(|side| match self.keep {
            true => Dim::Any,
            false => Dim::Fixed(side as usize),
        });
        Ok(match given(inputs, "image") {
            Type::Image => Type::Image,
            Type::Tensor(TensorType {
                dtype: Some(servable::DType::F32),
                shape: Some(shape),
            }) if shape.len() >= 2 => {
                let outer = shape[..shape.len() - 2].iter().cloned();
                Type::Tensor(TensorType {
                    dtype: Some(servable::DType::F32),
                    shape: Some(outer.chain(canvas).collect()),
                })
            }
            _ => Type::Any,
        })
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        match inputs.value("image")? {
            Value::Tensor(tensor) if tensor.dtype() != servable::DType::U8 => self.planes(&tensor),
            other => {
                let picture = inputs
                    .decode(&other)
                    .map_err(|error| wrong("image", error))?;
                self.picture(&picture)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, output, tensor, text};

    fn check(with: &str, image: Value, expected: &str) {
        let found = call("pad_to", with, &[("image", image)]);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    #[test]
    fn pictures_and_planes_lie_in_their_corner() {
        let grey = || tensor(&[1, 1], &[7u8]);
        check("{size: [2, 2], value: 9}", grey(), "[[7,9],[9,9]]");
        check(
            "{size: [2, 2], corner: bottom_right}",
            grey(),
            "[[0,0],[0,7]]",
        );
        let planes = || tensor(&[2, 1, 1], &[1f32, 2.]);
        check(
            "{size: [2, 1], value: 0.5}",
            planes(),
            "[[[1.0,0.5]],[[2.0,0.5]]]",
        );
        check(
            "{size: [3, 1], corner: centre}",
            planes(),
            "[[[0.0,1.0,0.0]],[[0.0,2.0,0.0]]]",
        );
        let wide = || tensor(&[1, 3], &[1f32, 2., 3.]);
        check(
            "{size: [2, 2], larger: keep}",
            wide(),
            "[[1.0,2.0,3.0],[0.0,0.0,0.0]]",
        );
        check(
            "{size: [2, 2]}",
            wide(),
            "input `image` is float32[1, 3], larger than the canvas of 2x2",
        );
        check(
            "{size: [1, 1]}",
            tensor(&[1, 2], &[7u8, 7]),
            "input `image` cannot be padded: the picture is 2x1, too large to be padded to 1x1",
        );
        check(
            "{size: [2, 2], value: 127.5}",
            grey(),
            "input `image` is a picture of whole samples from 0 to 255, which `value: 127.5` is none of",
        );
        check(
            "{size: [16384, 16384]}",
            tensor(&[1, 1], &[1f32]),
            "an output of shape [16384, 16384] would exceed the limit of 536870912 bytes",
        );
    }

    #[test]
    fn types_follow_the_canvas() {
        let of = |with, image| output("pad_to", with, &[("image", image)]);
        assert_eq!(
            of("{size: [5, 4]}", "tensor<f32>[1, 3, h, w]"),
            "tensor<float32>[1, 3, 4, 5]"
        );
        assert_eq!(
            of("{size: [5, 4], larger: keep}", "tensor<f32>[h, w]"),
            "tensor<float32>[?, ?]"
        );
        assert_eq!(of("{size: [5, 4]}", "image"), "image");
    }
}
