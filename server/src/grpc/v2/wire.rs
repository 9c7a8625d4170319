//! How a `ModelInferRequest` and its answer lie in the bytes of a call: the five bytes before a message, and within it the
//! fields that carry tensors, which are found here without touching what is in them. Everything else in a message is
//! small, and left to prost.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use proto::inference as pb;
use servable::Rope;
use tonic::Status;

use super::super::Answer;

/// `raw_input_contents` and `raw_output_contents`.
const RAW_INPUTS: u32 = 7;
const RAW_OUTPUTS: u32 = 6;

/// How many bytes come before each message.
const HEAD: usize = 5;

/// A message in its wrapper.
pub(super) struct Envelope {
    pub(super) compressed: bool,
    pub(super) content: Rope,
}

impl Envelope {
    /// Opens the one message of a call.
    ///
    /// # Errors
    ///
    /// Bytes that are less or more than one message.
    pub(super) fn open(received: &Rope) -> Result<Self, Status> {
        let mut head = [0; HEAD];
        if received.len() < HEAD {
            return Err(Status::internal("the call ended before its message"));
        }
        received.copy_to(0, &mut head);
        let [flag, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if received.len() - HEAD != length {
            let found = received.len() - HEAD;
            return Err(Status::internal(format!(
                "a message of {length} bytes was announced, {found} came"
            )));
        }
        let compressed = match flag {
            0 => false,
            1 => true,
            other => {
                let text = format!("the flag before a message is 0 or 1, found {other}");
                return Err(Status::internal(text));
            }
        };
        Ok(Envelope {
            compressed,
            content: received.slice(HEAD..received.len()),
        })
    }
}

/// The message without the bytes of its tensors, and those.
///
/// # Errors
///
/// What is no such message.
pub(super) fn read(message: &Rope) -> Result<(pb::ModelInferRequest, Vec<Rope>), Status> {
    let mut small = BytesMut::new();
    let mut raw = Vec::new();
    let mut cursor = Cursor { of: message, at: 0 };
    while cursor.at < message.len() {
        let start = cursor.at;
        let (field, wire_type) = cursor.key()?;
        let content = cursor.skip(wire_type)?;
        if field == RAW_INPUTS && wire_type == WireType::LengthDelimited {
            raw.push(message.slice(content));
        } else {
            let end = cursor.at;
            let into = small.len();
            small.resize(into + end - start, 0);
            message.copy_to(start, &mut small[into..]);
        }
    }
    let message = pb::ModelInferRequest::decode(small.freeze())
        .map_err(|error| Status::internal(error.to_string()))?;
    Ok((message, raw))
}

/// A place in a message.
struct Cursor<'r> {
    of: &'r Rope,
    at: usize,
}

impl Cursor<'_> {
    fn key(&mut self) -> Result<(u32, WireType), Status> {
        let key = u32::try_from(self.varint()?).map_err(|_| broken())?;
        let wire_type = WireType::try_from(u64::from(key & 7)).map_err(|_| broken())?;
        match key >> 3 {
            0 => Err(broken()),
            field => Ok((field, wire_type)),
        }
    }

    fn varint(&mut self) -> Result<u64, Status> {
        // No longer one says more than 64 bits.
        let mut bytes = [0; 10];
        let left = bytes.len().min(self.of.len() - self.at);
        let bytes = &mut bytes[..left];
        self.of.copy_to(self.at, bytes);
        let mut rest = &*bytes;
        let value = prost::encoding::decode_varint(&mut rest).map_err(|_| broken())?;
        self.at += left - rest.len();
        Ok(value)
    }

    /// Goes behind a field, whose content is in that range.
    fn skip(&mut self, wire_type: WireType) -> Result<std::ops::Range<usize>, Status> {
        let length = match wire_type {
            WireType::Varint => {
                let start = self.at;
                self.varint()?;
                return Ok(start..self.at);
            }
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::LengthDelimited => usize::try_from(self.varint()?).map_err(|_| broken())?,
            // No message of the protocol has groups.
            WireType::StartGroup | WireType::EndGroup => return Err(broken()),
        };
        let start = self.at;
        let end = start
            .checked_add(length)
            .filter(|&end| end <= self.of.len());
        self.at = end.ok_or_else(broken)?;
        Ok(start..self.at)
    }
}

fn broken() -> Status {
    Status::internal("the message is no ModelInferRequest")
}

/// A tensor of so many bytes is copied to what stands before it: a frame of its own costs more.
const SMALL: usize = 4096;

