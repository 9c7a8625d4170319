//! The little of HTTP/1.1 that a client of the daemon needs: requests as bytes, and the heads of answers. Both clients
//! here use it, the one under load (`load.rs`) and the plain one (`client.rs`).

use std::net::SocketAddr;

/// A whole request, ready to be sent again and again on a connection that stays open.
pub(crate) fn request(method: &str, address: SocketAddr, path: &str, body: &[u8]) -> Vec<u8> {
    request_with(method, address, path, "", body)
}

/// The same with more headers, each with its `\r\n`.
pub(crate) fn request_with(
    method: &str,
    address: SocketAddr,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// What the head of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Where the body begins.
    pub(crate) body: usize,
    /// Where it ends.
    pub(crate) end: usize,
    /// Whether the connection ends with it.
    pub(crate) closes: bool,
}

/// Why an answer cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The head of the answer that begins here; `None` while it is not whole.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let mut lines = bytes[..end].split(|&byte| byte == b'\n');
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix(b"HTTP/1.1 "))
        .and_then(|line| number(line.get(..3)?))
        .and_then(|status| u16::try_from(status).ok())
        .ok_or(Malformed)?;
    let (mut length, mut closes) = (None, false);
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            length = Some(number(value).ok_or(Malformed)?);
        } else if name.eq_ignore_ascii_case(b"connection") {
            closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    // The daemon always tells the length.
    let body = end + 4;
    Ok(Some(Head {
        status,
        body,
        end: body + length.ok_or(Malformed)?,
        closes,
    }))
}

fn number(digits: &[u8]) -> Option<usize> {
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, expected: Result<Option<(u16, usize, usize, bool)>, Malformed>) {
        let found = head(bytes.as_bytes())
            .map(|head| head.map(|head| (head.status, head.body, head.end, head.closes)));
        assert_eq!(found, expected, "{bytes:?}");
    }

    #[test]
    fn heads_tell_where_the_answer_ends() {
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            Ok(Some((200, 38, 40, false))),
        );
        check(
            "HTTP/1.1 503 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            Ok(Some((503, 55, 55, true))),
        );
        check("HTTP/1.1 200 OK\r\ncontent-le", Ok(None));
        check("", Ok(None));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        check("SSH-2.0\r\n\r\n", Err(Malformed));
        check("HTTP/1.1 200 OK\r\n\r\n", Err(Malformed));
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            Err(Malformed),
        );
    }
}
