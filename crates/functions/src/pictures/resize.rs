use dag::{About, FunctionError, Inputs};
use image_ops::{DecodeError, DecodeOptions, Kernel, decode_with, is_turned, size};
use servable::{Dim, TensorType, Type, Value};

use crate::given::{Given, picture_type, picture_value, wrong};
use crate::native::{Native, Ready, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "resize",
        summary: "Changes a picture's size",
        details: "One of four rules says how large it becomes; all are in double precision, `trunc` cuts fractions off.\n\n\
- `size`: exactly that, whatever the aspect ratio.\n\
- `longest_side: S`: `r = S / max(w, h)`, then `trunc(r·w) x trunc(r·h)`. The longer side can come out one short.\n\
- `shortest_side: S`: the shorter side becomes S, the longer `trunc(S·long / short)`, as torchvision's `Resize`.\n\
- `pixels: M`: unchanged where `M = -1` or `w·h ≤ M`, else `s = sqrt(M / (w·h))` and `trunc(s·w) x trunc(s·h)`.\n\n\
Kernels whose names begin with `cv_` give what OpenCV's give, those with `pil_` what Pillow's give, within one grey level. \
`cv_linear` and `cv_cubic` (Keys, a = -0.75) look at two and four neighbours however much the picture shrinks; `cv_area` is \
the mean of the covered area where both sides shrink, and a blend of its own where one grows; `pil_bilinear`, `pil_bicubic` \
(Keys, a = -0.5) and `pil_lanczos` (radius 3) widen with the reduction, so that nothing flickers.",
        inputs: &[required(
            "image",
            "any",
            "the picture, or `uint8` samples `[height, width]`",
        )],
        open: false,
        parameters: &[
            setting("size", "`[width, height]`", "none", "the exact size"),
            setting(
                "longest_side",
                "a side from 1 to 16384",
                "none",
                "the longer side, the aspect ratio stays",
            ),
            setting(
                "shortest_side",
                "a side from 1 to 16384",
                "none",
                "the shorter side, the aspect ratio stays",
            ),
            setting(
                "pixels",
                "a number of pixels from 1 on, -1 for any",
                "none",
                "the most pixels, larger pictures are reduced",
            ),
            setting(
                "kernel",
                "one of `cv_linear`, `cv_area`, `cv_cubic`, `pil_bilinear`, `pil_bicubic`, `pil_lanczos`",
                "pil_bilinear",
                "how samples are made of samples",
            ),
            setting(
                "exif",
                "`never`, `unresized` or `always`",
                "never",
                "when the picture is turned and mirrored as its EXIF data say; `unresized`: where its size stays",
            ),
        ],
        output: "image",
        example: "small: {function: resize, in: picture, with: {longest_side: 513, kernel: pil_lanczos}}",
    },
    bind,
};

struct Resize {
    rule: Rule,
    kernel: Kernel,
    exif: Exif,
}

/// When EXIF data are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exif {
    Never,
    Unresized,
    Always,
}

#[derive(Debug, Clone, Copy)]
enum Rule {
    Exact(u32, u32),
    LongestSide(u32),
    ShortestSide(u32),
    Pixels(i64),
}

const EXIF: [(&str, Exif); 3] = [
    ("never", Exif::Never),
    ("unresized", Exif::Unresized),
    ("always", Exif::Always),
];

impl Rule {
    /// The parameter that it was given as, and what that was.
    fn said(self) -> (&'static str, String) {
        match self {
            Rule::Exact(width, height) => ("size", format!("[{width}, {height}]")),
            Rule::LongestSide(side) => ("longest_side", side.to_string()),
            Rule::ShortestSide(side) => ("shortest_side", side.to_string()),
            Rule::Pixels(budget) => ("pixels", budget.to_string()),
        }
    }

    fn size(self, width: u32, height: u32) -> (u32, u32) {
        match self {
            Rule::Exact(width, height) => (width, height),
            Rule::LongestSide(side) => size::fit_longest_side(width, height, side),
            Rule::ShortestSide(side) => size::fit_shortest_side(width, height, side),
            Rule::Pixels(budget) => size::pixel_budget(width, height, budget),
        }
    }
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let rules = ["size", "longest_side", "shortest_side", "pixels"];
    let given: Vec<_> = rules
        .iter()
        .filter(|rule| parameters.find(rule).is_some())
        .collect();
    match *given.as_slice() {
        [] => parameters.miss(
            "size",
            "one of size, longest_side, shortest_side and pixels must be given",
        ),
        [_] => {}
        [first, second, ..] => parameters.refuse(
            second,
            format!("stands beside `{first}`: give only one of them"),
        ),
    }
    let pixels = "a whole number from 1 on, or -1 for any";
    let pixels = parameters.typed("pixels", pixels, |value| {
        value.as_i64().filter(|&pixels| pixels > 0 || pixels == -1)
    });
    let rule = (parameters
        .size("size")
        .map(|(width, height)| Rule::Exact(width, height)))
    .or(parameters.side("longest_side").map(Rule::LongestSide))
    .or(parameters.side("shortest_side").map(Rule::ShortestSide))
    .or(pixels.map(Rule::Pixels));
    let kernels = Kernel::ALL.map(|kernel| (kernel.name(), kernel));
    Box::new(Resize {
        // Where there is none, what is missing has been said.
        rule: rule.unwrap_or(Rule::Pixels(-1)),
        kernel: parameters
            .choice("kernel", &kernels)
            .unwrap_or(Kernel::PilBilinear),
        exif: parameters.choice("exif", &EXIF).unwrap_or(Exif::Never),
    })
}

