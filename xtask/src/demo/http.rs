//! One POST over HTTP/1.1, so that the demo needs neither curl nor a client library.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

#[derive(Debug, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Posts to this machine and reads the whole reply; the connection ends with it.
pub fn post(port: u16, path: &str, body: &[u8]) -> Result<Reply> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Reply> {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("the reply has no head")?;
    let head = str::from_utf8(&bytes[..end]).context("the reply's head is no text")?;
    let body = &bytes[end + 4..];
    let mut lines = head.split("\r\n");

    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status = status.context("the reply has no status")?;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("the reply comes in chunks, which this small client cannot read");
        }
        if name.eq_ignore_ascii_case("content-length") {
            let told = value.trim();
            ensure!(
                told == body.len().to_string(),
                "the reply has {} bytes of {told}",
                body.len()
            );
        }
    }
    Ok(Reply {
        status,
        body: body.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn check(bytes: &str, expected: Result<(u16, &str), &str>) {
        let reply = parse(bytes.as_bytes()).map_err(|error| error.to_string());
        let expected = expected.map(|(status, body)| Reply {
            status,
            body: body.into(),
        });
        assert_eq!(reply, expected.map_err(str::to_owned), "{bytes:?}");
    }

    #[test]
    fn replies_are_read_whole_or_refused() {
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            Ok((200, "hi")),
        );
        check("HTTP/1.1 503 \r\n\r\nlater", Ok((503, "later")));
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
            Err("the reply has 2 bytes of 3"),
        );
        check("", Err("the reply has no head"));
        check("SSH-2.0\r\n\r\n", Err("the reply has no status"));
    }

    #[test]
    fn a_picture_is_posted_with_its_length() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the client below");
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\nabc") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a whole request");
                seen.push(byte[0]);
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .expect("the client reads");
            String::from_utf8(seen).expect("ASCII")
        });
        let reply = post(port, "/predictions/x", b"abc").expect("an answer");
        assert_eq!(
            reply,
            Reply {
                status: 200,
                body: b"ok".to_vec()
            }
        );
        let seen = server.join().expect("no panic");
        assert!(
            seen.starts_with("POST /predictions/x HTTP/1.1\r\n"),
            "{seen}"
        );
        assert!(seen.contains("\r\nContent-Length: 3\r\n"), "{seen}");
    }
}
