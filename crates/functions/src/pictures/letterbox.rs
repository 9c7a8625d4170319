use dag::{About, FunctionError, Inputs};
use image_ops::letterbox::{FILL, letterbox_with};
use image_ops::{ChannelOrder, Normalize, size};
use servable::{Dim, Field, TensorType, Type, Value};

use super::planes;
use crate::given::{Given, wrong};
use crate::native::{Native, Ready, required, setting};
use crate::parameters::{MAX_SIDE, Parameters};

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "letterbox",
        summary: "Fits a picture into a detector's input, and says how",
        details: "YOLOv5's automatic shape for size S and stride t: `g = S / max(w, h)`; the network's height is \
`ceil(trunc(h·g) / t)·t`, its width likewise; `r = min(H / h, W / w)`; the picture is scaled by `cv_linear` to \
`round(w·r) x round(h·r)` (halves to even) and bordered on both sides, the odd pixel on the right and below.\n\n\
The answer has two members: `image`, samples times `scale`, planes of red, green and blue, and `geometry`, which `nms` takes \
to bring boxes back into the picture.",
        inputs: &[required("image", "image", "the picture")],
        open: false,
        parameters: &[
            setting(
                "size",
                "a side from 1 to 16384",
                "640",
                "the network's longer side",
            ),
            setting(
                "stride",
                "a whole number from 1 to 1024",
                "32",
                "what both sides are a multiple of",
            ),
            setting(
                "fill",
                "a whole number from 0 to 255",
                "114",
                "the border's samples",
            ),
            setting(
                "scale",
                "a number",
                "1/255",
                "what samples are multiplied with",
            ),
            setting(
                "batch",
                "`true` or `false`",
                "true",
                "whether the tensor has a first dimension of 1",
            ),
        ],
        output: "{image: tensor<float32>, geometry: {image_width: int, image_height: int, width: int, height: int, left: int, top: int, ratio: float}}",
        example: "boxed: {function: letterbox, in: picture, with: {size: 1280}}\n\
found: {model: detector, in: boxed.image}",
    },
    bind,
};

struct Letterbox {
    size: u32,
    stride: u32,
    fill: u8,
    normalize: Normalize,
    batch: bool,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let scale = parameters.number("scale", -1e6, 1e6).unwrap_or(1.0 / 255.0);
    let stride = parameters.whole("stride", 1, 1024).unwrap_or(32);
    let fill = parameters.whole("fill", 0, 255).unwrap_or(FILL.into());
    Box::new(Letterbox {
        size: parameters.side("size").unwrap_or(640),
        stride: stride as u32,
        fill: fill as u8,
        normalize: Normalize::new([0.0; 3], [1.0; 3], ChannelOrder::Rgb, scale),
        batch: parameters.flag("batch").unwrap_or(true),
    })
}

/// The members of `geometry`.
const GEOMETRY: [&str; 7] = [
    "image_width",
    "image_height",
    "width",
    "height",
    "left",
    "top",
    "ratio",
];

impl Ready for Letterbox {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        let mut shape = vec![Dim::Fixed(3), Dim::Any, Dim::Any];
        if self.batch {
            shape.insert(0, Dim::Fixed(1));
        }
        let field = |name: &str, of| Field {
            name: name.into(),
            of,
        };
        let geometry = GEOMETRY.map(|name| {
            field(
                name,
                if name == "ratio" {
                    Type::Float
                } else {
                    Type::Int
                },
            )
        });
        Ok(Type::Record(vec![
            field(
                "image",
                Type::Tensor(TensorType {
                    dtype: Some(servable::DType::F32),
                    shape: Some(shape),
                }),
            ),
            field("geometry", Type::Record(geometry.into())),
        ]))
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let image = inputs.picture("image")?.image.into_rgb();
        let geometry = size::letterbox(image.width(), image.height(), self.size, self.stride);
        if geometry.width.max(geometry.height) > MAX_SIDE + self.stride {
            let reason = format!(
                "would be {}x{} for the network",
                geometry.width, geometry.height
            );
            return Err(wrong("image", reason));
        }
        let boxed = letterbox_with(&image, &geometry, self.fill).map_err(|error| {
            let (width, height) = (image.width(), image.height());
            wrong(
                "image",
                format!("of {width}x{height} does not fit the network: {error}"),
            )
        })?;
        let whole = |side: u32| Value::Int(side.into());
        let numbers = [
            whole(geometry.image_width),
            whole(geometry.image_height),
            whole(geometry.width),
            whole(geometry.height),
            whole(geometry.left),
            whole(geometry.top),
            Value::Float(geometry.r),
        ];
        Ok(Value::map([
            ("image", planes(&boxed, &self.normalize, self.batch)?),
            ("geometry", Value::map(GEOMETRY.into_iter().zip(numbers))),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{call, output, tensor, text};

    #[test]
    fn the_picture_lies_inside_its_border() {
        let image = tensor(&[1, 2, 3], &[51u8; 6]);
        let found = call(
            "letterbox",
            "{size: 4, stride: 4, fill: 255}",
            &[("image", image)],
        );
        let found = found.expect("a tensor and its geometry");
        let row = |v| format!("[{v},{v},{v},{v}]");
        let plane = format!(
            "[{},{},{},{}]",
            row("1.0"),
            row("0.2"),
            row("0.2"),
            row("1.0")
        );
        assert_eq!(
            text(found.get("image").expect("a tensor")),
            format!("[[{plane},{plane},{plane}]]")
        );
        assert_eq!(
            text(found.get("geometry").expect("a record")),
            r#"{"image_width":2,"image_height":1,"width":4,"height":4,"left":0,"top":1,"ratio":2.0}"#
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let thread = tensor(&[1, 2000, 3], &[0u8; 6000]);
        let found = call("letterbox", "{}", &[("image", thread)]);
        let error = found.expect_err("nothing is left of it");
        assert!(
            error.starts_with("input `image` of 2000x1 does not fit the network"),
            "{error}"
        );
        assert!(
            output("letterbox", "{batch: false}", &[("image", "image")])
                .starts_with("{image: tensor<float32>[3, ?, ?], geometry: {image_width: int")
        );
    }
}
