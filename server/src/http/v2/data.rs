//! `data` of an input: a flat or nested list of numbers or texts, as the elements of a tensor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiter::{Jiter, Peek};
use servable::{DType, Rope};

use crate::http::json::{broken, kind, short};
use crate::v2::{Content, Datatype};

/// Deeper nesting than any tensor has.
const DEEPEST: usize = 32;

/// Reads the list `text`. Nested lists must be those of `shape`; a flat one may be of any.
///
/// # Errors
///
/// The element, what was expected and what was found.
pub(super) fn read(
    text: &[u8],
    datatype: Datatype,
    shape: &[i64],
    is_base64: bool,
) -> Result<Content, String> {
    let elements = match datatype {
        Datatype::Of(dtype) => Elements::Numbers {
            dtype,
            bytes: Vec::with_capacity(text.len() / 2),
        },
        Datatype::Bytes => Elements::Texts {
            is_base64,
            texts: Vec::new(),
        },
    };
    let mut list = List {
        jiter: Jiter::new(text).with_allow_inf_nan(),
        elements,
        path: Vec::new(),
        lengths: Vec::new(),
        leaves: None,
    };
    let first = list.peek()?;
    list.value(first)?;
    list.check_nesting(shape)?;
    Ok(match list.elements {
        Elements::Numbers { bytes, .. } => Content::Packed(Rope::from(Bytes::from(bytes))),
        Elements::Texts { texts, .. } => Content::Elements(texts),
    })
}

enum Elements {
    Numbers { dtype: DType, bytes: Vec<u8> },
    Texts { is_base64: bool, texts: Vec<Bytes> },
}

struct List<'j> {
    jiter: Jiter<'j>,
    elements: Elements,
    /// Index of the current element of each list that is open.
    path: Vec<usize>,
    /// Length of the lists at each depth, once one has ended.
    lengths: Vec<Option<usize>>,
    /// The depth at which elements stand, once one was seen.
    leaves: Option<usize>,
}

impl List<'_> {
    fn peek(&mut self) -> Result<Peek, String> {
        self.jiter
            .peek()
            .map_err(|error| broken(&self.jiter, &error))
    }

    fn value(&mut self, peek: Peek) -> Result<(), String> {
        if peek == Peek::Array {
            return self.list();
        }
        let depth = self.path.len();
        if *self.leaves.get_or_insert(depth) != depth || self.lengths.len() > depth {
            return Err(self.refuse("a list", kind(peek)));
        }
        self.leaf(peek)
    }

    fn list(&mut self) -> Result<(), String> {
        let depth = self.path.len();
        if self.leaves.is_some_and(|leaves| leaves <= depth) {
            return Err(self.refuse("an element", "a list"));
        }
        if depth == DEEPEST {
            return Err(self.told(&format!("lists are nested more than {DEEPEST} deep")));
        }
        if self.lengths.len() == depth {
            self.lengths.push(None);
        }
        let mut next = self.jiter.known_array();
        let mut count = 0;
        self.path.push(0);
        while let Some(peek) = next.map_err(|error| broken(&self.jiter, &error))? {
            self.path[depth] = count;
            self.value(peek)?;
            count += 1;
            next = self.jiter.array_step();
        }
        self.path.pop();
        match self.lengths[depth] {
            Some(expected) if expected != count => Err(self.refuse(
                &format!("{expected} elements, as in the lists before"),
                &count.to_string(),
            )),
            Some(_) | None => {
                self.lengths[depth] = Some(count);
                Ok(())
            }
        }
    }

    fn leaf(&mut self, peek: Peek) -> Result<(), String> {
        match &mut self.elements {
            Elements::Numbers { dtype, .. } => {
                let dtype = *dtype;
                let datatype = Datatype::Of(dtype);
                let is_flag = matches!(peek, Peek::True | Peek::False);
                if is_flag && dtype == DType::Bool {
                    self.put(&[u8::from(peek == Peek::True)]);
                    return self.skip(peek);
                }
                if !peek.is_num() {
                    return Err(self.refuse(datatype.name(), kind(peek)));
                }
                let number = self.jiter.known_number_bytes(peek);
                let number = number.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
                let number = number.map_err(|error| broken(&self.jiter, &error))?;
                let mut bytes = [0; 8];
                if !write(dtype, &number, &mut bytes) {
                    return Err(self.refuse(datatype.name(), &short(&number)));
                }
                self.put(&bytes[..dtype.size()]);
                Ok(())
            }
            Elements::Texts { is_base64, .. } => {
                let is_base64 = *is_base64;
                match peek {
                    Peek::String => {
                        let text = self.text()?;
                        self.push(text, is_base64)
                    }
                    Peek::Object => self.wrapped(),
                    other => Err(self.refuse("text", kind(other))),
                }
            }
        }
    }

    /// `{"b64": "…"}`.
    fn wrapped(&mut self) -> Result<(), String> {
        let mut found = None;
        let mut key = self
            .jiter
            .known_object()
            .map(|key| key.map(|key| key == "b64"));
        while let Some(is_b64) = key.map_err(|error| broken(&self.jiter, &error))? {
            let peek = self.peek()?;
            if is_b64 && peek == Peek::String && found.is_none() {
                found = Some(self.text()?);
            } else {
                return Err(self.refuse("text or {\"b64\": text}", "another object"));
            }
            key = self.jiter.next_key().map(|key| key.map(|key| key == "b64"));
        }
        match found {
            Some(text) => self.push(text, true),
            None => Err(self.refuse("text or {\"b64\": text}", "another object")),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        let text = self.jiter.known_str().map(str::to_owned);
        text.map_err(|error| broken(&self.jiter, &error))
    }

    fn push(&mut self, text: String, is_base64: bool) -> Result<(), String> {
        let element = if is_base64 {
            let decoded = STANDARD.decode(text.trim());
            let decoded = decoded.map_err(|error| self.told(&format!("not base64: {error}")))?;
            Bytes::from(decoded)
        } else {
            Bytes::from(text)
        };
        if let Elements::Texts { texts, .. } = &mut self.elements {
            texts.push(element);
        }
        Ok(())
    }

    fn put(&mut self, element: &[u8]) {
        if let Elements::Numbers { bytes, .. } = &mut self.elements {
            bytes.extend_from_slice(element);
        }
    }

    fn skip(&mut self, peek: Peek) -> Result<(), String> {
        let skipped = self.jiter.known_skip(peek);
        skipped.map_err(|error| broken(&self.jiter, &error))
    }

    fn refuse(&self, expected: &str, found: &str) -> String {
        self.told(&format!("expected {expected}, found {found}"))
    }

    /// An error at the current element.
    fn told(&self, why: &str) -> String {
        let indices: String = self.path.iter().map(|index| format!("[{index}]")).collect();
        format!("data{indices}: {why}")
    }

    fn check_nesting(&self, shape: &[i64]) -> Result<(), String> {
        if self.lengths.len() < 2 {
            return Ok(());
        }
        let lengths: Vec<i64> = self
            .lengths
            .iter()
            .map(|length| i64::try_from(length.unwrap_or(0)).unwrap_or(i64::MAX))
            .collect();
        // An empty list says nothing of those that it does not hold.
        let is_known = self.leaves.is_some();
        if is_known && lengths != shape {
            return Err(format!(
                "shape {shape:?}: the lists of the data are nested as {lengths:?}"
            ));
        }
        Ok(())
    }
}

