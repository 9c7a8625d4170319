use dag::{About, FunctionError, Inputs};
use image_ops::{encode_palette_png, palette};
use serde_json::Value as Json;
use servable::{Type, Value};

use super::mask_of;
use crate::given::{Given, failed, wrong};
use crate::native::{Native, Ready, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "pseudo_color_png",
        summary: "A mask as a PNG file whose pixels are class numbers",
        details: "8 bits and a palette: whoever reads the file as it is has the classes back, and whoever looks at it sees \
colours. Both named palettes spread the bits of a number over red, green and blue, three at a time, from the highest bit down: \
`voc_classic` gives class c the colour of c, so class 0 is black; `paddleseg_default` that of c + 1, so class 0 is \
(128, 0, 0). A palette of one's own must have a colour for every class that occurs.",
        inputs: &[required(
            "mask",
            "tensor",
            "class numbers up to 255, `[height, width]` or `[1, height, width]`",
        )],
        open: false,
        parameters: &[setting(
            "palette",
            "`voc_classic`, `paddleseg_default`, or a list of `[red, green, blue]`",
            "paddleseg_default",
            "the colours of the classes, in their order",
        )],
        output: "bytes",
        example: "drawing: {function: pseudo_color_png, in: mask, with: {palette: [[0, 0, 0], [0, 128, 0]]}}",
    },
    bind,
};

struct PseudoColorPng {
    /// Red, green and blue of each class.
    palette: Vec<u8>,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let expected = "voc_classic, paddleseg_default or a list of 1 to 256 times [red, green, blue]";
    let palette = parameters.typed("palette", expected, |value| match value.as_str() {
        Some("voc_classic") => Some(palette::voc_classic().to_vec()),
        Some("paddleseg_default") => Some(palette::paddleseg_default().to_vec()),
        Some(_) => None,
        None => colours(value),
    });
    Box::new(PseudoColorPng {
        palette: palette.unwrap_or_else(|| palette::paddleseg_default().to_vec()),
    })
}

fn colours(value: &Json) -> Option<Vec<u8>> {
    let colour = |colour: &Json| match colour.as_array()?.as_slice() {
        rgb @ [_, _, _] => rgb
            .iter()
            .map(|part| u8::try_from(part.as_u64()?).ok())
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let colours: Vec<_> = value
        .as_array()?
        .iter()
        .map(colour)
        .collect::<Option<_>>()?;
    (1..=256).contains(&colours.len()).then(|| colours.concat())
}

impl Ready for PseudoColorPng {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        Ok(Type::Bytes)
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let tensor = inputs.tensor("mask")?;
        let mask = mask_of("mask", &tensor)?;
        let (width, height) = mask.size();
        let classes = mask.tensor().map_err(failed)?;
        if classes.dtype() != servable::DType::U8 {
            let last = mask.classes() - 1;
            return Err(wrong(
                "mask",
                format!("holds class {last}, a palette ends at 255"),
            ));
        }
        let side = |side: usize| {
            u32::try_from(side).map_err(|_| wrong("mask", format!("has a side of {side}")))
        };
        let (width, height) = (side(width)?, side(height)?);
        let file = encode_palette_png(classes.bytes(), width, height, &self.palette)
            .map_err(|error| wrong("mask", format!("cannot be drawn: {error}")))?;
        Ok(Value::Bytes(file.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, tensor, text, try_bound, vectors};

    fn check(with: &str, mask: Value, expected: &str) {
        let drawn = call("pseudo_color_png", with, &[("mask", mask)])
            .and_then(|file| call("decode_image", "{}", &[("image", file)]));
        let drawn = drawn.map_or_else(|error| error, |drawn| text(&drawn));
        assert_eq!(drawn, expected, "{with}");
    }

    #[test]
    fn classes_have_their_colours() {
        let mask = || tensor(&[1, 2], &[0u8, 1]);
        check("{}", mask(), "[[[128,0,0],[0,128,0]]]");
        check("{palette: voc_classic}", mask(), "[[[0,0,0],[128,0,0]]]");
        check(
            "{palette: [[1, 2, 3], [4, 5, 6]]}",
            mask(),
            "[[[1,2,3],[4,5,6]]]",
        );
        check(
            "{palette: [[1, 2, 3]]}",
            mask(),
            "input `mask` cannot be drawn: the mask holds class 1, its palette ends at 0",
        );
        check(
            "{}",
            tensor(&[1, 1], &[256i64]),
            "input `mask` holds class 256, a palette ends at 255",
        );
        let refused = |with| {
            try_bound("pseudo_color_png", with)
                .err()
                .unwrap_or_default()
        };
        assert!(
            refused("{palette: voc}")
                .starts_with("palette: expected voc_classic, paddleseg_default or")
        );
        assert!(refused("{palette: [[1, 2, 300]]}").starts_with("palette: expected voc_classic"));
    }

    #[test]
    fn reference() {
        let Some(palettes) = vectors("palettes.json") else {
            return;
        };
        for (name, found) in [
            ("voc_classic", palette::voc_classic()),
            ("paddleseg_default", palette::paddleseg_default()),
        ] {
            let expected: Vec<[u8; 3]> =
                serde_json::from_value(palettes[name].clone()).expect("colours");
            assert_eq!(found.as_slice(), expected.concat(), "{name}");
        }
    }
}
