//! One plain connection: a question, its answer, the next. For first answers and for the soak; load is `load.rs`.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::http;

/// The longest that an answer may take; whatever takes longer counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
}

/// A client that keeps its connection while the server does.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Client {
            address,
            stream: None,
        }
    }

    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Result<Reply> {
        self.send("POST", path, body)
    }

    /// Sends a request and reads its answer. The connection is opened if there is none.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Reply> {
        self.exchange(&http::request(method, self.address, path, body))
    }

    /// Sends a request that is written already and reads its answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Reply> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        stream
            .write_all(request)
            .context("the connection broke before the request was sent")?;
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(head) = http::head(&bytes)
                .ok()
                .context("an answer that is no HTTP")?
                && head.end <= bytes.len()
            {
                if !head.closes {
                    self.stream = Some(stream);
                }
                return Ok(Reply {
                    status: head.status,
                    body: bytes[head.body..head.end].to_vec(),
                });
            }
            match stream.read(&mut buffer) {
                Ok(0) => bail!("the connection ended in place of an answer"),
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("no answer"),
            }
        }
    }

    /// Sends the first `share` (0 to 1) of a request and goes away.
    pub(crate) fn leave(&mut self, path: &str, body: &[u8], share: f64) -> Result<()> {
        let request = http::request("POST", self.address, path, body);
        let length = (request.len() as f64 * share.clamp(0.0, 1.0)) as usize;
        self.connect()?
            .write_all(&request[..length])
            .context("sending half a request")
    }

    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)
            .with_context(|| format!("no connection to {}", self.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}
