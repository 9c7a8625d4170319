//! A [`Value`] as JSON text. Objects and lists are laid out as Python's `json.dumps(…, indent=2)` lays them out, because
//! that is what TorchServe's clients see; a tensor's numbers are packed, because a quarter of a million of them indented
//! cost more than computing them did.

use crate::{DType, Tensor, Value};

impl Value {
    /// This value as JSON. Bytes become text (invalid UTF-8 is replaced); NaN and infinities are written as Python
    /// writes them (`NaN`, `Infinity`).
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        write_value(&mut out, self, Some(0));
        out
    }

    /// The same on one line.
    pub fn to_json_line(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        write_value(&mut out, self, None);
        out
    }
}

/// `depth` is how far its lines are indented; without one there are no lines.
fn write_value(out: &mut Vec<u8>, value: &Value, depth: Option<usize>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => write_int(out, *number),
        Value::Float(number) => write_f64(out, *number),
        Value::Text(text) => write_text(out, text),
        Value::Bytes(bytes) => write_text(out, &String::from_utf8_lossy(bytes)),
        Value::Image(image) => match (image.decoded(), image.file()) {
            (Some(pixels), _) => write_tensor(out, &pixels),
            (None, Some(file)) => write_text(out, &String::from_utf8_lossy(&file)),
            (None, None) => out.extend_from_slice(b"null"),
        },
        Value::Tensor(tensor) => write_tensor(out, tensor),
        Value::List(items) => write_block(out, b"[]", items, depth, |out, item| {
            write_value(out, item, depth.map(|depth| depth + 1))
        }),
        Value::Map(items) => write_block(out, b"{}", items, depth, |out, (key, item)| {
            write_text(out, key);
            out.extend_from_slice(b": ");
            write_value(out, item, depth.map(|depth| depth + 1));
        }),
    }
}

fn write_block<T>(
    out: &mut Vec<u8>,
    brackets: &[u8; 2],
    items: &[T],
    depth: Option<usize>,
    mut write_item: impl FnMut(&mut Vec<u8>, &T),
) {
    out.push(brackets[0]);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match depth {
            Some(depth) => new_line(out, depth + 1),
            None if index > 0 => out.push(b' '),
            None => {}
        }
        write_item(out, item);
    }
    if let Some(depth) = depth.filter(|_| !items.is_empty()) {
        new_line(out, depth);
    }
    out.push(brackets[1]);
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            ' '..='~' => out.push(character as u8),
            // Python escapes whatever is not ASCII, in UTF-16 units.
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
        }
    }
    out.push(b'"');
}

fn write_int(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_f64(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else {
        out.extend_from_slice(not_finite(number));
    }
}

fn write_f32(out: &mut Vec<u8>, number: f32) {
    if number.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else {
        out.extend_from_slice(not_finite(number.into()));
    }
}

fn not_finite(number: f64) -> &'static [u8] {
    if number.is_nan() {
        b"NaN"
    } else if number > 0.0 {
        b"Infinity"
    } else {
        b"-Infinity"
    }
}

/// Nested lists, one level per dimension; a scalar is a bare number.
fn write_tensor(out: &mut Vec<u8>, tensor: &Tensor) {
    let size = tensor.dtype().size();
    // Numbers take about twice their bytes as text; one reservation spares the doubling of a large buffer.
    out.reserve(tensor.byte_len() * 3);
    write_dimension(
        out,
        tensor.shape(),
        tensor.bytes(),
        size,
        number_writer(tensor.dtype()),
    );
}

fn write_dimension(
    out: &mut Vec<u8>,
    shape: &[usize],
    bytes: &[u8],
    size: usize,
    number: fn(&mut Vec<u8>, &[u8]),
) {
    let Some((&rows, inner)) = shape.split_first() else {
        return number(out, bytes);
    };
    let row = inner.iter().product::<usize>() * size;
    out.push(b'[');
    for index in 0..rows {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        write_dimension(
            out,
            inner,
            &bytes[index * row..(index + 1) * row],
            size,
            number,
        );
    }
    out.push(b']');
}

fn number_writer(dtype: DType) -> fn(&mut Vec<u8>, &[u8]) {
    use bytemuck::pod_read_unaligned as read;
    match dtype {
        DType::Bool => {
            |out, bytes| out.extend_from_slice(if bytes[0] != 0 { b"true" } else { b"false" })
        }
        DType::U8 => |out, bytes| write_int(out, bytes[0].into()),
        DType::I8 => |out, bytes| write_int(out, read::<i8>(bytes).into()),
        DType::I16 => |out, bytes| write_int(out, read::<i16>(bytes).into()),
        DType::I32 => |out, bytes| write_int(out, read::<i32>(bytes).into()),
        DType::I64 => |out, bytes| write_int(out, read::<i64>(bytes)),
        DType::F16 => |out, bytes| write_f32(out, read::<half::f16>(bytes).to_f32()),
        DType::BF16 => |out, bytes| write_f32(out, read::<half::bf16>(bytes).to_f32()),
        DType::F32 => |out, bytes| write_f32(out, read::<f32>(bytes)),
        DType::F64 => |out, bytes| write_f64(out, read::<f64>(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Tensor, Value};

    fn check(value: Value, expected: &str) {
        assert_eq!(
            String::from_utf8(value.to_json()).expect("JSON is UTF-8"),
            expected
        );
    }

    #[test]
    fn objects_and_lists_are_indented_as_python_does() {
        check(
            Value::map([
                ("a", Value::Int(1)),
                ("b", Value::list([Value::Bool(true), Value::Null])),
            ]),
            "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    null\n  ]\n}",
        );
        check(Value::list([]), "[]");
        check(Value::map::<String>([]), "{}");
    }

    #[test]
    fn a_line_is_the_same_without_breaks() {
        let value = Value::map([
            (
                "a",
                Value::list([Value::Int(1), Value::map([("b", Value::Null)])]),
            ),
            ("c\n", Value::list([])),
        ]);
        let line = String::from_utf8(value.to_json_line()).expect("JSON is UTF-8");
        assert_eq!(line, r#"{"a": [1, {"b": null}], "c\n": []}"#);
    }

    #[test]
    fn text_is_ascii() {
        check(
            Value::from("é\"\n\u{1}😀"),
            r#""\u00e9\"\n\u0001\ud83d\ude00""#,
        );
    }

    #[test]
    fn numbers() {
        check(Value::Float(0.1), "0.1");
        check(Value::Float(f64::NAN), "NaN");
        check(Value::Float(f64::NEG_INFINITY), "-Infinity");
        check(Value::Int(i64::MIN), "-9223372036854775808");
    }

    #[test]
    fn tensors_are_nested_lists_on_one_line() {
        let tensor =
            Tensor::new(vec![2, 1, 2], vec![0.5f32, 1., -2., 3.25]).expect("four elements");
        check(tensor.clone().into(), "[[[0.5, 1.0]], [[-2.0, 3.25]]]");
        check(
            Value::map([("t", tensor.row(1).expect("row").into())]),
            "{\n  \"t\": [[-2.0, 3.25]]\n}",
        );
        check(Tensor::new(vec![], vec![7u8]).expect("scalar").into(), "7");
        check(
            Tensor::new::<f32>(vec![0, 3], vec![])
                .expect("empty")
                .into(),
            "[]",
        );
        check(
            Tensor::new::<f32>(vec![2, 0], vec![])
                .expect("empty")
                .into(),
            "[[], []]",
        );
    }
}
