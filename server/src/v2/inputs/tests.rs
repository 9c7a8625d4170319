use super::*;
use crate::v2::Parameters;

/// Inputs that are declared: name and type.
fn declared(of: &[(&'static str, &str)]) -> Vec<(&'static str, Type)> {
    of.iter()
        .map(|(name, of)| (*name, of.parse().expect("a type")))
        .collect()
}

fn input(name: &str, datatype: &str, shape: &[i64], bytes: &[u8]) -> InferInput {
    let rope = Rope::from(Bytes::copy_from_slice(bytes));
    InferInput {
        name: name.into(),
        datatype: Datatype::parse(datatype).expect("a datatype"),
        shape: shape.to_vec(),
        parameters: Parameters::default(),
        content: Content::Packed(rope),
    }
}

/// What becomes of inputs: parts as `name=value`, or the error.
fn check(
    fields: &[(&'static str, &str)],
    inputs: Vec<InferInput>,
    expected: Result<&[&str], &str>,
) {
    let declared = declared(fields);
    let wanted: Vec<_> = declared
        .iter()
        .map(|(name, of)| Wanted {
            name,
            of,
            is_required: true,
        })
        .collect();
    let shown = format!("{inputs:?}");
    let names = names(&wanted, "the model `m`", false, &inputs);
    let mut symbols = Symbols::default();
    let found: Result<Vec<String>, String> = names.and_then(|names| {
        let parts = inputs.into_iter().zip(names).map(|(input, name)| {
            let declared = wanted.iter().find(|wanted| wanted.name == name);
            let part = part(input, &name, declared, &mut symbols)?;
            Ok(format!("{}={:?}", part.name, part.value))
        });
        parts.collect()
    });
    let found = found.as_ref().map_err(String::as_str);
    let found = found.map(|parts| parts.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(found, expected.map(<[&str]>::to_vec), "{fields:?} {shown}");
}

const TWO: [u8; 8] = [0, 0, 128, 63, 0, 0, 0, 64];

#[test]
fn tensors_go_in_under_the_names_of_the_signature() {
    let body = [("body", "any")];
    let fp32 = |name| vec![input(name, "FP32", &[2], &TWO)];
    check(&body, fp32("body"), Ok(&["body=Tensor(float32[2])"]));
    check(&body, fp32("data"), Ok(&["body=Tensor(float32[2])"]));
    check(&body, fp32(""), Ok(&["body=Tensor(float32[2])"]));
    check(
        &body,
        fp32("x"),
        Err("input `x`: the model `m` has the input `body` and no other"),
    );
    check(
        &body,
        [fp32("data"), fp32("body")].concat(),
        Err("input `body`: it is there twice"),
    );
    check(
        &body,
        vec![],
        Err("inputs: expected `body` of the model `m`, found none"),
    );
    let two = [("a", "tensor<f32>[n]"), ("b", "float")];
    check(
        &two,
        vec![
            input("b", "FP64", &[1], &0.5f64.to_le_bytes()),
            input("a", "FP32", &[2], &TWO),
        ],
        Ok(&["b=Float(0.5)", "a=Tensor(float32[2])"]),
    );
    check(&two, fp32("a"), Err("input `b`: it is missing"));
    check(
        &two,
        fp32("c"),
        Err("input `c`: the model `m` has the inputs `a`, `b`"),
    );
    check(&[], fp32("x"), Ok(&["x=Tensor(float32[2])"]));
}

#[test]
fn a_shape_is_what_its_data_are() {
    let case = |datatype: &str, shape: &[i64], bytes: &[u8], expected: &str| {
        let expected = format!("input `body`: {expected}");
        check(
            &[("body", "any")],
            vec![input("body", datatype, shape, bytes)],
            Err(&expected),
        );
    };
    case(
        "FP32",
        &[3],
        &TWO,
        "shape [3] has 3 elements, the data have 2",
    );
    case(
        "FP32",
        &[],
        &TWO,
        "shape [] has 1 elements, the data have 2",
    );
    case(
        "FP32",
        &[0, 2],
        &TWO,
        "shape [0, 2] has 0 elements, the data have 2",
    );
    case(
        "FP32",
        &[-1],
        &TWO,
        "shape [-1]: expected sides of at least 0",
    );
    case(
        "FP32",
        &[i64::MAX, i64::MAX, 0],
        &[],
        "shape [9223372036854775807, 9223372036854775807, 0] has more elements than memory can hold",
    );
    case(
        "FP32",
        &[1],
        &TWO[..5],
        "5 bytes of data are no whole number of FP32, which have 4 each",
    );
    case(
        "BOOL",
        &[2],
        &[1, 2],
        "expected bool, found a byte other than 0 and 1",
    );
    case(
        "BYTES",
        &[1],
        &TWO,
        "element 0 at byte 0 says that it has 1065353216 bytes, and 4 follow",
    );
}

#[test]
fn what_is_declared_is_asked_for() {
    let case = |of: &str, datatype: &str, shape: &[i64], bytes: &[u8], expected: &str| {
        let expected = format!("input `x`: {expected}");
        check(
            &[("x", of)],
            vec![input("x", datatype, shape, bytes)],
            Err(&expected),
        );
    };
    let one = b"\x01\0\0\0a";
    let two = b"\x01\0\0\0a\0\0\0\0";
    case(
        "tensor<f32>[n, 2]",
        "INT32",
        &[1, 2],
        &TWO,
        "expected FP32 [n, 2], found INT32 [1, 2]",
    );
    case(
        "tensor<f32>[n, 2]",
        "FP32",
        &[2, 1],
        &TWO,
        "expected FP32 [n, 2], found FP32 [2, 1]",
    );
    case(
        "tensor<f32>[?, 2]",
        "BYTES",
        &[1],
        one,
        "expected FP32 [-1, 2], found BYTES [1]",
    );
    case(
        "image",
        "INT64",
        &[1],
        &TWO,
        "expected BYTES [1] (a picture), UINT8 [height, width, 3] or FP32 [channels, height, width], found INT64 [1]",
    );
    case(
        "image",
        "BYTES",
        &[2],
        two,
        "expected one element (image), found 2 (BYTES [2])",
    );
    case(
        "text",
        "BYTES",
        &[1],
        b"\x01\0\0\0\xff",
        "expected text, found bytes that are not UTF-8",
    );
    case(
        "int",
        "FP64",
        &[1],
        &TWO,
        "expected an integer [1], found FP64 [1]",
    );
    case(
        "bool",
        "INT64",
        &[1],
        &TWO,
        "expected BOOL [1], found INT64 [1]",
    );
    case(
        "float",
        "FP32",
        &[2],
        &TWO,
        "expected a number [1], found FP32 [2]",
    );
}

#[test]
fn byte_strings_are_bytes_texts_or_lists_of_them() {
    let case = |of: &str, shape: &[i64], bytes: &[u8], expected: &str| {
        check(
            &[("x", of)],
            vec![input("x", "BYTES", shape, bytes)],
            Ok(&[expected]),
        );
    };
    let one = b"\x01\0\0\0a";
    let two = b"\x01\0\0\0a\0\0\0\0";
    case("any", &[1], one, "x=Bytes(b\"a\")");
    case("image", &[1, 1], one, "x=Bytes(b\"a\")");
    case("text", &[], one, "x=Text(\"a\")");
    case("json", &[1], one, "x=Bytes(b\"a\")");
    case("any", &[2], two, "x=List([Bytes(b\"a\"), Bytes(b\"\")])");
    case("list<text>", &[2], two, "x=List([Text(\"a\"), Text(\"\")])");
    case("list<text>", &[1], one, "x=List([Text(\"a\")])");
    case("any", &[0], b"", "x=List([])");
}