impl Ready for Resize {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        let tensor = match picture_type(inputs, "image")? {
            Type::Tensor(tensor) => tensor,
            other => return Ok(other),
        };
        let sides = match self.rule {
            Rule::Exact(width, height) => [height, width].map(|side| Dim::Fixed(side as usize)),
            Rule::LongestSide(_) | Rule::ShortestSide(_) | Rule::Pixels(_) => [Dim::Any, Dim::Any],
        };
        // One channel, whose dimension stays if there is one.
        let channel = tensor.shape.into_iter().flatten().skip(2);
        Ok(Type::Tensor(TensorType {
            dtype: tensor.dtype,
            shape: Some(sides.into_iter().chain(channel).collect()),
        }))
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let value = inputs.value("image")?;
        let turned = match self.exif {
            Exif::Always => upright(&value, &inputs)?,
            Exif::Never | Exif::Unresized => None,
        };
        let (picture, value) = match turned {
            Some(value) => (inputs.decode(&value), value),
            None => (inputs.decode(&value), value),
        };
        let picture = picture.map_err(|error| wrong("image", error))?;
        let (width, height) = (picture.image.width(), picture.image.height());
        let (wanted_width, wanted_height) = self.rule.size(width, height);
        if (wanted_width, wanted_height) == (width, height) {
            if self.exif == Exif::Unresized
                && let Some(turned) = upright(&value, &inputs)?
            {
                return Ok(turned);
            }
            if !matches!(value, Value::Bytes(_)) {
                return Ok(value);
            }
        }
        let resized = image_ops::resize(&picture.image, wanted_width, wanted_height, self.kernel);
        let resized = resized.map_err(|error| {
            let (parameter, found) = self.rule.said();
            FunctionError::Parameter {
                parameter: parameter.into(),
                message: format!(
                    "found {found}, by which `image` of {width}x{height} cannot be resized: {error}"
                ),
            }
        })?;
        Ok(picture.made(resized))
    }
}

