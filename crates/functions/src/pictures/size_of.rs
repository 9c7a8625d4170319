use dag::{About, FunctionError, Inputs};
use servable::{Type, Value};

use crate::given::{Given, wrong};
use crate::native::{Native, Ready, required};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "size_of",
        summary: "Width and height of a picture or a mask",
        details: "Width is the number of columns, height the number of rows; the picture is taken as it lies in its file, \
whatever its EXIF data say of rotation.",
        inputs: &[required(
            "image",
            "any",
            "a picture, samples `[height, width, channels]`, or a mask `[height, width]` or `[1, height, width]`",
        )],
        open: false,
        parameters: &[],
        output: "{width: int, height: int}",
        example: "size: {function: size_of, in: mask}",
    },
    bind,
};

struct SizeOf;

fn bind(_: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(SizeOf)
}

impl Ready for SizeOf {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        let of = FUNCTION.about.output;
        of.parse()
            .map_err(|error: servable::TypeError| error.to_string())
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let value = inputs.value("image")?;
        let (width, height) = match &value {
            Value::Tensor(tensor) => match *tensor.shape() {
                [height, width, 3] | [1, height, width] | [height, width] => (width, height),
                _ => {
                    let reason = format!("is neither a picture nor a mask: found {tensor:?}");
                    return Err(wrong("image", reason));
                }
            },
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Image(_)
            | Value::List(_)
            | Value::Map(_) => {
                let picture = inputs
                    .decode(&value)
                    .map_err(|reason| wrong("image", reason))?;
                (
                    picture.image.width() as usize,
                    picture.image.height() as usize,
                )
            }
        };
        let side = |side| i64::try_from(side).unwrap_or(i64::MAX);
        Ok(Value::map([
            ("width", Value::Int(side(width))),
            ("height", Value::Int(side(height))),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, tensor, text};

    fn check(image: Value, expected: &str) {
        let found = call("size_of", "{}", &[("image", image)]);
        assert_eq!(
            found.map_or_else(|error| error, |found| text(&found)),
            expected
        );
    }

    #[test]
    fn width_is_the_number_of_columns() {
        let picture = tensor(&[2, 3, 3], &[7u8; 18]);
        let file = call("encode_png", "{}", &[("image", picture.clone())]).expect("a file");
        check(picture, r#"{"width":3,"height":2}"#);
        check(file, r#"{"width":3,"height":2}"#);
        check(tensor(&[2, 5], &[0u8; 10]), r#"{"width":5,"height":2}"#);
        check(tensor(&[1, 2, 5], &[0i64; 10]), r#"{"width":5,"height":2}"#);
        check(
            tensor(&[5], &[0u8; 5]),
            "input `image` is neither a picture nor a mask: found uint8[5]",
        );
        check(
            Value::Int(1),
            "input `image` is not a picture (found integer)",
        );
    }
}
