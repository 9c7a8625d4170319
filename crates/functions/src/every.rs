//! What holds for every function: its description is true, and no input makes it panic.

use std::collections::HashSet;
use std::sync::Arc;

use dag::{Arguments, Catalogue};
use proptest::prelude::*;
use servable::{DType, Symbols, Tensor, Type, Value};

use crate::testing::{bound, json};
use crate::{Functions, all};

#[test]
fn every_function_is_found_by_its_name_and_only_one() {
    let names = Functions::default().names();
    let different: HashSet<_> = names.iter().collect();
    assert_eq!(different.len(), names.len());
    for name in names {
        assert_eq!(
            Functions::default()
                .find(name)
                .map(|found| found.about().name),
            Some(name)
        );
    }
    assert!(Functions::default().find("no such function").is_none());
}

#[test]
fn pictures_are_bounded_as_whoever_makes_the_functions_says() {
    let picture = image_ops::Image::new(3, 2, 3, vec![0; 18]).expect("a picture");
    let file = image_ops::encode_png(&picture).expect("a file");
    let limits = image_ops::DecodeLimits {
        max_pixels: 5,
        ..image_ops::DecodeLimits::default()
    };
    let check = |functions: Functions, is_taken: bool| {
        for (name, with) in [
            ("decode_image", "{}"),
            ("decode_image", "{exif: true}"),
            ("resize", "{pixels: -1}"),
            ("transforms", "{steps: []}"),
            ("stack", "{}"),
        ] {
            let with: Arguments = serde_yaml::from_str(with).expect("parameters");
            let function = functions.find(name).expect(name);
            let port = function.about().inputs[0].name;
            let image = Value::Image(servable::Image::from_file(file.clone()));
            let image = match name {
                "stack" => Value::list([image]),
                _ => image,
            };
            let bound = function.bind(&with).unwrap_or_else(|_| panic!("{name}"));
            let found = bound.call(vec![(port.to_owned(), image)]);
            assert_eq!(found.is_ok(), is_taken, "{name}: {found:?}");
        }
    };
    check(Functions::default(), true);
    check(Functions::within(limits), false);
}

#[test]
fn descriptions_are_in_the_words_of_specs() {
    for native in all() {
        let about = &native.about;
        let name = about.name;
        let types = about
            .inputs
            .iter()
            .map(|port| port.of)
            .chain([about.output]);
        for of in types {
            assert!(of.parse::<Type>().is_ok(), "{name}: {of}");
        }
        assert!(
            !about.summary.ends_with('.') && !about.summary.is_empty(),
            "{name}"
        );
    }
}

/// Every example is a node, or several, of which one uses the function as it can be used.
#[test]
fn examples_can_be_bound() {
    for native in all() {
        let about = &native.about;
        let nodes: Arguments = serde_yaml::from_str(about.example).expect(about.name);
        let node = nodes
            .iter()
            .find(|(node, with)| {
                with.get("function").is_none_or(|name| name == about.name)
                    && with.get("model").is_none()
                    && !node.is_empty()
            })
            .map(|(_, node)| node);
        let node = node.unwrap_or_else(|| panic!("{}: no node in its example", about.name));
        let nothing = Arguments::new();
        let with = node
            .get("with")
            .and_then(|with| with.as_object())
            .unwrap_or(&nothing);
        let function = Functions::default().find(about.name).expect(about.name);
        assert!(function.bind(with).is_ok(), "{}", about.name);
    }
}

