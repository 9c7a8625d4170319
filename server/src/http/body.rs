//! A request's body to the parts of an [`Input`](servable::Input), under a cap and a timeout.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Frame;
use servable::{Copied, Part, Rope, Value};

use crate::app::BodyLimits;
use crate::error::Failure;
use crate::memory::Claim;

/// How many stalls' worth of time a whole body has, so that one that drips in without end does end.
const PATIENCE: u32 = 10;

/// A part, and what it is called where it is a file of a form.
pub(super) struct Field {
    pub(super) part: Part,
    pub(super) file_name: Option<String>,
}

impl From<Part> for Field {
    fn from(part: Part) -> Self {
        Field {
            part,
            file_name: None,
        }
    }
}

/// Reads a body into the parts that TorchServe makes of it: each form field is a part, and anything else is one part
/// named `body`.
pub(super) async fn read_fields(
    headers: &HeaderMap,
    body: Body,
    limits: &BodyLimits,
    claim: &mut Claim,
) -> Result<Vec<Field>, Failure> {
    let bytes = read(headers, body, limits, claim).await?;
    let content_type = text_header(headers, header::CONTENT_TYPE);
    let mime = content_type.split(';').next().unwrap_or_default().trim();
    if mime.eq_ignore_ascii_case("multipart/form-data") {
        multipart(bytes, content_type).await
    } else if mime.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        // curl calls whatever it sends with `-d` or `--data-binary` a form.
        Ok(match other_than_a_form(&bytes) {
            None => form(&bytes),
            Some(content_type) => vec![whole(bytes, content_type)],
        })
    } else {
        Ok(vec![whole(bytes, mime)])
    }
}

/// A body that is no form.
fn whole(bytes: Bytes, content_type: &str) -> Field {
    let part = Part {
        name: "body".into(),
        content_type: content_type.into(),
        value: Value::Bytes(bytes),
    };
    part.into()
}

/// The whole body as it is. What it holds is counted on `claim` as it arrives.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: &BodyLimits,
    claim: &mut Claim,
) -> Result<Bytes, Failure> {
    // Many bodies are one frame, which is taken as it is; the frames of others are copied together as they come, so that
    // no more is held than the body.
    let mut first = Bytes::new();
    let mut together = BytesMut::new();
    let announced = announced(headers);
    each_frame(headers, body, limits, claim, |data| {
        if first.is_empty() {
            first = data;
            return;
        }
        if together.is_empty() {
            together.reserve(announced.max(first.len() + data.len()));
            together.extend_from_slice(&first);
        }
        together.extend_from_slice(&data);
    })
    .await?;
    Ok(if together.is_empty() {
        first
    } else {
        together.freeze()
    })
}

/// The whole body in the pieces in which it came, for whoever cuts tensors out of it. What it holds is counted on `claim`
/// as it arrives, and what is copied of it later on `copied`.
pub(super) async fn read_rope(
    headers: &HeaderMap,
    body: Body,
    limits: &BodyLimits,
    claim: &mut Claim,
    copied: &Copied,
) -> Result<Rope, Failure> {
    let mut rope = Rope::new(copied.clone());
    each_frame(headers, body, limits, claim, |data| rope.push(data)).await?;
    Ok(rope)
}

/// Hands over the data of a body frame by frame, within its limits.
async fn each_frame(
    headers: &HeaderMap,
    mut body: Body,
    limits: &BodyLimits,
    claim: &mut Claim,
    mut take: impl FnMut(Bytes),
) -> Result<(), Failure> {
    if announced(headers) > limits.size {
        return Err(Failure::too_large());
    }
    let reading = async {
        let mut held = 0;
        while let Some(frame) = next_frame(&mut body, limits.stall).await? {
            let Ok(data) = frame.into_data() else {
                continue;
            };
            held += data.len();
            if held > limits.size {
                return Err(Failure::too_large());
            }
            claim.grow(data.len())?;
            take(data);
        }
        Ok(())
    };
    let whole = limits.stall * PATIENCE;
    tokio::time::timeout(whole, reading)
        .await
        .unwrap_or_else(|_| {
            let seconds = whole.as_secs();
            Err(Failure::too_slow(format!(
                "the body did not arrive within {seconds} s"
            )))
        })
}