/// The picture turned and mirrored as its file's EXIF data say; `None` where they say nothing.
fn upright(value: &Value, inputs: &Given) -> Result<Option<Value>, FunctionError> {
    let file = match value {
        Value::Image(image) => image.file(),
        Value::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    };
    let unusable = |error: DecodeError| wrong("image", format!("cannot be used: {error}"));
    match file {
        Some(file) if is_turned(&file).map_err(unusable)? => {
            let options = DecodeOptions {
                limits: inputs.limits(),
                apply_orientation: true,
            };
            let picture = decode_with(&file, &options).map_err(unusable)?;
            if let Value::Image(image) = value {
                image.note_upright();
            }
            Ok(Some(picture_value(picture, false)))
        }
        Some(_) | None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bound, call, output, tensor, text, try_bound};

    fn size_of(with: &str, width: usize, height: usize) -> String {
        let samples = vec![9u8; width * height * 3];
        let image = tensor(&[height, width, 3], &samples);
        match call("resize", with, &[("image", image)]) {
            Ok(Value::Image(image)) => format!("{:?}", image.decoded().expect("samples")),
            Ok(other) => format!("{other:?}"),
            Err(error) => error,
        }
    }

    #[test]
    fn each_rule_has_its_size() {
        let check = |with: &str, size: (usize, usize), expected: &str| {
            assert_eq!(size_of(with, size.0, size.1), expected, "{with} {size:?}");
        };
        check("{size: [4, 2]}", (10, 10), "uint8[2, 4, 3]");
        check("{longest_side: 333}", (41, 30), "uint8[243, 332, 3]");
        check("{shortest_side: 6}", (4, 8), "uint8[12, 6, 3]");
        check("{pixels: 50}", (10, 20), "uint8[10, 5, 3]");
        check(
            "{longest_side: 4}",
            (1, 9),
            "parameter `longest_side`: found 4, by which `image` of 1x9 cannot be resized: a picture cannot be 0x4: both sides must be at least 1",
        );
        check(
            "{shortest_side: 16384}",
            (1, 2000),
            "parameter `shortest_side`: found 16384, by which `image` of 1x2000 cannot be resized: resized to 16384x32768000 it would exceed the limit of 178956970 pixels",
        );
    }

    #[test]
    fn masks_stay_tensors_and_nothing_to_do_copies_nothing() {
        let mask = tensor(&[1, 2], &[0u8, 200]);
        let found = call(
            "resize",
            "{size: [4, 1], kernel: cv_linear}",
            &[("image", mask.clone())],
        );
        assert_eq!(text(&found.expect("a mask")), "[[0,50,150,200]]");
        let Ok(Value::Tensor(same)) = call("resize", "{pixels: -1}", &[("image", mask.clone())])
        else {
            panic!("a tensor");
        };
        let Value::Tensor(mask) = mask else {
            panic!("a tensor")
        };
        assert_eq!(same.bytes().as_ptr(), mask.bytes().as_ptr());
    }

    /// A file of 4 by 2 that lies on its side.
    fn lying() -> Value {
        let picture = image_ops::Image::new(4, 2, 3, vec![90; 24]).expect("a picture");
        let jpeg = image_ops::encode_jpeg(&picture, 90).expect("a file");
        let exif = b"\xFF\xE1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        Value::Bytes([&jpeg[..2], exif, &jpeg[2..]].concat().into())
    }

    #[test]
    fn exif_data_are_followed_never_always_or_where_the_size_stays() {
        let check = |with: &str, image: Value, expected: &str| {
            let found = call("resize", with, &[("image", image)]);
            let size = found
                .map(|found| text(&call("size_of", "{}", &[("image", found)]).expect("a size")));
            assert_eq!(size.as_deref(), Ok(expected), "{with}");
        };
        let (wide, high) = (r#"{"width":4,"height":2}"#, r#"{"width":2,"height":4}"#);
        let file = |bytes| match bytes {
            Value::Bytes(bytes) => Value::Image(servable::Image::from_file(bytes)),
            other => other,
        };
        for image in [lying(), file(lying())] {
            check("{pixels: 8}", image.clone(), wide);
            check("{pixels: 8, exif: unresized}", image.clone(), high);
            check("{pixels: -1, exif: unresized}", image.clone(), high);
            check(
                "{pixels: 2, exif: unresized}",
                image.clone(),
                r#"{"width":2,"height":1}"#,
            );
            check(
                "{pixels: 2, exif: always}",
                image.clone(),
                r#"{"width":1,"height":2}"#,
            );
            check("{pixels: 8, exif: always}", image, high);
        }
        // Who brought the picture hears of it.
        for (with, expected) in [
            ("{pixels: 8, exif: unresized}", true),
            ("{pixels: 2, exif: unresized}", false),
            ("{pixels: 2, exif: always}", true),
            ("{pixels: 8}", false),
        ] {
            let Value::Bytes(bytes) = lying() else {
                panic!("bytes")
            };
            let image = servable::Image::from_file(bytes);
            call("resize", with, &[("image", image.clone().into())]).expect("resized");
            assert_eq!(image.was_upright(), expected, "{with}");
        }
    }

    #[test]
    fn exactly_one_rule_is_wanted_which_may_come_with_the_request() {
        let refused = |with| try_bound("resize", with).err().unwrap_or_default();
        assert_eq!(
            refused("{size: [1, 1], pixels: 5}"),
            "pixels: stands beside `size`: give only one of them"
        );
        assert_eq!(
            output("resize", "{}", &[("image", "image")]),
            "error: size: one of size, longest_side, shortest_side and pixels must be given"
        );
        assert_eq!(
            output("resize", "{}", &[("image", "image"), ("pixels", "int")]),
            "image"
        );
        assert_eq!(
            output("resize", "{size: [4, 2]}", &[("image", "tensor<u8>[h, w]")]),
            "tensor<uint8>[2, 4]"
        );
        assert_eq!(
            output("resize", "{size: [4, 2]}", &[("image", "boxes")]),
            "error: input `image` must be a picture, not boxes"
        );
        let image = tensor(&[2, 2, 3], &[7u8; 12]);
        let late = |pixels| {
            let inputs = vec![
                ("image".to_owned(), image.clone()),
                ("pixels".to_owned(), pixels),
            ];
            bound("resize", "{}").call(inputs)
        };
        assert_eq!(
            late(Value::Int(0)).expect_err("no pixels").to_string(),
            "parameter `pixels`: expected a whole number from 1 on, or -1 for any, found 0"
        );
        let Ok(Value::Image(image)) = late(Value::Int(1)) else {
            panic!("a picture")
        };
        assert_eq!(image.decoded().expect("samples").shape(), [1, 1, 3]);
        assert_eq!(
            late(Value::from("many"))
                .expect_err("no number")
                .to_string(),
            "parameter `pixels`: expected a whole number from 1 on, or -1 for any, found `many`"
        );
    }
}
