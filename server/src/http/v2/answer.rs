//! An answer of the protocol as JSON, with the bytes of its tensors behind it where the client wants them so.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use servable::{DType, Tensor};

use super::HEAD_LENGTH;
use super::request::BinaryOutputs;
use crate::error::Failure;
use crate::v2::{InferOutput, InferResponse, pack_elements};

/// The response, of `most` bytes at most.
pub(in crate::http) fn response(
    answer: InferResponse,
    binary: &BinaryOutputs,
    most: usize,
) -> Result<Response, Failure> {
    let mut text = b"{\"model_name\":".to_vec();
    quoted(&mut text, &answer.model);
    text.extend(b",\"model_version\":");
    quoted(&mut text, &answer.version);
    text.extend(b",\"id\":");
    quoted(&mut text, &answer.id);
    text.extend(b",\"outputs\":[");
    let mut behind: Vec<Bytes> = Vec::new();
    for (index, output) in answer.outputs.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        let is_binary = binary.wants(output.name());
        behind.extend(write_output(&mut text, output, is_binary)?);
        // Before it grows without bound.
        check(text.len(), &behind, most)?;
    }
    text.extend(b"]}");
    check(text.len(), &behind, most)?;
    let head = text.len();
    let is_binary = !behind.is_empty();
    let body = if is_binary {
        for tensor in behind {
            text.extend_from_slice(&tensor);
        }
        text
    } else {
        text
    };
    let mut response = Response::new(Body::from(body));
    let content_type = if is_binary {
        response
            .headers_mut()
            .insert(HEAD_LENGTH, HeaderValue::from(head));
        "application/octet-stream"
    } else {
        "application/json"
    };
    let content_type = HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

fn check(text: usize, behind: &[Bytes], most: usize) -> Result<(), Failure> {
    let bytes = text + behind.iter().map(Bytes::len).sum::<usize>();
    if bytes <= most {
        return Ok(());
    }
    Err(Failure::internal(format!(
        "the answer holds more than max_response_size, which is {most} bytes"
    )))
}

/// Writes an output; its bytes, if they are to stand behind the JSON.
fn write_output(
    text: &mut Vec<u8>,
    output: &InferOutput,
    is_binary: bool,
) -> Result<Option<Bytes>, Failure> {
    text.extend(b"{\"name\":");
    quoted(text, output.name());
    text.extend(b",\"datatype\":");
    quoted(text, output.datatype().name());
    text.extend(b",\"shape\":");
    text.extend(json!(output.shape()).to_string().into_bytes());
    if is_binary {
        let bytes = match output {
            InferOutput::Numbers { tensor, .. } => tensor.shared_bytes(),
            InferOutput::Bytes { elements, .. } => {
                pack_elements(elements).map_err(Failure::internal)?
            }
        };
        let parameters = json!({ "binary_data_size": bytes.len() });
        text.extend(format!(",\"parameters\":{parameters}}}").into_bytes());
        return Ok(Some(bytes));
    }
    match output {
        InferOutput::Numbers { tensor, .. } => {
            text.extend(b",\"data\":[");
            numbers(text, tensor);
            text.push(b']');
        }
        InferOutput::Bytes { elements, .. } => {
            let texts = elements.iter().map(|element| std::str::from_utf8(element));
            match texts.collect::<Result<Vec<_>, _>>() {
                Ok(texts) => text.extend(format!(",\"data\":{}", json!(texts)).into_bytes()),
                // JSON has no bytes.
                Err(_) => {
                    let texts: Vec<_> = elements.iter().map(|it| STANDARD.encode(it)).collect();
                    text.extend(b",\"parameters\":{\"content_type\":\"base64\"}");
                    text.extend(format!(",\"data\":{}", json!(texts)).into_bytes());
                }
            }
        }
    }
    text.push(b'}');
    Ok(None)
}

fn quoted(text: &mut Vec<u8>, name: &str) {
    text.extend(Value::from(name).to_string().into_bytes());
}

/// The elements between commas, each in the shortest text that is that very number.
fn numbers(text: &mut Vec<u8>, tensor: &Tensor) {
    use bytemuck::pod_read_unaligned as read;
    let write: fn(&mut Vec<u8>, &[u8]) = match tensor.dtype() {
        DType::Bool => |text, bytes| {
            text.extend(if bytes[0] == 0 {
                &b"false"[..]
            } else {
                b"true"
            })
        },
        DType::U8 => |text, bytes| whole(text, bytes[0].into()),
        DType::I8 => |text, bytes| whole(text, read::<i8>(bytes).into()),
        DType::I16 => |text, bytes| whole(text, read::<i16>(bytes).into()),
        DType::I32 => |text, bytes| whole(text, read::<i32>(bytes).into()),
        DType::I64 => |text, bytes| whole(text, read::<i64>(bytes)),
        DType::F16 => |text, bytes| real(text, read::<half::f16>(bytes).to_f32()),
        DType::BF16 => |text, bytes| real(text, read::<half::bf16>(bytes).to_f32()),
        DType::F32 => |text, bytes| real(text, read::<f32>(bytes)),
        DType::F64 => |text, bytes| real(text, read::<f64>(bytes)),
    };
    // About twice their bytes; one reservation spares the doubling of a large buffer.
    text.reserve(tensor.bytes().len() * 3);
    let elements = tensor.bytes().chunks_exact(tensor.dtype().size());
    for (index, element) in elements.enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write(text, element);
    }
}