/// How long the body is to be, as its head says.
fn announced(headers: &HeaderMap) -> usize {
    text_header(headers, header::CONTENT_LENGTH)
        .parse()
        .unwrap_or(0)
}

async fn next_frame(body: &mut Body, stall: Duration) -> Result<Option<Frame<Bytes>>, Failure> {
    match tokio::time::timeout(stall, body.frame()).await {
        Ok(frame) => frame
            .transpose()
            .map_err(|error| Failure::bad_request(format!("the body broke off: {error}"))),
        Err(_) => Err(Failure::too_slow(format!(
            "the body stood still for {} s",
            stall.as_secs()
        ))),
    }
}

async fn multipart(bytes: Bytes, content_type: &str) -> Result<Vec<Field>, Failure> {
    let broken =
        |error: multer::Error| Failure::bad_request(format!("malformed multipart body: {error}"));
    let boundary = multer::parse_boundary(content_type).map_err(broken)?;
    let stream =
        futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(bytes) });
    let mut fields = multer::Multipart::new(stream, boundary);
    let mut parts = Vec::new();
    while let Some(field) = fields.next_field().await.map_err(broken)? {
        let Some(name) = field.name().map(str::to_owned) else {
            continue;
        };
        // Only a file carries a content type of its own.
        let content_type = match (field.file_name(), field.content_type()) {
            (Some(_), Some(mime)) => mime.essence_str().to_owned(),
            _ => String::new(),
        };
        let file_name = field.file_name().map(str::to_owned);
        let value = Value::Bytes(field.bytes().await.map_err(broken)?);
        let part = Part {
            name,
            content_type,
            value,
        };
        put(&mut parts, Field { part, file_name });
    }
    Ok(parts)
}

/// The type of what is said to be a form and cannot be one: whoever makes a form encodes brackets, control characters, and
/// bytes that are no text.
fn other_than_a_form(bytes: &[u8]) -> Option<&'static str> {
    if matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Some("application/json");
    }
    let is_text = std::str::from_utf8(bytes).is_ok()
        && !bytes
            .iter()
            .any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace());
    (!is_text).then_some("")
}

/// Fields without a `=` do not count, which is why a bare `curl -d x` reaches the handler as an empty row.
fn form(bytes: &[u8]) -> Vec<Field> {
    let mut parts = Vec::new();
    for pair in bytes
        .split(|&byte| byte == b'&')
        .filter(|pair| pair.contains(&b'='))
    {
        for (name, value) in form_urlencoded::parse(pair) {
            let value = Value::Bytes(Bytes::from(value.into_owned()));
            let part = Part {
                name: name.into_owned(),
                content_type: String::new(),
                value,
            };
            put(&mut parts, part.into());
        }
    }
    parts
}

/// Of two parts with one name the later counts.
fn put(fields: &mut Vec<Field>, field: Field) {
    let same = |existing: &&mut Field| existing.part.name == field.part.name;
    match fields.iter_mut().find(same) {
        Some(existing) => *existing = field,
        None => fields.push(field),
    }
}

