use dag::{About, FunctionError, Inputs};
use servable::{Type, Value};

use crate::given::{Given, failed, picture_type};
use crate::native::{Native, Ready, required};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "encode_png",
        summary: "Writes a picture as a PNG file",
        details: "8-bit RGB, or grey for samples `[height, width]`. Nothing is lost. Answer it under its content type: \
`output: {image/png: drawing}`.",
        inputs: &[required(
            "image",
            "any",
            "the picture, or `uint8` samples `[height, width]`",
        )],
        open: false,
        parameters: &[],
        output: "bytes",
        example: "drawing: {function: encode_png, in: small}",
    },
    bind,
};

struct EncodePng;

fn bind(_: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(EncodePng)
}

impl Ready for EncodePng {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        picture_type(inputs, "image").map(|_| Type::Bytes)
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let picture = inputs.picture("image")?;
        let file = image_ops::encode_png(&picture.image).map_err(failed)?;
        Ok(Value::Bytes(file.into()))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{call, tensor, text};

    #[test]
    fn a_file_holds_the_samples() {
        let image = tensor(&[1, 2, 3], &[1u8, 2, 3, 4, 5, 6]);
        let file = call("encode_png", "{}", &[("image", image)]).expect("a file");
        let back = call("decode_image", "{}", &[("image", file)]).expect("a picture");
        assert_eq!(text(&back), "[[[1,2,3],[4,5,6]]]");
    }
}