/// Parameters of a function under which it works on small things.
fn parameters(name: &str) -> &'static [&'static str] {
    match name {
        "resize" => &[
            "{size: [3, 2]}",
            "{longest_side: 4}",
            "{pixels: 5, kernel: cv_area}",
        ],
        "pad_to" => &[
            "{size: [4, 4]}",
            "{size: [2, 3], corner: centre, larger: keep}",
        ],
        "letterbox" => &["{size: 8, stride: 4}"],
        "normalize" => &["{}", "{mean: [1, 2, 3], order: bgr, batch: false}"],
        "yolo_decode" => &[
            "{strides: [8], anchors: [[[1, 2]]]}",
            "{strides: [8, 16], anchors: [[[1, 2]], [[1, 2]]]}",
        ],
        "crop_by_boxes" => &[
            "{size: [3, 2]}",
            "{size: [1, 1], growth: 0.5, kernel: pil_lanczos}",
        ],
        "describe_boxes" => &[
            "{}",
            "{names: [a, b, c, d, e, f], labels: [x], whole: false}",
        ],
        "argmax_map" => &["{}", "{cut: [1, 2]}"],
        "class_map" => &["{}", "{argmax: true}", "{argmax: false}"],
        "cover" => &["{}", "{labels: [a, b]}", "{labels: [{}, {a: 1}]}"],
        "softmax" => &["{}", "{axis: 0}", "{axis: 1}"],
        "top_k" => &["{}", "{labels: [a, b], softmax: true, k: 1}"],
        "ctc_greedy" => &[
            "{alphabet: ab}",
            "{alphabet: ab, blank: 0, max_score: 0, lengths: [1, 2]}",
        ],
        "concat" => &["{}", "{axis: 1}"],
        "split" => &["{}", "{rows: 2}"],
        "select" => &["{path: '[0]'}", "{path: a.b}", "{path: a, default: 1}"],
        "merge" | "aggregate" => &["{}", "{fields: {x: first.a, y: second}}"],
        "filter" => &["{}", "{by: first}"],
        _ => &["{}"],
    }
}

fn dtype() -> impl Strategy<Value = DType> {
    prop_oneof![
        Just(DType::Bool),
        Just(DType::U8),
        Just(DType::I8),
        Just(DType::I16),
        Just(DType::I32),
        Just(DType::I64),
        Just(DType::F16),
        Just(DType::BF16),
        Just(DType::F32),
        Just(DType::F64),
    ]
}

fn side() -> impl Strategy<Value = usize> {
    // Sides of 0 let the others be of any length.
    prop_oneof![8 => 0usize..5, 2 => Just(6usize), 1 => Just(1usize << 40)]
}

/// Tensors of any type and shape; bytes of all kinds, so among the numbers are infinities and such as are none.
fn tensor() -> impl Strategy<Value = Value> {
    (dtype(), prop::collection::vec(side(), 0..6), any::<u64>()).prop_filter_map(
        "more elements than a test should have",
        |(dtype, shape, seed)| {
            let count = shape
                .iter()
                .try_fold(dtype.size(), |all, side| all.checked_mul(*side));
            let count = count.filter(|count| *count <= 1 << 14)?;
            let bytes: Vec<u8> = (0..count as u64)
                .map(|at| ((at + 1).wrapping_mul(seed | 1) >> 32) as u8)
                .map(|byte| if dtype == DType::Bool { byte & 1 } else { byte })
                .collect();
            let storage = Arc::new(bytes::Bytes::from(bytes));
            Tensor::from_storage(dtype, shape, storage)
                .ok()
                .map(Value::Tensor)
        },
    )
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => tensor(),
        1 => Just(json(r#"{"a": {"b": [1, 2.5, "x"]}, "width": 8, "height": 8, "image_width": 3, "image_height": 5}"#)),
        1 => prop::sample::select(vec!["[]", "[1, 2]", "[[0.5], [1]]", "null", "true", "7", "[null, \"\", 1]", "{}"]).prop_map(json),
        1 => Just(Value::from("[[1, 2], [3, 4]]")),
        1 => Just(Value::Bytes("no picture".into())),
        2 => prop::collection::vec(tensor(), 0..3).prop_map(Value::list),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// And what it gives is of the type that it has promised for such inputs.
    #[test]
    fn no_input_makes_a_function_panic(values in prop::collection::vec(value(), 3)) {
        for native in all() {
            let about = &native.about;
            let open = about.open.then_some(["first", "second"]).into_iter().flatten();
            let names = about.inputs.iter().map(|port| port.name).chain(open);
            let inputs: Vec<_> = names
                .zip(values.iter().cycle())
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect();
            let types: Vec<_> = inputs
                .iter()
                .map(|(name, value)| (name.clone(), Type::of(value)))
                .collect();
            for with in parameters(about.name) {
                let bound = bound(about.name, with);
                let promised = bound.output(&types);
                let Ok(given) = bound.call(inputs.clone()) else { continue };
                let promised = promised.map_err(|reason| {
                    TestCaseError::fail(format!("{} {with} {inputs:?} refused: {reason}", about.name))
                })?;
                let fits = promised.check(&given, &mut Symbols::default());
                prop_assert!(fits.is_ok(), "{} {with} {inputs:?}: {:?}", about.name, fits);
            }
        }
    }
}