/// The answer to a call, with the bytes of its tensors behind it, each as it lies unless it is small.
///
/// # Errors
///
/// An answer of more than `most` bytes.
pub(super) fn answer(
    message: &pb::ModelInferResponse,
    raw: Vec<Bytes>,
    most: usize,
) -> Result<Answer, Status> {
    let around = |tensor: &Bytes| key_len(RAW_OUTPUTS) + encoded_len_varint(tensor.len() as u64);
    let tensors: usize = raw.iter().map(|it| around(it) + it.len()).sum();
    let length = message.encoded_len() + tensors;
    let announced = u32::try_from(length).ok().filter(|_| length <= most);
    let announced = announced.ok_or_else(|| {
        Status::internal(format!(
            "the answer holds {length} bytes, more than max_response_size, which is {most}"
        ))
    })?;
    let mut frames = Vec::with_capacity(2);
    let mut small = BytesMut::with_capacity(HEAD + message.encoded_len() + tensors.min(SMALL));
    small.put_u8(0);
    small.put_u32(announced);
    // Never too little room: the buffer grows.
    message
        .encode(&mut small)
        .map_err(|error| Status::internal(error.to_string()))?;
    for tensor in raw {
        encode_key(RAW_OUTPUTS, WireType::LengthDelimited, &mut small);
        encode_varint(tensor.len() as u64, &mut small);
        if tensor.len() <= SMALL {
            small.extend_from_slice(&tensor);
            continue;
        }
        frames.push(Frame::data(small.split().freeze()));
        frames.push(Frame::data(tensor));
    }
    if !small.is_empty() {
        frames.push(Frame::data(small.freeze()));
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    frames.push(Frame::trailers(trailers));
    let frames = frames.into_iter().map(Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::new(StreamBody::new(futures_util::stream::iter(
        frames,
    ))));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    Ok(response)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rope(bytes: &[u8], cuts: &[usize]) -> Rope {
        let mut rope = Rope::default();
        let mut rest = Bytes::copy_from_slice(bytes);
        for cut in cuts {
            rope.push(rest.split_to(cut % (rest.len() + 1)));
        }
        rope.push(rest);
        rope
    }

    fn message() -> pb::ModelInferRequest {
        pb::ModelInferRequest {
            model_name: "m".into(),
            id: "7".into(),
            inputs: vec![pb::model_infer_request::InferInputTensor {
                name: "x".into(),
                datatype: "FP32".into(),
                shape: vec![2, -1],
                ..Default::default()
            }],
            raw_input_contents: vec![Bytes::from(vec![1; 300]), Bytes::new()],
            ..Default::default()
        }
    }

    proptest! {
        /// However it is cut, a message is read as prost reads it.
        #[test]
        fn a_message_is_read_however_it_is_cut(cuts in prop::collection::vec(0usize..400, 0..9)) {
            let bytes = message().encode_to_vec();
            let (mut read, raw) = read(&rope(&bytes, &cuts)).expect("a message");
            read.raw_input_contents = raw.into_iter().map(Rope::into_bytes).collect();
            prop_assert_eq!(read, message());
        }

        /// Whatever comes, there is an answer, and no panic.
        #[test]
        fn what_is_no_message_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let ours = read(&rope(&bytes, &[3, 5]));
            let theirs = pb::ModelInferRequest::decode(&*bytes);
            if ours.is_ok() {
                prop_assert!(theirs.is_ok());
            }
        }
    }

    #[test]
    fn calls_hold_one_message() {
        let check = |bytes: &[u8], expected: Result<(bool, &[u8]), &str>| {
            let opened = Envelope::open(&rope(bytes, &[2]));
            let found = opened.map(|it| (it.compressed, it.content.into_bytes()));
            let found = found
                .as_ref()
                .map(|(compressed, bytes)| (*compressed, &bytes[..]));
            assert_eq!(found.map_err(Status::message), expected, "{bytes:?}");
        };
        check(&[0, 0, 0, 0, 2, 7, 8], Ok((false, &[7, 8])));
        check(&[1, 0, 0, 0, 0], Ok((true, &[])));
        check(&[0, 0, 0], Err("the call ended before its message"));
        check(
            &[0, 0, 0, 0, 3, 7, 8],
            Err("a message of 3 bytes was announced, 2 came"),
        );
        check(
            &[2, 0, 0, 0, 0],
            Err("the flag before a message is 0 or 1, found 2"),
        );
    }

    #[tokio::test]
    async fn an_answer_is_the_message_that_prost_would_write() {
        use http_body_util::BodyExt;
        let raw = |length| vec![Bytes::from(vec![1; length]), Bytes::new()];
        for raw in [raw(300), raw(5000), Vec::new()] {
            let message = pb::ModelInferResponse {
                model_name: "m".into(),
                ..Default::default()
            };
            let answer = answer(&message, raw.clone(), 6000).expect("not too large");
            let body = answer.into_body().collect().await.expect("in memory");
            assert_eq!(body.trailers().map(HeaderMap::len), Some(1));
            let bytes = body.to_bytes();
            let whole = pb::ModelInferResponse {
                raw_output_contents: raw,
                ..message
            };
            let mut expected = vec![0];
            expected.put_u32(whole.encoded_len() as u32);
            expected.extend(whole.encode_to_vec());
            assert_eq!(bytes, expected);
        }
        let large = answer(&Default::default(), vec![Bytes::from(vec![1; 300])], 200);
        assert_eq!(
            large.expect_err("more than 200").message(),
            "the answer holds 303 bytes, more than max_response_size, which is 200"
        );
    }
}
