//! Protocol one: TorchServe's own, byte for byte. Integers are signed, 32 bits, big-endian; texts and bytes are a length and
//! so many bytes.

use bytes::Bytes;
use servable::{Part, Value};
use worker_process::{Broken, Connection, Source};

use crate::message::{Answer, Load, Prediction, Request};

/// Ends a list.
const END: i32 = -1;

/// Records of one answer; more is no answer.
const MOST_RECORDS: usize = 4096;

/// How much is read at a time.
const CHUNK: usize = 64 << 10;

pub(crate) struct One {
    pub(crate) connection: Connection,
    /// Bytes that one answer may hold.
    pub(crate) most: usize,
    buffer: Vec<u8>,
    at: usize,
}

impl One {
    pub(crate) fn new(connection: Connection, most: usize) -> Self {
        One {
            connection,
            most,
            buffer: Vec::new(),
            at: 0,
        }
    }

    /// Whether the worker has said more than was asked for.
    pub(crate) fn has_unread(&self) -> bool {
        self.at < self.buffer.len()
    }

    pub(crate) fn send_load(&mut self, load: &Load<'_>) -> Result<(), Broken> {
        let message = encode_load(load)?;
        self.connection.write(&message)
    }

    pub(crate) fn send(&mut self, requests: &[Request<'_>]) -> Result<(), Broken> {
        // Before the first byte goes out: what cannot be sent whole is not begun.
        let too_long = |part: &Part| i32::try_from(part.value.bytes()).is_err();
        if requests
            .iter()
            .flat_map(|request| request.parts)
            .any(too_long)
        {
            let message = "a part of the request has more than 2 GiB, which is the most";
            return Err(Broken::Unsendable(message.into()));
        }
        let mut message = vec![b'I'];
        for request in requests {
            put_request(&mut message, request)?;
            if message.len() >= CHUNK {
                self.connection.write(&message)?;
                message.clear();
            }
        }
        put_int(&mut message, END);
        self.connection.write(&message)
    }

    pub(crate) fn receive(&mut self) -> Result<Answer, Broken> {
        let most = self.most;
        decode(self, most)
    }
}

impl Source for One {
    fn fill(&mut self, mut out: &mut [u8]) -> Result<(), Broken> {
        while !out.is_empty() {
            if !self.has_unread() {
                if out.len() >= CHUNK {
                    // Long things go where they belong at once.
                    return self.connection.fill(out);
                }
                self.buffer.resize(CHUNK, 0);
                self.at = 0;
                let read = self.connection.read_some(&mut self.buffer);
                self.buffer.truncate(*read.as_ref().unwrap_or(&0));
                read?;
            }
            let count = out.len().min(self.buffer.len() - self.at);
            let (head, rest) = out.split_at_mut(count);
            head.copy_from_slice(&self.buffer[self.at..self.at + count]);
            self.at += count;
            out = rest;
        }
        Ok(())
    }
}

fn encode_load(load: &Load<'_>) -> Result<Vec<u8>, Broken> {
    let mut message = vec![b'L'];
    put(&mut message, load.model.as_bytes())?;
    put(&mut message, load.folder.as_bytes())?;
    put_int(&mut message, load.batch_size);
    put(&mut message, load.handler.as_bytes())?;
    put_int(&mut message, load.gpu.unwrap_or(-1));
    put(&mut message, load.envelope.as_bytes())?;
    message.push(load.limit_pixels.into());
    Ok(message)
}

fn put_request(message: &mut Vec<u8>, request: &Request<'_>) -> Result<(), Broken> {
    put(message, request.id.as_bytes())?;
    for (name, value) in &request.headers {
        put(message, name.as_bytes())?;
        put(message, value.as_bytes())?;
    }
    put_int(message, END);
    for part in request.parts {
        put(message, part.name.as_bytes())?;
        let (content_type, body) = body(&part.content_type, &part.value);
        put(message, content_type.as_bytes())?;
        put(message, &body)?;
    }
    put_int(message, END);
    Ok(())
}

/// A value as bytes and what they are: this protocol knows nothing else.
fn body<'p>(content_type: &'p str, value: &Value) -> (&'p str, Bytes) {
    let spoken = match value {
        Value::Text(_) if content_type.is_empty() => "text/plain",
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Tensor(_)
        | Value::List(_)
        | Value::Map(_) => "application/json",
        Value::Text(_) | Value::Bytes(_) | Value::Image(_) => content_type,
    };
    (spoken, value.clone().into_body())
}

fn put_int(message: &mut Vec<u8>, number: i32) {
    message.extend_from_slice(&number.to_be_bytes());
}

fn put(message: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Broken> {
    let length = i32::try_from(bytes.len()).map_err(|_| {
        Broken::Protocol(format!(
            "{} bytes are more than a message can hold",
            bytes.len()
        ))
    })?;
    put_int(message, length);
    message.extend_from_slice(bytes);
    Ok(())
}

/// Reads an answer of at most so many bytes. Lengths are checked before anything is reserved for them.
pub(crate) fn decode(source: &mut impl Source, most: usize) -> Result<Answer, Broken> {
    let mut reader = Reader {
        source,
        left: most,
        most,
    };
    let code = reader.int()?;
    let message = reader.text()?;
    let mut predictions = Vec::new();
    loop {
        let length = reader.int()?;
        if length == END {
            break;
        }
        if predictions.len() == MOST_RECORDS {
            return Err(Broken::Protocol(format!(
                "an answer has more than {MOST_RECORDS} records"
            )));
        }
        predictions.push(reader.prediction(length)?);
    }
    let more = predictions.iter().any(Prediction::has_more);
    Ok(Answer {
        code,
        message,
        predictions,
        more,
    })
}

struct Reader<'s, S> {
    source: &'s mut S,
    left: usize,
    most: usize,
}

impl<S: Source> Reader<'_, S> {
    fn prediction(&mut self, id_length: i32) -> Result<Prediction, Broken> {
        let id = self.text_of(id_length)?;
        let content_type = self.text()?;
        let status = self.int()?;
        let phrase = self.text()?;
        let count = self.int()?;
        let mut headers = Vec::new();
        for _ in 0..self.length(count)? {
            headers.push((self.text()?, self.text()?));
        }
        let length = self.int()?;
        let body = self.bytes(length)?;
        Ok(Prediction {
            id,
            content_type,
            status,
            phrase,
            headers,
            value: Value::Bytes(body.into()),
        })
    }

    fn int(&mut self) -> Result<i32, Broken> {
        self.take(4)?;
        let mut bytes = [0; 4];
        self.source.fill(&mut bytes)?;
        Ok(i32::from_be_bytes(bytes))
    }

    fn text(&mut self) -> Result<String, Broken> {
        let length = self.int()?;
        self.text_of(length)
    }

    fn text_of(&mut self, length: i32) -> Result<String, Broken> {
        let bytes = self.bytes(length)?;
        // What a handler calls a header is for the client to make sense of.
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn bytes(&mut self, length: i32) -> Result<Vec<u8>, Broken> {
        let length = self.length(length)?;
        self.take(length)?;
        let mut bytes = vec![0; length];
        self.source.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn length(&self, length: i32) -> Result<usize, Broken> {
        usize::try_from(length)
            .map_err(|_| Broken::Protocol(format!("a length is {length}, expected none below 0")))
    }

    fn take(&mut self, count: usize) -> Result<(), Broken> {
        self.left = self.left.checked_sub(count).ok_or_else(|| {
            let most = self.most;
            Broken::Protocol(format!(
                "an answer has more than {most} bytes (max_response_size)"
            ))
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
