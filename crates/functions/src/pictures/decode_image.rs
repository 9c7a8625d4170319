use dag::{About, FunctionError, Inputs};
use image_ops::{DecodeLimits, DecodeOptions, Image, decode_with};
use servable::{Type, Value};
use tensor_ops::decoded;

use crate::given::{Given, failed, picture_value, wrong};
use crate::native::{Native, Ready, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "decode_image",
        summary: "Reads a picture's file",
        details: "JPEG, PNG, BMP, WebP and the first frame of a GIF become 8-bit samples `[height, width, 3]`: grey, palettes, \
CMYK and 16 bits are converted, alpha is dropped, not blended. A file that is cut short is refused, and so is one of more \
than 178,956,970 pixels, unless the server takes any (`limit_max_image_pixels`).\n\n\
A picture is decoded once, however many nodes use it; functions and models that take pictures also take the file and decode \
it themselves. This one is there to choose the order of channels and the rotation, and to refuse early what is no picture.",
        inputs: &[required("image", "image", "the file")],
        open: false,
        parameters: &[
            setting(
                "order",
                "`rgb` or `bgr`",
                "rgb",
                "which channel comes first; later functions keep the order and call the first channel red",
            ),
            setting(
                "exif",
                "`true` or `false`",
                "false",
                "whether the picture is turned and mirrored as its EXIF data say",
            ),
        ],
        output: "image",
        example: "picture: {function: decode_image, in: image, with: {order: bgr}}",
    },
    bind,
};

struct DecodeImage {
    bgr: bool,
    exif: bool,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let orders = [("rgb", false), ("bgr", true)];
    Box::new(DecodeImage {
        bgr: parameters.choice("order", &orders).unwrap_or(false),
        exif: parameters.flag("exif").unwrap_or(false),
    })
}

impl Ready for DecodeImage {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        Ok(Type::Image)
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let limits = inputs.limits();
        let image = match inputs.value("image")? {
            Value::Image(image) => image,
            Value::Bytes(bytes) => servable::Image::from_file(bytes),
            Value::Tensor(tensor) => servable::Image::from_pixels(tensor.clone())
                .ok_or_else(|| wrong("image", format!("is not a picture (found {tensor:?})")))?,
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_)) => {
                let found = other.kind();
                return Err(wrong("image", format!("is not a picture (found {found})")));
            }
        };
        let turned = match image.file() {
            Some(file) if self.exif => {
                let picture = turned(&file, limits)?;
                image.note_upright();
                Some(picture)
            }
            Some(_) | None => None,
        };
        if turned.is_none() && !self.bgr {
            decoded(&image, &limits).map_err(|error| wrong("image", error))?;
            return Ok(Value::Image(image));
        }
        let mut picture = match turned {
            Some(picture) => picture,
            None => {
                tensor_ops::pixels_of(&image, &limits).map_err(|error| wrong("image", error))?
            }
        };
        if self.bgr {
            picture.swap_red_blue();
        }
        match picture_value(picture, false) {
            picture @ Value::Image(_) => Ok(picture),
            other => Err(failed(format!("decoding gave a {}", other.kind()))),
        }
    }
}

fn turned(file: &[u8], limits: DecodeLimits) -> Result<Image, FunctionError> {
    let options = DecodeOptions {
        limits,
        apply_orientation: true,
    };
    decode_with(file, &options).map_err(|error| wrong("image", format!("cannot be used: {error}")))
}

#[cfg(test)]
mod tests {
    use image_ops::encode_png;

    use super::*;
    use crate::testing::{call, text};

    fn file() -> Value {
        let picture = Image::new(2, 1, 3, vec![1, 2, 3, 4, 5, 6]).expect("two pixels");
        Value::Bytes(encode_png(&picture).expect("encoded").into())
    }

    fn check(with: &str, image: Value, expected: &str) {
        let found = call("decode_image", with, &[("image", image)]);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    #[test]
    fn files_become_samples_in_either_order() {
        check("{}", file(), "[[[1,2,3],[4,5,6]]]");
        check("{order: bgr}", file(), "[[[3,2,1],[6,5,4]]]");
        check("{exif: true}", file(), "[[[1,2,3],[4,5,6]]]");
        let what = "input `image` cannot be used: the bytes are not a picture: expected JPEG, PNG, BMP, WebP or GIF";
        check("{}", Value::Bytes("no picture".into()), what);
        check("{exif: true}", Value::Bytes("no picture".into()), what);
        check(
            "{}",
            Value::Int(1),
            "input `image` is not a picture (found integer)",
        );
    }

    #[test]
    fn a_picture_is_decoded_once_for_all_who_use_it() {
        let Value::Bytes(bytes) = file() else {
            panic!("bytes")
        };
        let image = servable::Image::from_file(bytes);
        let first = call("decode_image", "{}", &[("image", image.clone().into())]);
        let Ok(Value::Image(first)) = first else {
            panic!("a picture")
        };
        let place = |image: &servable::Image| image.decoded().expect("samples").bytes().as_ptr();
        let second = call("decode_image", "{}", &[("image", image.clone().into())]);
        let Ok(Value::Image(second)) = second else {
            panic!("a picture")
        };
        assert_eq!(place(&first), place(&second));
        assert_eq!(place(&first), place(&image));
    }
}
