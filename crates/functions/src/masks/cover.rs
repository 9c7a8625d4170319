use dag::{About, FunctionError, Inputs};
use serde_json::Value as Json;
use servable::{Type, Value};

use super::mask_of;
use crate::given::{Given, wrong};
use crate::json;
use crate::native::{Native, Ready, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "cover",
        summary: "The share of a mask that each class takes",
        details: "`cover(i) = count(mask == i) / (rows · columns)` in double precision; the shares sum to 1. Classes that do not \
occur are listed with 0, up to `classes` or to the length of `labels`, else up to the highest one that occurs.",
        inputs: &[required(
            "mask",
            "tensor",
            "class numbers, `[height, width]` or `[1, height, width]`",
        )],
        open: false,
        parameters: &[
            setting(
                "classes",
                "a number of classes",
                "as many as occur",
                "how many are listed; a higher class in the mask is an error",
            ),
            setting(
                "labels",
                "a list of names or of objects",
                "none",
                "the classes in their order: with names, each share is `{id, name, cover}`; objects are answered as they are, with \
`cover` added",
            ),
        ],
        output: "list<any>",
        example: "share: {function: cover, in: mask, with: {labels: [background, plant]}}",
    },
    bind,
};

/// More classes than a mask of 16 bits has.
const MAX_CLASSES: usize = 1 << 16;

struct Cover {
    classes: Option<usize>,
    labels: Option<Labels>,
}

/// What the shares are called.
enum Labels {
    Names(Vec<String>),
    /// The members that stand before each share.
    Objects(Vec<Vec<(String, Value)>>),
}

impl Labels {
    fn len(&self) -> usize {
        match self {
            Labels::Names(names) => names.len(),
            Labels::Objects(objects) => objects.len(),
        }
    }
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let classes = parameters.count("classes", MAX_CLASSES);
    let labels = labels(parameters);
    if let (Some(classes), Some(labels)) = (classes, &labels)
        && classes != labels.len()
    {
        parameters.refuse(
            "labels",
            format!("names {} classes, but `classes` is {classes}", labels.len()),
        );
    }
    Box::new(Cover { classes, labels })
}

fn labels(parameters: &mut Parameters<'_>) -> Option<Labels> {
    let is_object = |item: &Json| item.is_object();
    let written = parameters.find("labels").and_then(Json::as_array);
    if !written.is_some_and(|items| items.iter().any(is_object)) {
        return parameters.texts("labels").map(Labels::Names);
    }
    let objects = parameters.typed("labels", "objects alone, without `cover`", |value| {
        let objects = value.as_array()?.iter();
        let members = objects.map(|object| {
            let object = object
                .as_object()
                .filter(|object| !object.contains_key("cover"))?;
            let members = object.iter();
            Some(
                members
                    .map(|(name, value)| (name.clone(), json::value(value.clone())))
                    .collect(),
            )
        });
        members.collect()
    });
    objects.map(Labels::Objects)
}

impl Ready for Cover {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        let of = match self.labels {
            None => "list<float>",
            Some(Labels::Names(_)) => "list<{id: int, name: text, cover: float}>",
            Some(Labels::Objects(_)) => "list<{cover: float}>",
        };
        of.parse()
            .map_err(|error: servable::TypeError| error.to_string())
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let tensor = inputs.tensor("mask")?;
        let mask = mask_of("mask", &tensor)?;
        let limit = self.labels.as_ref().map(Labels::len).or(self.classes);
        let shares = mask.cover(limit.unwrap_or(0));
        if let Some(limit) = limit.filter(|limit| shares.len() > *limit) {
            let last = shares.len() - 1;
            return Err(wrong(
                "mask",
                format!("holds class {last}, but there are {limit} classes"),
            ));
        }
        let shares = shares.into_iter().map(Value::Float);
        Ok(match &self.labels {
            None => Value::list(shares),
            Some(Labels::Objects(objects)) => {
                Value::list(shares.zip(objects).map(|(share, object)| {
                    let share = ("cover".to_owned(), share);
                    Value::map(object.iter().cloned().chain([share]))
                }))
            }
            Some(Labels::Names(labels)) => {
                Value::list(shares.zip(labels).enumerate().map(|(id, (share, name))| {
                    Value::map([
                        ("id", Value::Int(id as i64)),
                        ("name", name.as_str().into()),
                        ("cover", share),
                    ])
                }))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, tensor, text, try_bound, vectors};

    fn check(with: &str, mask: Value, expected: &str) {
        let found = call("cover", with, &[("mask", mask)]);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    #[test]
    fn shares_are_counts_over_pixels() {
        let mask = tensor(&[2, 2], &[0u8, 2, 2, 2]);
        check("{}", mask.clone(), "[0.25,0.0,0.75]");
        check("{classes: 4}", mask.clone(), "[0.25,0.0,0.75,0.0]");
        check(
            "{labels: [a, b, c]}",
            mask.clone(),
            r#"[{"id":0,"name":"a","cover":0.25},{"id":1,"name":"b","cover":0.0},{"id":2,"name":"c","cover":0.75}]"#,
        );
        check(
            "{labels: [{id: sand, color: [1, 2, 3]}, {}, {id: rock}]}",
            mask.clone(),
            r#"[{"id":"sand","color":[1,2,3],"cover":0.25},{"cover":0.0},{"id":"rock","cover":0.75}]"#,
        );
        check(
            "{classes: 2}",
            mask,
            "input `mask` holds class 2, but there are 2 classes",
        );
        check("{}", tensor(&[1, 1, 2], &[0i64, 1]), "[0.5,0.5]");
        check(
            "{}",
            tensor(&[1, 1], &[-1i64]),
            "input `mask` is not class numbers: found -1",
        );
        check(
            "{}",
            tensor(&[1, 1], &[1f32]),
            "input `mask` is not a mask: expected integers, found float32[1, 1]",
        );
        check(
            "{}",
            tensor::<u8>(&[0, 3], &[]),
            "input `mask` is an empty mask: uint8[0, 3]",
        );
    }

    #[test]
    fn classes_and_labels_must_agree() {
        assert_eq!(
            try_bound("cover", "{classes: 3, labels: [a]}")
                .err()
                .as_deref(),
            Some("labels: names 1 classes, but `classes` is 3")
        );
        let mixed = try_bound("cover", "{labels: [{cover: 1}, a]}").err();
        let mixed = mixed.unwrap_or_default();
        assert!(
            mixed.starts_with("labels: expected objects alone, without `cover`"),
            "{mixed}"
        );
    }

    #[test]
    fn reference() {
        let Some(cases) = vectors("cover.json") else {
            return;
        };
        let cases = cases.as_array().expect("a list");
        assert!(!cases.is_empty());
        for case in cases {
            let mask = crate::json::value(case["mask_rows"].clone());
            let found = call(
                "cover",
                &format!("{{classes: {}}}", case["classes"]),
                &[("mask", mask)],
            );
            let found = text(&found.expect("shares"));
            let found: Vec<f64> = serde_json::from_str(&found).expect("numbers");
            let expected: Vec<f64> =
                serde_json::from_value(case["cover"].clone()).expect("numbers");
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
            }
        }
    }
}
