use dag::{About, FunctionError, Inputs};
use image_ops::detection::{Detection, FIXED_COLUMNS, Sizes, Suppression, suppress};
use servable::{Dim, TensorType, Type, Value};
use tensor_ops::numbers;

use crate::given::{Given, given, made, wrong};
use crate::native::{Native, Ready, optional, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "nms",
        summary: "Rows of a detector to the best boxes",
        details: "Rows are centre-x, centre-y, width, height, objectness and a score for each class. Kept are rows whose \
objectness is greater than `confidence` and whose score, objectness times the best class score, is so too. They are sorted by \
falling score and cut to `candidates`; a box whose intersection over union with a kept one is greater than `iou` is dropped, \
unless they are of different classes and `class_aware` is set. At most `max` boxes are kept.\n\n\
With `geometry`, boxes are brought back into the picture, W x H being the network's size and w x h the picture's: \
`gain = min(H / h, W / w)`, `pad = ((W - w·gain) / 2, (H - h·gain) / 2)`, `(x - pad) / gain`, cut to the picture.\n\n\
The answer is `float32 [n, 6]`: left, top, right, bottom, score, class, the best first. No boxes are a normal case.",
        inputs: &[
            required(
                "rows",
                "any",
                "`[1, rows, 5 + classes]` or without the first dimension; of several tensors the first",
            ),
            optional(
                "geometry",
                "{image_width: int, image_height: int, width: int, height: int}",
                "that of `letterbox`",
            ),
        ],
        open: false,
        parameters: &[
            setting(
                "confidence",
                "a number from 0 to 1",
                "0.25",
                "what objectness and score must exceed",
            ),
            setting(
                "iou",
                "a number from 0 to 1",
                "0.45",
                "the overlap above which the lesser box is dropped",
            ),
            setting(
                "max",
                "a whole number from 1 to 10000",
                "1000",
                "the most boxes",
            ),
            setting(
                "candidates",
                "a whole number from 1 to 100000",
                "30000",
                "the most boxes that are compared",
            ),
            setting(
                "class_aware",
                "`true` or `false`",
                "true",
                "whether only boxes of one class drop each other",
            ),
        ],
        output: "boxes",
        example: "boxes: {function: nms, in: {rows: detector, geometry: boxed.geometry}, with: {confidence: 0.57}}",
    },
    bind,
};

struct Nms(Suppression);

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(Nms(Suppression {
        confidence: parameters.number("confidence", 0.0, 1.0).unwrap_or(0.25) as f32,
        iou: parameters.number("iou", 0.0, 1.0).unwrap_or(0.45) as f32,
        max: parameters.count("max", 10_000).unwrap_or(1000),
        candidates: parameters.count("candidates", 100_000).unwrap_or(30_000),
        class_aware: parameters.flag("class_aware").unwrap_or(true),
    }))
}

impl Ready for Nms {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        match given(inputs, "rows") {
            Type::Tensor(TensorType {
                shape: Some(shape), ..
            }) if !matches!(
                shape.as_slice(),
                [Dim::Fixed(1) | Dim::Any | Dim::Symbol(_), _, _] | [_, _] | [Dim::Fixed(0)]
            ) =>
            {
                Err(format!(
                    "input `rows` must be of shape [1, rows, 5 + classes] or [rows, 5 + classes], not of {} dimensions",
                    shape.len()
                ))
            }
            _ => Ok(Type::Boxes),
        }
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let rows = inputs.first_tensor("rows")?;
        let columns = match *rows.shape() {
            // Nothing was found: an empty list says no more than that.
            [0] => FIXED_COLUMNS + 1,
            [_, columns] | [1, _, columns] if columns > FIXED_COLUMNS => columns,
            _ => {
                let reason = format!("is not rows of shape [1, rows, 5 + classes]: found {rows:?}");
                return Err(wrong("rows", reason));
            }
        };
        let sizes = inputs
            .optional("geometry")
            .map(|geometry| sizes(&geometry))
            .transpose()?;
        let found = suppress(&numbers(&rows), columns, &self.0);
        let found = found.into_iter().map(|detection| match &sizes {
            Some(sizes) => detection.in_picture(sizes),
            None => detection,
        });
        let numbers: Vec<f32> = found.flat_map(row).collect();
        made(vec![numbers.len() / 6, 6], numbers)
    }
}

