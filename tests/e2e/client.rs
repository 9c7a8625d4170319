//! A small HTTP/1.1 client over a plain socket: what it sends and gets stays visible to the byte, so that half requests
//! can be sent and reason phrases looked at.

use std::fmt::Debug;
use std::io::ErrorKind::{ConnectionReset, UnexpectedEof};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer here takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent. `Host` and, with a body, `Content-Length` are added.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Request::new("POST", path).body(body)
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn content_type(self, value: &str) -> Self {
        self.header("Content-Type", value)
    }

    /// The body becomes a form of these fields: name, file name if it is a file, content.
    pub(crate) fn multipart(self, fields: &[(&str, Option<&str>, &[u8])]) -> Self {
        let mut body = Vec::new();
        for (name, file, content) in fields {
            body.extend(b"--frontier\r\n");
            body.extend(format!("Content-Disposition: form-data; name=\"{name}\"").bytes());
            if let Some(file) = file {
                let line = format!("; filename=\"{file}\"\r\nContent-Type: image/png");
                body.extend(line.bytes());
            }
            body.extend(b"\r\n\r\n");
            body.extend(*content);
            body.extend(b"\r\n");
        }
        body.extend(b"--frontier--\r\n");
        self.content_type("multipart/form-data; boundary=frontier")
            .body(body)
    }

    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: test\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// In their order, names as they were sent.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The one header of that name, whatever its case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(sent, _)| sent.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice: {self:?}");
        first
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body of a successful prediction.
    #[track_caller]
    pub(crate) fn prediction(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The `message` of a failure, which is one line.
    #[track_caller]
    pub(crate) fn message(&self) -> String {
        let body = self.json();
        assert_eq!(body["code"], self.status, "{body}");
        let message = body["message"].as_str().expect("a message");
        assert!(!message.contains('\n'), "{message}");
        message.to_owned()
    }
}

/// What a connection runs over: a TCP or Unix socket, or TLS on one.
pub(crate) trait Wire: Read + Write + Debug {}

impl<T: Read + Write + Debug> Wire for T {}

/// One connection, kept alive as long as the server does.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Box<dyn Wire>,
    /// Received, but not yet part of an answer.
    pending: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Connection::over(tcp(address))
    }

    pub(crate) fn over(stream: impl Wire + 'static) -> Self {
        Connection {
            stream: Box::new(stream),
            pending: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the daemon reads");
    }

    /// Sends what the daemon takes of it: it may hang up before the end.
    pub(crate) fn send_as_far_as_possible(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn request(&mut self, request: &Request) -> Answer {
        self.send(&request.bytes());
        self.answer()
    }

    /// The next answer; an interim one (1xx) counts.
    pub(crate) fn answer(&mut self) -> Answer {
        let end = self.until(b"\r\n\r\n");
        let head: Vec<u8> = self.pending.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("a head of text");
        let mut answer = parse_head(&head);
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = self.chunks();
        } else if answer.status >= 200 {
            let length = answer.header("content-length").expect("always sent");
            let length: usize = length.parse().expect("a number");
            while self.pending.len() < length {
                assert!(self.receive(), "the daemon hung up within a body: {head}");
            }
            answer.body = self.pending.drain(..length).collect();
        }
        answer
    }

    /// A body in chunks, put together.
    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let end = self.until(b"\r\n");
            let line: Vec<u8> = self.pending.drain(..end + 2).collect();
            let line = String::from_utf8_lossy(&line);
            let length = usize::from_str_radix(line.trim(), 16).expect("the length of a chunk");
            while self.pending.len() < length + 2 {
                assert!(self.receive(), "the daemon hung up within a chunk");
            }
            body.extend(self.pending.drain(..length));
            self.pending.drain(..2);
            if length == 0 {
                return body;
            }
        }
    }

    /// Receives until this is there, and returns where.
    fn until(&mut self, end: &[u8]) -> usize {
        loop {
            match find(&self.pending, end) {
                Some(at) => return at,
                None => assert!(self.receive(), "the daemon hung up: {:?}", self.pending),
            }
        }
    }

    /// Waits until the daemon closes the connection, having sent nothing more.
    pub(crate) fn expect_end(&mut self) {
        while self.receive() {}
        assert_eq!(String::from_utf8_lossy(&self.pending), "");
    }

    /// The status of the next answer, or `None` if the daemon closes the connection without one.
    pub(crate) fn answer_or_end(&mut self) -> Option<u16> {
        while self.pending.is_empty() {
            if !self.receive() {
                return None;
            }
        }
        Some(self.answer().status)
    }

    /// `false` at the end.
    pub(crate) fn receive(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.pending.extend(&buffer[..count]);
                true
            }
            // Closed while bytes of ours were unread; or TLS without a goodbye.
            Err(error) if matches!(error.kind(), ConnectionReset | UnexpectedEof) => false,
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

/// A socket on which nothing is waited for in vain for ever.
pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the daemon accepts");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a positive duration");
    stream.set_nodelay(true).expect("a connected socket");
    stream
}

fn parse_head(head: &str) -> Answer {
    let mut lines = head.split_terminator("\r\n");
    let status_line = lines.next().expect("a status line");
    let mut words = status_line.splitn(3, ' ');
    assert!(
        matches!(words.next(), Some("HTTP/1.1" | "HTTP/1.0")),
        "{status_line}"
    );
    let status = words.next().and_then(|code| code.parse().ok());
    let headers = lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.to_owned(), value.to_owned())
        })
        .collect();
    Answer {
        status: status.expect("a status code"),
        reason: words.next().expect("a reason phrase").to_owned(),
        headers,
        body: Vec::new(),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
