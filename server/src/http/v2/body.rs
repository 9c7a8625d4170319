//! The body of a request: read under its cap, and inflated under the same one.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use servable::Rope;

use super::HEAD_LENGTH;
use crate::app::BodyLimits;
use crate::error::Failure;
use crate::http::body;
use crate::memory::Claim;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
}

/// The body as it was before the client packed it, and what it holds in memory.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: &BodyLimits,
) -> Result<(Rope, Claim), Failure> {
    let coding = coding(headers)?;
    let mut claim = limits.memory.claim();
    let copied = limits.copied.clone();
    let rope = body::read_rope(headers, body, limits, &mut claim, &copied).await?;
    let Some(coding) = coding else {
        return Ok((rope, claim));
    };
    let most = limits.size;
    // Some milliseconds for a megabyte: not on a thread that serves others.
    let inflating = tokio::task::spawn_blocking(move || {
        let mut inflated = Rope::new(copied);
        inflated.push(inflate(coding, &rope.into_bytes(), most, &mut claim)?);
        Ok((inflated, claim))
    });
    inflating
        .await
        .map_err(|_| Failure::internal("The body could not be inflated."))?
}

fn coding(headers: &HeaderMap) -> Result<Option<Coding>, Failure> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("?").trim();
    match text.to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some(Coding::Gzip)),
        "deflate" => Ok(Some(Coding::Deflate)),
        _ => Err(Failure {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ..Failure::bad_request(format!(
                "header Content-Encoding: expected gzip or deflate, found {text}"
            ))
        }),
    }
}

fn inflate(
    coding: Coding,
    packed: &[u8],
    most: usize,
    claim: &mut Claim,
) -> Result<Bytes, Failure> {
    const STEP: usize = 64 << 10;
    let mut reader: Box<dyn Read + '_> = match coding {
        Coding::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Coding::Deflate => Box::new(ZlibDecoder::new(packed)),
    };
    let mut inflated = Vec::new();
    loop {
        // One more than there may be, so that too much shows.
        let room = STEP.min(most + 1 - inflated.len());
        let read = (&mut reader).take(room as u64).read_to_end(&mut inflated);
        let read = read.map_err(|error| {
            Failure::bad_request(format!(
                "the body is not what Content-Encoding says: {error}"
            ))
        })?;
        if inflated.len() > most {
            return Err(Failure::too_large());
        }
        claim.grow(read)?;
        if read == 0 {
            return Ok(inflated.into());
        }
    }
}

/// How many bytes of the body are JSON, where others follow.
pub(super) fn head_length(headers: &HeaderMap) -> Result<Option<usize>, Failure> {
    let Some(value) = headers.get(HEAD_LENGTH) else {
        return Ok(None);
    };
    let length = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    match length {
        Some(length) => Ok(Some(length)),
        None => Err(Failure::bad_request(format!(
            "header Inference-Header-Content-Length: expected a number of bytes, found {value:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;
    use crate::memory::Memory;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    }

    async fn check(coding: &'static str, body: Vec<u8>, expected: Result<&[u8], (u16, &str)>) {
        let limits = BodyLimits {
            size: 100_000,
            stall: Duration::from_secs(1),
            memory: Memory::new(400_000),
            copied: servable::Copied::default(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_ENCODING,
            header::HeaderValue::from_static(coding),
        );
        let found = read(&headers, Body::from(body), &limits).await;
        let found = found.map(|(rope, _)| rope.into_bytes());
        let found = found
            .as_deref()
            .map_err(|failure| (failure.status.as_u16(), failure.message.as_str()));
        match (found, expected) {
            (Err((status, message)), Err((expected, words))) => {
                assert_eq!(status, expected, "{coding}: {message}");
                assert!(message.contains(words), "{coding}: {message}");
            }
            (found, expected) => assert_eq!(found, expected, "{coding}"),
        }
    }

    #[tokio::test]
    async fn bodies_are_inflated_under_a_cap() {
        let body: &[u8] = b"a body, a body, a body";
        check("gzip", gzip(body), Ok(body)).await;
        check("GZIP", gzip(body), Ok(body)).await;
        check("deflate", deflate(body), Ok(body)).await;
        check("identity", body.to_vec(), Ok(body)).await;
        let exact = vec![7; 100_000];
        check("gzip", gzip(&exact), Ok(&exact)).await;
        check("gzip", gzip(&vec![7; 100_001]), Err((413, ""))).await;
        check("deflate", deflate(&vec![0; 1 << 26]), Err((413, ""))).await;
        check(
            "gzip",
            body.to_vec(),
            Err((400, "the body is not what Content-Encoding says")),
        )
        .await;
        let cut = gzip(body);
        check(
            "gzip",
            cut[..cut.len() - 4].to_vec(),
            Err((400, "Content-Encoding")),
        )
        .await;
        check(
            "br",
            body.to_vec(),
            Err((415, "expected gzip or deflate, found br")),
        )
        .await;
    }
}
