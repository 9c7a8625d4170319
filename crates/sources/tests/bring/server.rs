//! An HTTP server that answers each connection by the next act of a script, and remembers what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is done with one request. The last act of a script is repeated.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// This text as it is, and the end of the connection.
    Say(String),
    /// The file, or the range of it that was asked for if the server takes ranges.
    Serve(File),
    /// A head with these lines, then so many bytes of the file, then the end of the connection.
    Cut { file: File, after: usize },
    /// A head with these lines, then so many bytes of the file, then nothing.
    Stall { file: File, after: usize },
}

#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    /// The lines of the head that name the content; empty if it has no name, and then there are no ranges.
    pub(crate) name: &'static str,
    /// Whether the head tells the length.
    pub(crate) length: bool,
}

impl File {
    pub(crate) fn new(content: Vec<u8>) -> Self {
        File {
            content,
            name: "ETag: \"one\"\r\n",
            length: true,
        }
    }

    pub(crate) fn named(self, name: &'static str) -> Self {
        File { name, ..self }
    }

    pub(crate) fn of_unknown_length(self) -> Self {
        File {
            length: false,
            ..self
        }
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<VecDeque<Act>>> = Arc::new(Mutex::new(acts.into_iter().collect()));
        let heard = Arc::clone(&asked);
        // Ends with the runtime of the test.
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&script), Arc::clone(&heard)));
            }
        });
        Server { address, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The heads of the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The values of a header, one per request; empty where a request has none.
    pub(crate) fn asked_for(&self, header: &str) -> Vec<String> {
        let value = |head: &String| find(head, header).unwrap_or_default().to_owned();
        self.asked().iter().map(value).collect()
    }
}

/// The value of a header.
pub(crate) fn find<'a>(head: &'a str, header: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case(header).then_some(value)
    })
}

async fn answer(
    mut stream: TcpStream,
    script: Arc<Mutex<VecDeque<Act>>>,
    asked: Arc<Mutex<Vec<String>>>,
) {
    let Some(head) = read_head(&mut stream).await else {
        return;
    };
    asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head.clone());
    let act = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        let next = script.front().cloned().expect("an act");
        if script.len() > 1 {
            script.pop_front();
        }
        next
    };
    // The client may hang up whenever it likes.
    let _ = match act {
        Act::Say(text) => stream.write_all(text.as_bytes()).await,
        Act::Serve(file) => serve(&mut stream, &head, &file, usize::MAX).await,
        Act::Cut { file, after } => serve(&mut stream, &head, &file, after).await,
        Act::Stall { file, after } => {
            let _ = serve(&mut stream, &head, &file, after).await;
            std::future::pending().await
        }
    };
    let _ = stream.shutdown().await;
}

async fn serve(
    stream: &mut TcpStream,
    head: &str,
    file: &File,
    most: usize,
) -> std::io::Result<()> {
    let total = file.content.len();
    let name = find(file.name, "ETag").or_else(|| find(file.name, "Last-Modified"));
    let from = find(head, "Range")
        .filter(|_| find(head, "If-Range") == name && name.is_some())
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse::<usize>()
                .ok()
        });
    let mut answer = match from {
        Some(from) if from >= total => {
            let text = format!("HTTP/1.1 416 Nothing there\r\nContent-Range: bytes */{total}\r\n");
            stream.write_all(text.as_bytes()).await?;
            return stream.write_all(b"Content-Length: 0\r\n\r\n").await;
        }
        Some(from) => format!(
            "HTTP/1.1 206 Part\r\nContent-Range: bytes {from}-{}/{total}\r\n",
            total - 1
        ),
        None => "HTTP/1.1 200 Here\r\n".to_owned(),
    };
    let body = &file.content[from.unwrap_or(0)..];
    answer.push_str(file.name);
    if file.length {
        answer.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    answer.push_str("Connection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    stream.write_all(&body[..most.min(body.len())]).await?;
    stream.flush().await
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// An answer without a body.
pub(crate) fn status(line: &str, headers: &str) -> Act {
    Act::Say(format!(
        "HTTP/1.1 {line}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
    ))
}

pub(crate) fn redirect(to: &str) -> Act {
    status("302 Elsewhere", &format!("Location: {to}\r\n"))
}