fn whole(text: &mut Vec<u8>, number: i64) {
    text.extend(itoa::Buffer::new().format(number).as_bytes());
}

/// What is no number is written as Python writes and reads it: JSON has nothing for it.
fn real<F: ryu::Float + Into<f64> + Copy>(text: &mut Vec<u8>, number: F) {
    let wide: f64 = number.into();
    if wide.is_finite() {
        text.extend(ryu::Buffer::new().format_finite(number).as_bytes());
    } else if wide.is_nan() {
        text.extend(b"NaN");
    } else {
        text.extend(if wide > 0.0 {
            &b"Infinity"[..]
        } else {
            b"-Infinity"
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn tensor<T: servable::Element>(name: &str, numbers: &[T]) -> InferOutput {
        InferOutput::Numbers {
            name: name.into(),
            tensor: Tensor::new(vec![numbers.len()], numbers.to_vec()).expect("as many"),
        }
    }

    fn bytes(name: &str, elements: &[&'static [u8]]) -> InferOutput {
        InferOutput::Bytes {
            name: name.into(),
            shape: vec![elements.len()],
            elements: elements.iter().copied().map(Bytes::from_static).collect(),
        }
    }

    async fn check(outputs: Vec<InferOutput>, wanted: &str, outputs_text: &str, behind: &[u8]) {
        let body = format!("{{\"inputs\": [], {wanted}}}");
        let rope = servable::Rope::from(Bytes::from(body));
        let binary = super::super::request::read(&rope, None);
        let binary = binary.expect("a request").binary;
        let answer = InferResponse {
            model: "m".into(),
            version: "1.0".into(),
            id: "7".into(),
            outputs,
        };
        let response = response(answer, &binary, 1000).expect("an answer");
        let head = response.headers().get(HEAD_LENGTH).cloned();
        let body = response.into_body().collect().await.expect("in memory");
        let body = body.to_bytes();
        let json = format!(
            "{{\"model_name\":\"m\",\"model_version\":\"1.0\",\"id\":\"7\",\"outputs\":[{outputs_text}]}}"
        );
        let expected = [json.as_bytes(), behind].concat();
        assert_eq!(
            String::from_utf8_lossy(&body),
            String::from_utf8_lossy(&expected)
        );
        let expected = (!behind.is_empty()).then(|| HeaderValue::from(json.len()));
        assert_eq!(head, expected);
    }

    #[tokio::test]
    async fn numbers_keep_their_last_bit() {
        check(
            vec![tensor("y", &[0.1f32, 1.0, f32::NAN, 3.4028235e38])],
            "\"id\": \"7\"",
            "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[4],\"data\":[0.1,1.0,NaN,3.4028235e38]}",
            b"",
        )
        .await;
        check(
            vec![
                tensor("h", &[half::f16::from_f32(0.1)]),
                tensor("i", &[i64::MIN]),
                tensor("d", &[0.1f64 + 0.2]),
            ],
            "\"id\": \"7\"",
            "{\"name\":\"h\",\"datatype\":\"FP16\",\"shape\":[1],\"data\":[0.099975586]},\
             {\"name\":\"i\",\"datatype\":\"INT64\",\"shape\":[1],\"data\":[-9223372036854775808]},\
             {\"name\":\"d\",\"datatype\":\"FP64\",\"shape\":[1],\"data\":[0.30000000000000004]}",
            b"",
        )
        .await;
    }

    #[tokio::test]
    async fn bytes_are_text_or_base64() {
        check(
            vec![bytes("t", &[b"a\"b", "é".as_bytes()]), bytes("p", &[b"\x89PNG", b"x"])],
            "\"id\": \"7\"",
            "{\"name\":\"t\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":[\"a\\\"b\",\"é\"]},\
             {\"name\":\"p\",\"datatype\":\"BYTES\",\"shape\":[2],\"parameters\":{\"content_type\":\"base64\"},\
             \"data\":[\"iVBORw==\",\"eA==\"]}",
            b"",
        )
        .await;
    }

    #[tokio::test]
    async fn binary_outputs_stand_behind_the_json() {
        check(
            vec![tensor("a", &[1u8, 2]), tensor("b", &[3u8]), bytes("c", &[b"xy"])],
            "\"parameters\": {\"binary_data_output\": true}, \"outputs\": [{\"name\": \"b\", \"parameters\": {\"binary_data\": false}}]",
            "{\"name\":\"a\",\"datatype\":\"UINT8\",\"shape\":[2],\"parameters\":{\"binary_data_size\":2}},\
             {\"name\":\"b\",\"datatype\":\"UINT8\",\"shape\":[1],\"data\":[3]},\
             {\"name\":\"c\",\"datatype\":\"BYTES\",\"shape\":[1],\"parameters\":{\"binary_data_size\":6}}",
            b"\x01\x02\x02\0\0\0xy",
        )
        .await;
    }

    #[test]
    fn an_answer_has_its_bound() {
        let answer = InferResponse {
            model: "m".into(),
            version: "1.0".into(),
            id: String::new(),
            outputs: vec![tensor("y", &[0.1f32; 100])],
        };
        let failure = response(answer, &BinaryOutputs::default(), 100).expect_err("too large");
        assert_eq!(failure.status, 500);
        assert_eq!(
            failure.message,
            "the answer holds more than max_response_size, which is 100 bytes"
        );
    }
}
