//! One tensor over every wire: how it is asked about, and how an answer is told right. Values only, but for what is opened.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use proto::inference::ModelInferRequest;
use proto::inference::model_infer_request::InferInputTensor;
use proto::torchserve::inference::PredictionsRequest;
use serde_json::json;

use crate::calls::{Calls, Question};
use crate::client::Client;
use crate::daemon::Daemon;
use crate::http;
use crate::load::{Load, Slice};

/// The ways to ask, that which the others are compared with first.
pub(super) const WIRES: [Wire; 4] = [Wire::Rest, Wire::RestV2, Wire::Grpc, Wire::GrpcV2];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// TorchServe's.
    Rest,
    /// The Open Inference Protocol's, tensors behind the JSON.
    RestV2,
    /// TorchServe's.
    Grpc,
    /// The Open Inference Protocol's, raw tensors.
    GrpcV2,
}

impl Wire {
    /// For a reader.
    pub(super) fn title(self) -> &'static str {
        match self {
            Wire::Rest => "REST",
            Wire::RestV2 => "REST v2, binary",
            Wire::Grpc => "gRPC",
            Wire::GrpcV2 => "gRPC v2, raw",
        }
    }

    /// Whether tensors come in the protocol's own words, so that what is copied of them is counted.
    pub(super) fn is_v2(self) -> bool {
        match self {
            Wire::RestV2 | Wire::GrpcV2 => true,
            Wire::Rest | Wire::Grpc => false,
        }
    }
}

/// What is sent.
pub(super) struct Tensor {
    pub(super) model: &'static str,
    pub(super) shape: Vec<usize>,
    /// Floats as they lie in memory.
    pub(super) bytes: Bytes,
    /// The same as TorchServe's clients send it.
    pub(super) body: Bytes,
}

impl Tensor {
    pub(super) fn new(model: &'static str, shape: &[usize], numbers: &[f32], body: Bytes) -> Self {
        Tensor {
            model,
            shape: shape.to_vec(),
            bytes: packed(numbers),
            body,
        }
    }

    fn rest(&self, address: SocketAddr) -> Vec<u8> {
        let path = format!("/predictions/{}", self.model);
        http::request("POST", address, &path, &self.body)
    }

    fn rest_v2(&self, address: SocketAddr) -> Vec<u8> {
        let path = format!("/v2/models/{}/infer", self.model);
        let size = json!({ "binary_data_size": self.bytes.len() });
        let input =
            json!({ "name": INPUT, "datatype": FLOATS, "shape": self.shape, "parameters": size });
        let head = json!({ "inputs": [input], "parameters": { "binary_data_output": true } });
        let head = head.to_string();
        let headers = format!("{HEAD_LENGTH}: {}\r\n", head.len());
        let body = [head.as_bytes(), &self.bytes].concat();
        http::request_with("POST", address, &path, &headers, &body)
    }

    fn grpc(&self) -> Question {
        Question::Predictions(PredictionsRequest {
            model_name: self.model.to_owned(),
            input: [(INPUT.to_owned(), self.body.clone())].into(),
            ..PredictionsRequest::default()
        })
    }

    fn grpc_v2(&self) -> Question {
        let input = InferInputTensor {
            name: INPUT.to_owned(),
            datatype: FLOATS.to_owned(),
            shape: self.shape.iter().map(|&side| side as i64).collect(),
            ..InferInputTensor::default()
        };
        Question::Infer(ModelInferRequest {
            model_name: self.model.to_owned(),
            inputs: vec![input],
            raw_input_contents: vec![self.bytes.clone()],
            ..ModelInferRequest::default()
        })
    }
}

/// Under this name a handler with one input finds it by either protocol.
const INPUT: &str = "data";
const FLOATS: &str = "FP32";
const HEAD_LENGTH: &str = "Inference-Header-Content-Length";

fn packed(numbers: &[f32]) -> Bytes {
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    bytes.collect()
}

/// So many questions at once over one of the wires.
pub(super) enum Loop {
    Rest(Load),
    Grpc(Calls),
}

impl Loop {
    pub(super) fn open(
        daemon: &Daemon,
        wire: Wire,
        at_once: usize,
        tensor: &Tensor,
    ) -> Result<Self> {
        let (rest, grpc) = (daemon.address, daemon.grpc);
        Ok(match wire {
            Wire::Rest => Loop::Rest(Load::repeating(rest, at_once, tensor.rest(rest))?),
            Wire::RestV2 => Loop::Rest(Load::repeating(rest, at_once, tensor.rest_v2(rest))?),
            Wire::Grpc => Loop::Grpc(Calls::open(grpc, at_once, &tensor.grpc())?),
            Wire::GrpcV2 => Loop::Grpc(Calls::open(grpc, at_once, &tensor.grpc_v2())?),
        })
    }