fn text_header(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use axum::http::HeaderValue;

    fn limits() -> BodyLimits {
        BodyLimits {
            size: 400,
            stall: Duration::from_secs(1),
            memory: Memory::new(1000),
            copied: servable::Copied::default(),
        }
    }

    async fn parts_of(
        content_type: &'static str,
        body: &'static str,
    ) -> Result<Vec<Part>, Failure> {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let limits = limits();
        let mut claim = limits.memory.claim();
        let fields = read_fields(&headers, Body::from(body), &limits, &mut claim).await?;
        Ok(fields.into_iter().map(|field| field.part).collect())
    }

    /// Parts as `name:type=value`.
    async fn check(content_type: &'static str, body: &'static str, expected: &[&str]) {
        let parts = parts_of(content_type, body).await.expect("well-formed");
        let found: Vec<String> = parts
            .into_iter()
            .map(|part| {
                let value = String::from_utf8_lossy(&part.value.into_body()).into_owned();
                format!("{}:{}={value}", part.name, part.content_type)
            })
            .collect();
        assert_eq!(found, expected, "{content_type}: {body}");
    }

    #[tokio::test]
    async fn a_body_is_read_in_one_piece_or_in_the_pieces_in_which_it_came() {
        let frames = |count: usize| {
            let frames = (0..count).map(|_| Ok::<_, std::convert::Infallible>("ab"));
            Body::from_stream(futures_util::stream::iter(frames))
        };
        let (headers, limits) = (HeaderMap::new(), limits());
        let copied = Copied::counted();
        let mut claim = limits.memory.claim();
        let rope = read_rope(&headers, frames(5), &limits, &mut claim, &copied).await;
        let rope = rope.expect("a body");
        assert_eq!((rope.len(), rope.chunks().count()), (10, 5));
        assert_eq!(rope.into_bytes(), "ababababab");
        assert_eq!(copied.bytes(), 10);
        let whole = read(&headers, frames(5), &limits, &mut claim).await;
        assert_eq!(whole.expect("a body"), "ababababab");
        let long = limits.size / 2 + 1;
        for failure in [
            read_rope(&headers, frames(long), &limits, &mut claim, &copied)
                .await
                .map(drop),
            read(&headers, frames(long), &limits, &mut claim)
                .await
                .map(drop),
        ] {
            assert_eq!(failure, Err(Failure::too_large()));
        }
        // What another request holds leaves no room, and what was read is given back.
        let mut other = limits.memory.claim();
        other.grow(995 - 10 - 10 - 2 * limits.size).expect("room");
        let mut claim = limits.memory.claim();
        let refused = read_rope(&headers, frames(20), &limits, &mut claim, &copied).await;
        assert_eq!(refused.expect_err("no room").status, 503);
    }

    #[tokio::test]
    async fn a_plain_body_is_one_part() {
        check("", "x", &["body:=x"]).await;
        check("", "", &["body:="]).await;
        check(
            "application/json; charset=utf-8",
            "{}",
            &["body:application/json={}"],
        )
        .await;
        check("image/jpeg", "x", &["body:image/jpeg=x"]).await;
    }

    #[tokio::test]
    async fn form_fields_are_parts_and_the_last_of_a_name_counts() {
        let form = "application/x-www-form-urlencoded";
        check(form, "x", &[]).await;
        check(form, "a=1&b=x%20y&a=2", &["a:=2", "b:=x y"]).await;
        check(form, "%7Ba=1", &["{a:=1"]).await;
        let json = " {\"data\": \"a=1\"}";
        let body = format!("body:application/json={json}");
        check(form, json, &[&body]).await;
        check(form, "BM\0\0=&", &["body:=BM\0\0=&"]).await;
        let multipart = "multipart/form-data; boundary=Z";
        check(
            multipart,
            "--Z\r\nContent-Disposition: form-data; name=\"data\"; filename=\"k.jpg\"\r\nContent-Type: image/jpeg; \
             charset=x\r\n\r\nJPEG\r\n--Z\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nundefined\r\n--Z--\r\n",
            &["data:image/jpeg=JPEG", "type:=undefined"],
        )
        .await;
    }

    #[tokio::test]
    async fn what_is_broken_or_too_large_is_refused() {
        let failure = parts_of("multipart/form-data; boundary=Z", "no boundary")
            .await
            .expect_err("broken");
        assert_eq!(failure.status.as_u16(), 400);
        assert!(
            failure.message.starts_with("malformed multipart body: "),
            "{}",
            failure.message
        );
        let failure = parts_of("multipart/form-data", "x")
            .await
            .expect_err("no boundary");
        assert_eq!(failure.status.as_u16(), 400);
        let long: &'static str = Box::leak("x".repeat(limits().size + 1).into_boxed_str());
        assert_eq!(
            parts_of("", long).await.expect_err("too large"),
            Failure::too_large()
        );
    }
}