/// Writes a number as an element of that type, little-endian. False where it is none.
fn write(dtype: DType, number: &str, into: &mut [u8; 8]) -> bool {
    fn put<const N: usize>(bytes: Option<[u8; N]>, into: &mut [u8; 8]) -> bool {
        if let Some(bytes) = bytes {
            into[..N].copy_from_slice(&bytes);
        }
        bytes.is_some()
    }
    /// A number that is finite is not to become infinite.
    fn stays(parsed: f64, becomes: f64) -> bool {
        becomes.is_finite() || !parsed.is_finite()
    }
    let wide: Option<f64> = number.parse().ok();
    match dtype {
        DType::Bool => {
            let flag = match number {
                "0" => Some([0]),
                "1" => Some([1]),
                _ => None,
            };
            put(flag, into)
        }
        DType::U8 => put(number.parse::<u8>().ok().map(u8::to_le_bytes), into),
        DType::I8 => put(number.parse::<i8>().ok().map(i8::to_le_bytes), into),
        DType::I16 => put(number.parse::<i16>().ok().map(i16::to_le_bytes), into),
        DType::I32 => put(number.parse::<i32>().ok().map(i32::to_le_bytes), into),
        DType::I64 => put(number.parse::<i64>().ok().map(i64::to_le_bytes), into),
        DType::F16 => {
            let half = wide.map(|wide| (wide, half::f16::from_f64(wide)));
            let half = half.filter(|(wide, half)| stays(*wide, half.to_f64()));
            put(half.map(|(_, half)| half.to_le_bytes()), into)
        }
        DType::BF16 => {
            let half = wide.map(|wide| (wide, half::bf16::from_f64(wide)));
            let half = half.filter(|(wide, half)| stays(*wide, half.to_f64()));
            put(half.map(|(_, half)| half.to_le_bytes()), into)
        }
        DType::F32 => {
            let single = number.parse::<f32>().ok().zip(wide);
            let single = single.filter(|(single, wide)| stays(*wide, f64::from(*single)));
            put(single.map(|(single, _)| single.to_le_bytes()), into)
        }
        DType::F64 => {
            let is_finite = |wide: &f64| wide.is_finite() || number.ends_with(['N', 'y']);
            put(wide.filter(is_finite).map(f64::to_le_bytes), into)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(datatype: &str, shape: &[i64], text: &str) -> Result<Content, String> {
        let datatype = Datatype::parse(datatype).expect("a datatype");
        read(text.as_bytes(), datatype, shape, false)
    }

    fn check_numbers<T: bytemuck::Pod>(datatype: &str, shape: &[i64], text: &str, expected: &[T]) {
        match read_as(datatype, shape, text) {
            Ok(Content::Packed(bytes)) => {
                let expected: &[u8] = bytemuck::cast_slice(expected);
                assert_eq!(bytes.into_bytes(), expected, "{datatype} {text}");
            }
            other => panic!("{datatype} {text}: {other:?}"),
        }
    }

    #[test]
    fn numbers_are_read_to_the_last_bit() {
        check_numbers(
            "FP32",
            &[3],
            "[0.1, -2, 3.4028235e38]",
            &[0.1f32, -2.0, f32::MAX],
        );
        check_numbers("FP32", &[2, 1], "[[1], [2.5]]", &[1f32, 2.5]);
        check_numbers("FP32", &[], "7", &[7f32]);
        let hard = [
            0.1f64,
            2.2250738585072014e-308,
            123456789.12345679,
            -5e-324,
            0.3,
        ];
        let text: Vec<String> = hard.iter().map(|it| format!("{it:e}")).collect();
        check_numbers("FP64", &[5], &format!("[{}]", text.join(",")), &hard);
        check_numbers(
            "INT64",
            &[2],
            "[-9223372036854775808, 9223372036854775807]",
            &[i64::MIN, i64::MAX],
        );
        check_numbers("UINT8", &[2], "[0, 255]", &[0u8, 255]);
        check_numbers("BOOL", &[4], "[true, false, 1, 0]", &[1u8, 0, 1, 0]);
        check_numbers(
            "FP16",
            &[2],
            "[0.5, 65504]",
            &[half::f16::from_f32(0.5), half::f16::MAX],
        );
        check_numbers("BF16", &[1], "[0.5]", &[half::bf16::from_f32(0.5)]);
        check_numbers(
            "FP32",
            &[2],
            "[Infinity, -Infinity]",
            &[f32::INFINITY, f32::NEG_INFINITY],
        );
        check_numbers::<f32>("FP32", &[0], "[]", &[]);
        check_numbers::<f32>("FP32", &[0, 3], "[]", &[]);
    }

    fn check_texts(text: &str, is_base64: bool, expected: &[&str]) {
        match read(text.as_bytes(), Datatype::Bytes, &[1], is_base64) {
            Ok(Content::Elements(texts)) => assert_eq!(texts, expected, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn texts_are_themselves_or_base64() {
        check_texts("[\"a\\u00e9\", \"\"]", false, &["aé", ""]);
        check_texts("[\"YQ==\"]", true, &["a"]);
        check_texts("[{\"b64\": \"YQ==\"}, \"b\"]", false, &["a", "b"]);
        check_texts("\"alone\"", false, &["alone"]);
    }

    fn check_refused(datatype: &str, shape: &[i64], text: &str, expected: &str) {
        let refused = read_as(datatype, shape, text).expect_err(text);
        assert_eq!(refused, expected, "{datatype} {text}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        check_refused(
            "FP32",
            &[2],
            "[1, \"a\"]",
            "data[1]: expected FP32, found text",
        );
        check_refused(
            "FP32",
            &[2],
            "[1, null]",
            "data[1]: expected FP32, found null",
        );
        check_refused(
            "FP32",
            &[2],
            "[1, true]",
            "data[1]: expected FP32, found true or false",
        );
        check_refused("FP32", &[1], "[1e39]", "data[0]: expected FP32, found 1e39");
        check_refused(
            "FP64",
            &[1],
            "[1e400]",
            "data[0]: expected FP64, found 1e400",
        );
        check_refused(
            "FP16",
            &[1],
            "[70000]",
            "data[0]: expected FP16, found 70000",
        );
        check_refused("UINT8", &[1], "[256]", "data[0]: expected UINT8, found 256");
        check_refused("INT32", &[1], "[1.5]", "data[0]: expected INT32, found 1.5");
        check_refused("BOOL", &[1], "[2]", "data[0]: expected BOOL, found 2");
        check_refused(
            "BYTES",
            &[1],
            "[1]",
            "data[0]: expected text, found a number",
        );
        check_refused(
            "BYTES",
            &[1],
            "[{\"b64\": 1}]",
            "data[0]: expected text or {\"b64\": text}, found another object",
        );
        check_refused(
            "BYTES",
            &[1],
            "[{\"b64\": \"?\"}]",
            "data[0]: not base64: Invalid symbol 63, offset 0.",
        );
        check_refused(
            "FP32",
            &[2, 2],
            "[[1, 2], [3]]",
            "data[1]: expected 2 elements, as in the lists before, found 1",
        );
        check_refused(
            "FP32",
            &[2],
            "[[1], 2]",
            "data[1]: expected a list, found a number",
        );
        check_refused(
            "FP32",
            &[2],
            "[1, [2]]",
            "data[1]: expected an element, found a list",
        );
        check_refused(
            "FP32",
            &[4],
            "[[1, 2], [3, 4]]",
            "shape [4]: the lists of the data are nested as [2, 2]",
        );
        let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
        let place = "[0]".repeat(32);
        check_refused(
            "FP32",
            &[1],
            &deep,
            &format!("data{place}: lists are nested more than 32 deep"),
        );
        check_refused(
            "FP32",
            &[1],
            "[1",
            "the body is not JSON: EOF while parsing a list at line 1 column 2",
        );
    }
}
