//! A web server that archives are brought from, over HTTP or HTTPS. S3 asks it in the same way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A web server that has `double.mar`, `broken.mar`, which is no archive, and `endless.mar`, of which only the head comes.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    pub(crate) fn start(archive: Vec<u8>) -> Self {
        Web::over(archive, None)
    }

    /// Behind TLS, if it has a certificate.
    pub(crate) fn over(archive: Vec<u8>, tls: Option<ServerConfig>) -> Self {
        let tls = tls.map(Arc::new);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        // Ends with the process of the tests.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The daemon may hang up.
                let _ = match &tls {
                    None => answer(stream, &archive, &heard),
                    Some(tls) => match ServerConnection::new(Arc::clone(tls)) {
                        Ok(session) => answer(StreamOwned::new(session, stream), &archive, &heard),
                        Err(error) => panic!("{error}"),
                    },
                };
            }
        });
        Web { address, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }
}

fn answer(
    mut stream: impl Read + Write,
    archive: &[u8],
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(&mut stream);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let name = path
        .split('?')
        .next()
        .unwrap_or_default()
        .rsplit('/')
        .next();
    let (status, body): (&str, &[u8]) = match name {
        Some("double.mar") => ("200 OK", archive),
        Some("broken.mar") => ("200 OK", b"no archive"),
        Some("endless.mar") => ("200 OK\r\nETag: \"one\"", b""),
        Some("elsewhere.mar") => ("302 Found\r\nLocation: http://example.org/m.mar", b""),
        _ => ("404 Not Found", b""),
    };
    let endless = name == Some("endless.mar");
    asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head);
    let length = if endless { 1_000_000 } else { body.len() };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()?;
    if endless {
        // Until the daemon hangs up.
        stream.read_exact(&mut [0])?;
    }
    Ok(())
}
