//! What tensors look like in a request: JSON, `.npy`, raw little-endian bytes, or values from another model.

use std::fmt;

use bytes::Bytes;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use servable::{DType, Input, JobError, Part, Tensor, Value};

use super::binary::{self, NPY_MAGIC, NPY_TYPE, RAW_TYPE};
use super::expected::Expected;
use super::numbers::{Collector, from_value};

/// Keys under which a JSON object may hold the numbers.
const KEYS: [&str; 3] = ["data", "instances", "inputs"];

/// A request's tensor in the expected element type, and the name of the part it came from.
pub(crate) fn tensor<'i>(
    input: &'i Input,
    expected: &Expected,
) -> Result<(Tensor, &'i str), JobError> {
    let part = part(input)?;
    Ok((tensor_in(input, part, expected)?, &part.name))
}

/// The tensor of one part in the expected element type.
pub(crate) fn tensor_in(
    input: &Input,
    part: &Part,
    expected: &Expected,
) -> Result<Tensor, JobError> {
    let tensor = decode(input, part, expected).map_err(JobError::bad_input)?;
    expected.cast(&part.name, tensor)
}

/// The part a handler works on, or the error that names what the request has instead. A part of that name that is empty is
/// there.
pub(crate) fn part(input: &Input) -> Result<&Part, JobError> {
    let payload = input.payload().or_else(|| input.part("data"));
    payload.ok_or_else(|| absent("`data` or `body`", input))
}

/// That none of these parts is there.
pub(crate) fn absent(names: &str, input: &Input) -> JobError {
    JobError::bad_input(format!(
        "expected a request part {names}, found {}",
        input.found()
    ))
}

fn decode(input: &Input, part: &Part, expected: &Expected) -> Result<Tensor, String> {
    let name = part.name.as_str();
    match &part.value {
        Value::Bytes(bytes) if bytes.is_empty() => Err(format!("request part `{name}` is empty")),
        Value::Bytes(bytes) => decode_bytes(input, part, bytes, expected),
        Value::Text(text) => json_tensor(name, text.as_bytes(), expected.dtype),
        value @ Value::Map(_) => {
            let (key, inner) = KEYS
                .iter()
                .find_map(|key| Some((*key, value.get(key)?)))
                .ok_or_else(|| format!("{name}: {NO_KEY}"))?;
            from_value(key, inner, expected.dtype, &expected.limits)
        }
        value @ (Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Image(_)
        | Value::Tensor(_)
        | Value::List(_)) => from_value(name, value, expected.dtype, &expected.limits),
    }
}

fn decode_bytes(
    input: &Input,
    part: &Part,
    bytes: &Bytes,
    expected: &Expected,
) -> Result<Tensor, String> {
    let name = part.name.as_str();
    if part.content_type == NPY_TYPE || bytes.starts_with(NPY_MAGIC) {
        return binary::read_npy(bytes)
            .map_err(|reason| format!("request part `{name}`: {reason}"));
    }
    if part.content_type == RAW_TYPE
        && let Some(tensor) = binary::read_raw(input, bytes, expected)
    {
        return tensor.map_err(|reason| format!("request part `{name}`: {reason}"));
    }
    json_tensor(name, bytes, expected.dtype).map_err(|reason| {
        if part.content_type == RAW_TYPE {
            format!(
                "request part `{name}` is neither .npy nor JSON; for a raw tensor send the headers {} and {}",
                binary::SHAPE_HEADER,
                binary::DTYPE_HEADER
            )
        } else {
            reason
        }
    })
}

const NO_KEY: &str = "expected a list of numbers or an object with `data`, `instances` or `inputs`";

/// Reads a nested list of numbers, bare or under one of [`KEYS`], straight into a tensor.
pub(crate) fn json_tensor(part: &str, text: &[u8], dtype: Option<DType>) -> Result<Tensor, String> {
    let mut reading = Reading {
        collector: Collector::new(part, dtype),
        error: None,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let read = Body(&mut reading)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    match (read, reading.error) {
        (Ok(()), _) => reading.collector.finish(),
        // Ours says where in the list; the parser's own would add where in the text.
        (Err(_), Some(error)) => Err(error),
        (Err(error), None) => Err(format!("request part `{part}` is not JSON: {error}")),
    }
}

struct Reading {
    collector: Collector,
    error: Option<String>,
}

impl Reading {
    fn check<E: de::Error>(&mut self, result: Result<(), String>) -> Result<(), E> {
        result.map_err(|error| {
            self.error = Some(error);
            E::custom("")
        })
    }

    fn take<E: de::Error>(
        &mut self,
        step: impl FnOnce(&mut Collector) -> Result<(), String>,
    ) -> Result<(), E> {
        let result = step(&mut self.collector);
        self.check(result)
    }

    fn refuse<T, E: de::Error>(&mut self, found: &str) -> Result<T, E> {
        let error = self
            .collector
            .error(&format!("expected a number or a list, found {found}"));
        self.error = Some(error);
        Err(E::custom(""))
    }
}

/// The outermost value, which may be an object.
struct Body<'r>(&'r mut Reading);

/// A number, or a list of elements.
struct Element<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = members.next_key::<String>()? {
            if found || !KEYS.contains(&key.as_str()) {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            found = true;
            self.0.collector.root = key;
            members.next_value_seed(Element(self.0))?;
        }
        if found {
            return Ok(());
        }
        let error = Err(self.0.collector.error(NO_KEY));
        self.0.check(error)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        Element(self.0).visit_seq(items)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        Element(self.0).visit_i64(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        Element(self.0).visit_u64(number)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        Element(self.0).visit_f64(number)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<(), E> {
        Element(self.0).visit_bool(flag)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        Element(self.0).visit_str(text)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Element(self.0).visit_unit()
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.take(Collector::open_list)?;
        let mut count = 0;
        loop {
            self.0.collector.element(count);
            if items.next_element_seed(Element(self.0))?.is_none() {
                break;
            }
            count += 1;
        }
        self.0.take(|collector| collector.close_list(count))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.0.take(|collector| collector.int(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => self.visit_f64(number as f64),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        self.0.take(|collector| collector.float(number))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<(), E> {
        self.0.take(|collector| collector.bool(flag))
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.0.refuse("text")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.0.refuse("null")
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.0.refuse("an object")
    }
}

#[cfg(test)]
mod tests;
