use dag::{About, FunctionError, Inputs};
use servable::{Field, Type, Value};
use tensor_ops::numbers;

use crate::given::{Given, wrong};
use crate::native::{Native, Ready, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "describe_boxes",
        summary: "Boxes as objects with named members",
        details: "For each box an object, in the order of the boxes: its corners, its confidence and, where `names` has a \
sixth name, its class. With `whole`, fractions of corners are cut off, and what lies below 0 becomes 0.",
        inputs: &[required("boxes", "boxes", "what `nms` gives")],
        open: false,
        parameters: &[
            setting(
                "names",
                "4 to 6 texts: left, top, right, bottom, confidence, class",
                "[xmin, ymin, xmax, ymax, confidence]",
                "what the members are called",
            ),
            setting(
                "whole",
                "`true` or `false`",
                "true",
                "whether corners are whole pixels",
            ),
            setting(
                "labels",
                "a list of texts, in class order",
                "none",
                "what stands for a class in place of its number; a class without a text goes by its number",
            ),
        ],
        output: "list<{}>",
        example: "coordinates: {function: describe_boxes, in: boxes, with: {names: [x1, y1, x2, y2, score, label], labels: [car, bus]}}",
    },
    bind,
};

struct DescribeBoxes {
    names: Vec<String>,
    whole: bool,
    labels: Vec<String>,
}

const NAMES: [&str; 5] = ["xmin", "ymin", "xmax", "ymax", "confidence"];
const CORNERS: usize = 4;
const CLASS: usize = 5;

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let names = parameters.texts("names");
    if let Some(names) = &names {
        if !(CORNERS..=CLASS + 1).contains(&names.len()) {
            parameters.refuse(
                "names",
                format!("expected 4 to 6 names, found {}", names.len()),
            );
        }
        if let Some(twice) = (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
            parameters.refuse("names", format!("`{}` stands there twice", names[twice]));
        }
    }
    let labels = parameters.texts("labels");
    if labels.is_some() && names.as_ref().is_none_or(|names| names.len() <= CLASS) {
        parameters.refuse("labels", "`names` has no sixth name, for the class");
    }
    Box::new(DescribeBoxes {
        names: names.unwrap_or_else(|| NAMES.map(str::to_owned).into()),
        whole: parameters.flag("whole").unwrap_or(true),
        labels: labels.unwrap_or_default(),
    })
}

impl DescribeBoxes {
    fn member(&self, place: usize, number: f32) -> Value {
        match place {
            // The cast also makes whole numbers of what is none.
            corner if corner < CORNERS && self.whole => Value::Int(number.max(0.0) as i64),
            CLASS => match self.labels.get(number.max(0.0) as usize) {
                Some(label) => Value::from(label.as_str()),
                None => Value::Int(number as i64),
            },
            _ => Value::Float(short(number)),
        }
    }

    fn type_of(&self, place: usize) -> Type {
        match place {
            corner if corner < CORNERS && self.whole => Type::Int,
            // A class that has no label is a number.
            CLASS if !self.labels.is_empty() => Type::Any,
            CLASS => Type::Int,
            _ => Type::Float,
        }
    }
}

/// The number with the fewest digits that is this one in single precision: 0.79, not 0.7900000214576721.
fn short(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

impl Ready for DescribeBoxes {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        let field = |(place, name): (usize, &String)| Field {
            name: name.clone(),
            of: self.type_of(place),
        };
        let fields = self.names.iter().enumerate().map(field);
        Ok(Type::list(Type::Record(fields.collect())))
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let boxes = inputs.tensor("boxes")?;
        let columns = match *boxes.shape() {
            [0] => return Ok(Value::list([])),
            [_, columns] if columns >= self.names.len() => columns,
            _ => {
                let wanted = self.names.len();
                let reason =
                    format!("is not boxes of at least {wanted} numbers each: found {boxes:?}");
                return Err(wrong("boxes", reason));
            }
        };
        let numbers = numbers(&boxes);
        let object = |row: &[f32]| {
            let members = self.names.iter().zip(row).enumerate();
            let members =
                members.map(|(place, (name, number))| (name.clone(), self.member(place, *number)));
            Value::map(members)
        };
        Ok(Value::list(numbers.chunks_exact(columns).map(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, json, output, tensor, text, try_bound};

    fn check(with: &str, boxes: Value, expected: &str) {
        let found = call("describe_boxes", with, &[("boxes", boxes)]);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    fn boxes() -> Value {
        let numbers = [
            232.9f32, 814.9, 325.1, 842.7, 0.79, 0., -3.7, 1., 2., 3., 0.5, 1.,
        ];
        tensor(&[2, 6], &numbers)
    }

    #[test]
    fn corners_are_cut_off_and_named() {
        check(
            "{}",
            boxes(),
            r#"[{"xmin":232,"ymin":814,"xmax":325,"ymax":842,"confidence":0.79},{"xmin":0,"ymin":1,"xmax":2,"ymax":3,"confidence":0.5}]"#,
        );
        check(
            "{names: [a, b, c, d], whole: false}",
            tensor(&[1, 6], &[-1.5f32, 1., 2., 3., 0.5, 1.]),
            r#"[{"a":-1.5,"b":1.0,"c":2.0,"d":3.0}]"#,
        );
        check(
            "{names: [a, b, c, d, e, f], labels: [car]}",
            boxes(),
            r#"[{"a":232,"b":814,"c":325,"d":842,"e":0.79,"f":"car"},{"a":0,"b":1,"c":2,"d":3,"e":0.5,"f":1}]"#,
        );
        check("{}", tensor::<f32>(&[0, 6], &[]), "[]");
        check("{}", json("[]"), "[]");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        check(
            "{}",
            tensor(&[1, 4], &[0f32; 4]),
            "input `boxes` is not boxes of at least 5 numbers each: found float32[1, 4]",
        );
        let refused = |with| try_bound("describe_boxes", with).err().unwrap_or_default();
        assert_eq!(
            refused("{names: [a, a], labels: [car]}"),
            "names: expected 4 to 6 names, found 2; names: `a` stands there twice; \
             labels: `names` has no sixth name, for the class"
        );
        assert_eq!(
            output(
                "describe_boxes",
                "{names: [a, b, c, d, e, f]}",
                &[("boxes", "boxes")]
            ),
            "list<{a: int, b: int, c: int, d: int, e: float, f: int}>"
        );
    }
}