    pub(super) fn run(
        &mut self,
        time: Duration,
        meter: impl FnMut() -> Result<f64>,
    ) -> Result<Slice> {
        match self {
            Loop::Rest(load) => load.run(time, meter),
            Loop::Grpc(calls) => calls.run(time, meter),
        }
    }
}

/// Asks once over each wire and compares the answers.
///
/// # Errors
///
/// The wire whose answer is not what is expected.
pub(super) fn check(daemon: &Daemon, tensor: &Tensor, expected: &[f32]) -> Result<()> {
    for wire in WIRES {
        let answer = match wire {
            Wire::Rest => whole(daemon, &tensor.rest(daemon.address))?,
            Wire::RestV2 => whole(daemon, &tensor.rest_v2(daemon.address))?,
            Wire::Grpc => Calls::open(daemon.grpc, 1, &tensor.grpc())?.ask()?,
            Wire::GrpcV2 => Calls::open(daemon.grpc, 1, &tensor.grpc_v2())?.ask()?,
        };
        let found = match wire {
            Wire::Rest | Wire::Grpc => serde_json::from_slice(&answer).ok(),
            Wire::RestV2 | Wire::GrpcV2 => last_floats(&answer, expected.len()),
        };
        if found.is_none_or(|found| !are_close(&found, expected)) {
            let (title, model) = (wire.title(), tensor.model);
            bail!(
                "{model} over {title}: a wrong answer of {} bytes",
                answer.len()
            );
        }
    }
    Ok(())
}

fn whole(daemon: &Daemon, request: &[u8]) -> Result<Bytes> {
    let reply = Client::new(daemon.address).exchange(request)?;
    if reply.status != 200 {
        bail!("the daemon answered {}: {}", reply.status, reply.text());
    }
    Ok(reply.body.into())
}

/// The floats at the end: before those of one tensor stands JSON, or nothing.
fn last_floats(answer: &[u8], count: usize) -> Option<Vec<f32>> {
    let start = answer.len().checked_sub(4 * count)?;
    let floats = answer[start..].chunks_exact(4);
    let float = |bytes: &[u8]| Some(f32::from_le_bytes(bytes.try_into().ok()?));
    floats.map(float).collect()
}

fn are_close(found: &[f32], expected: &[f32]) -> bool {
    let mut pairs = found.iter().zip(expected);
    found.len() == expected.len() && pairs.all(|(one, other)| (one - other).abs() < 1e-3)
}

/// The tensor as a file of NumPy's.
pub(super) fn npy(shape: &[usize], numbers: &[f32]) -> Result<Bytes> {
    let sides: String = shape.iter().map(|side| format!("{side},")).collect();
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sides}), }}").into_bytes();
    // The elements begin at a multiple of 64, and a line end is before them.
    let begin = (NPY.len() + 2 + header.len() + 1).next_multiple_of(64);
    header.resize(begin - NPY.len() - 3, b' ');
    header.push(b'\n');
    let length = u16::try_from(header.len()).context("a header of NumPy's")?;
    Ok([NPY, &length.to_le_bytes(), &header, &packed(numbers)]
        .concat()
        .into())
}

/// Magic bytes and version.
const NPY: &[u8] = b"\x93NUMPY\x01\x00";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_numpys_is_aligned() {
        let file = npy(&[2, 1], &[1.0, 2.0]).expect("a small header");
        assert_eq!(file.len(), 128 + 8);
        assert_eq!(&file[8..10], &118u16.to_le_bytes());
        assert_eq!(file[127], b'\n');
        assert!(
            file[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,1,), }")
        );
        assert_eq!(last_floats(&file, 2), Some(vec![1.0, 2.0]));
    }

    #[test]
    fn answers_are_told_right() {
        assert!(are_close(&[1.0, 2.0], &[1.0, 2.0001]));
        assert!(!are_close(&[1.0, 2.0], &[1.0, 2.1]));
        assert!(!are_close(&[1.0], &[1.0, 2.0]));
        assert_eq!(last_floats(&[0; 7], 2), None);
    }

    #[test]
    fn a_request_says_where_its_tensor_begins() {
        let tensor = Tensor::new("m", &[2], &[1.0, 2.0], Bytes::from_static(b"[1.0, 2.0]"));
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let request = tensor.rest_v2(address);
        let text = String::from_utf8_lossy(&request);
        let (head, _) = text.split_once("\r\n\r\n").expect("a head");
        let number = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.strip_prefix(name));
            lines.next()?.parse::<usize>().ok()
        };
        let json = number("Inference-Header-Content-Length: ").expect("the length of the JSON");
        assert_eq!(number("Content-Length: "), Some(json + 8));
        let body = &request[head.len() + 4..];
        assert_eq!(body[json..], tensor.bytes);
        assert!(serde_json::from_slice::<serde_json::Value>(&body[..json]).is_ok());
    }
}