fn row(detection: Detection) -> [f32; 6] {
    let Detection {
        left,
        top,
        right,
        bottom,
        confidence,
        class,
    } = detection;
    [left, top, right, bottom, confidence, class as f32]
}

/// The network's and the picture's size, from a letterbox's geometry.
fn sizes(geometry: &Value) -> Result<Sizes, FunctionError> {
    let side = |name: &str| {
        let side = match geometry.get(name) {
            Some(Value::Int(side)) => *side as f64,
            Some(Value::Float(side)) => *side,
            Some(_) | None => 0.0,
        };
        if (1.0..=1e6).contains(&side) {
            Ok(side as f32)
        } else {
            let reason =
                format!("has no `{name}` of at least 1 pixel: expected what `letterbox` gives");
            Err(wrong("geometry", reason))
        }
    };
    Ok(Sizes {
        network: (side("width")?, side("height")?),
        image: (side("image_width")?, side("image_height")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, json, output, tensor, text, vectors};

    fn check(rows: Value, geometry: Option<Value>, expected: &str) {
        let geometry = geometry.map(|geometry| ("geometry", geometry));
        let inputs: Vec<_> = [("rows", rows)].into_iter().chain(geometry).collect();
        let found = call("nms", "{}", &inputs);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected);
    }

    #[test]
    fn rows_become_boxes_in_the_picture() {
        let rows = || tensor(&[1, 1, 6], &[20f32, 30., 8., 4., 0.5, 1.]);
        check(rows(), None, "[[16.0,28.0,24.0,32.0,0.5,0.0]]");
        let geometry =
            json(r#"{"image_width": 80, "image_height": 40, "width": 40, "height": 40}"#);
        check(
            rows(),
            Some(geometry.clone()),
            "[[32.0,36.0,48.0,40.0,0.5,0.0]]",
        );
        check(
            Value::list([rows(), Value::Null]),
            None,
            "[[16.0,28.0,24.0,32.0,0.5,0.0]]",
        );
        check(Value::list([]), Some(geometry), "[]");
        check(
            rows(),
            Some(json(r#"{"width": 0}"#)),
            "input `geometry` has no `width` of at least 1 pixel: expected what `letterbox` gives",
        );
        check(
            tensor(&[2, 5], &[0f32; 10]),
            None,
            "input `rows` is not rows of shape [1, rows, 5 + classes]: found float32[2, 5]",
        );
        assert!(
            output("nms", "{}", &[("rows", "tensor<f32>[n]")]).starts_with("error: input `rows`")
        );
        assert_eq!(output("nms", "{}", &[("rows", "any")]), "boxes");
    }

    #[test]
    fn reference() {
        let Some(cases) = vectors("yolo_postprocess.json") else {
            return;
        };
        let cases = cases.as_array().expect("a list");
        assert!(!cases.is_empty());
        for case in cases {
            let geometry = json(
                &serde_json::json!({
                    "width": case["network_hw"][1], "height": case["network_hw"][0],
                    "image_width": case["image_hw"][1], "image_height": case["image_hw"][0],
                })
                .to_string(),
            );
            let rows = crate::json::value(case["rows_cx_cy_w_h_obj_cls"].clone());
            let with = format!(
                "{{confidence: {}, iou: {}}}",
                case["confidence"], case["iou"]
            );
            let found = call("nms", &with, &[("rows", rows), ("geometry", geometry)]);
            let found: Vec<[f64; 6]> =
                serde_json::from_str(&text(&found.expect("boxes"))).expect("rows of six");
            let expected: Vec<[f64; 6]> =
                serde_json::from_value(case["result_xyxy_conf_cls"].clone()).expect("rows of six");
            assert_eq!(found.len(), expected.len(), "{with}");
            for (found, expected) in found.iter().zip(&expected) {
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - expected).abs() < 2e-3, "{found} for {expected}");
                }
            }
        }
    }
}
