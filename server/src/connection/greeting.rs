//! How a connection to an https listener begins: with a TLS handshake, or with plain HTTP, which is told off.
//!
//! Called by the task of a connection, under `header_timeout`; the accept loop never waits for it.

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::http::answer::status_response;

/// What every TLS connection begins with: the type of a record that belongs to a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

pub(super) enum Greeting {
    Tls(Box<TlsStream<TcpStream>>),
    /// Something else; nothing of it has been read yet.
    Plain(TcpStream),
}

/// Shakes hands. Ends only when the client has done its part, or broken it off: the caller bounds the time.
pub(super) async fn greet(stream: TcpStream, tls: &TlsAcceptor) -> std::io::Result<Greeting> {
    let mut first = [0];
    if stream.peek(&mut first).await? > 0 && first != [HANDSHAKE] {
        return Ok(Greeting::Plain(stream));
    }
    let stream = tls.accept(stream).await?;
    Ok(Greeting::Tls(Box::new(stream)))
}

/// What plain requests to an https listener get, in the words of TorchServe.
pub(super) fn https_only() -> Router {
    Router::new().fallback(async || {
        let text = "This TorchServe instance only accepts HTTPS requests";
        let mut response = status_response(StatusCode::FORBIDDEN, text);
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    })
}
