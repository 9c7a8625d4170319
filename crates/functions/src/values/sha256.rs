use bytes::Bytes;
use dag::{About, FunctionError, Inputs};
use servable::{Type, Value};
use sha2::{Digest, Sha256};

use crate::given::{Given, wrong};
use crate::native::{Native, Ready, required};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "sha256",
        summary: "The SHA-256 of a file, in hexadecimal",
        details: "What `sha256sum` says of the file that came with the request: with it an answer can name the picture it is \
about. A picture that was computed is no file; encode it first.",
        inputs: &[required("file", "any", "a picture's file, bytes or text")],
        open: false,
        parameters: &[],
        output: "text",
        example: "digest: {function: sha256, in: image}",
    },
    bind,
};

struct Sha256Of;

fn bind(_: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(Sha256Of)
}

impl Ready for Sha256Of {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        Ok(Type::Text)
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let value = inputs.value("file")?;
        let file = match value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Text(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
            Value::Image(image) => image.file(),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Tensor(_)
            | Value::List(_)
            | Value::Map(_) => None,
        };
        let file = file.ok_or_else(|| {
            wrong(
                "file",
                "is no file: expected that of a picture, bytes or text",
            )
        })?;
        let digest = Sha256::digest(file);
        let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, text};

    #[test]
    fn a_file_is_told_by_its_digest() {
        let image = Value::Image(servable::Image::from_file("abc"));
        // The digest of `abc` that FIPS 180-2 gives as its first example.
        let expected = "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"";
        for value in [image, Value::Bytes("abc".into()), Value::from("abc")] {
            let found = call("sha256", "{}", &[("file", value)]).expect("a digest");
            assert_eq!(text(&found), expected);
        }
        let refused = call("sha256", "{}", &[("file", Value::Int(1))]);
        assert_eq!(
            refused.err().as_deref(),
            Some("input `file` is no file: expected that of a picture, bytes or text")
        );
    }
}
