//! One server spoken to over HTTP/1.1: TCP, TLS or a Unix socket, a connection kept from one request to the next.
//!
//! It adds the key, tries once more where a kept connection turns out to be closed or a key to be replaced, and bounds
//! every wait. What an answer means is for the commands.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::endpoint::{Api, Endpoint};
use crate::error::Error;
use crate::places::Place;
use crate::token::{Keys, Token};

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    /// With its query.
    path: String,
    content_type: Option<String>,
    body: Bytes,
    /// The key that it needs, by its name in the key file.
    key: Option<&'static str>,
}

impl Call {
    /// A call of that API: with its key, but for metrics, which need none.
    pub(crate) fn new(api: Api, method: Method, path: impl Into<String>) -> Self {
        Call {
            method,
            path: path.into(),
            content_type: None,
            body: Bytes::new(),
            key: match api {
                Api::Inference | Api::Management => Some(api.name()),
                Api::Metrics => None,
            },
        }
    }

    /// With the key of that name instead, or with none.
    pub(crate) fn key(self, key: Option<&'static str>) -> Self {
        Call { key, ..self }
    }

    pub(crate) fn body(self, content_type: Option<String>, body: Bytes) -> Self {
        Call {
            content_type,
            body,
            ..self
        }
    }
}

/// Segments of a path, each encoded.
pub(crate) fn path(segments: &[&str]) -> String {
    let encode = |segment: &&str| {
        let encoded: String = form_urlencoded::byte_serialize(segment.as_bytes()).collect();
        format!("/{}", encoded.replace('+', "%20"))
    };
    segments.iter().map(encode).collect()
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether more would have come than the server may say.
    pub(crate) cut: bool,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The members `type` and `message` of a failure.
    pub(crate) fn failure(&self) -> (String, String) {
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |name: &str| document[name].as_str().map(str::to_owned);
        let message = text("message").or_else(|| text("status"));
        let otherwise = || match std::str::from_utf8(&self.body).map(str::trim) {
            Ok(body) if !body.is_empty() => {
                let line = body.lines().next().unwrap_or_default();
                format!("{}: {line}", self.status)
            }
            _ if self.status == StatusCode::PAYLOAD_TOO_LARGE => {
                "the body is larger than the server's max_request_size".to_owned()
            }
            _ => format!("the server answered {} and nothing more", self.status),
        };
        (
            text("type").unwrap_or_default(),
            message.unwrap_or_else(otherwise),
        )
    }

    fn is_turned_down(&self) -> bool {
        self.status == StatusCode::BAD_REQUEST && self.failure().0 == "InvalidKeyException"
    }
}

/// One API of a server.
pub(crate) struct Server {
    pub(crate) place: Place,
    keys: Keys,
    tls: Option<Arc<ClientConfig>>,
    patience: Duration,
    /// Bytes of a body that are read.
    most: usize,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// The key that was sent last.
    token: Option<Token>,
}

impl Server {
    /// `tls` is needed for https alone; `patience` is how long one call may take.
    pub(crate) fn new(
        place: Place,
        keys: Keys,
        tls: Option<Arc<ClientConfig>>,
        patience: Duration,
    ) -> Self {
        Server {
            place,
            keys,
            tls,
            patience,
            most: usize::MAX,
            connection: None,
            token: None,
        }
    }

    /// It reads no more than so many bytes of an answer's body.
    pub(crate) fn at_most(self, most: usize) -> Self {
        Server { most, ..self }
    }

    pub(crate) fn address(&self) -> String {
        self.place.endpoint.to_string()
    }

    /// Whatever the server answers.
    ///
    /// # Errors
    /// No answer in time, or a key file that cannot be read.
    pub(crate) async fn send(&mut self, call: &Call) -> Result<Answer, Error> {
        let patience = self.patience;
        timeout(patience, self.send_with_key(call))
            .await
            .unwrap_or_else(|_| {
                self.connection = None;
                let seconds = patience.as_secs();
                Err(self.unreachable(format!("no answer within {seconds} s (--timeout)")))
            })
    }

    /// The answer to a call that succeeds.
    ///
    /// # Errors
    /// As [`Server::send`], and the server's own words where it refuses or fails.
    pub(crate) async fn ask(&mut self, call: &Call) -> Result<Answer, Error> {
        let answer = self.send(call).await?;
        if answer.is_success() {
            return Ok(answer);
        }
        Err(Error::Refused {
            message: self.refusal(call, &answer),
            document: answer.body,
        })
    }

    /// What a failed answer says, and what to do about it.
    pub(crate) fn refusal(&self, call: &Call, answer: &Answer) -> String {
        let (kind, message) = answer.failure();
        let advice = match kind.as_str() {
            "InvalidKeyException" if call.key == Some("API") => Some(
                "renewing takes the API key of the server's key file, and a server that asks for keys".to_owned(),
            ),
            "InvalidKeyException" => {
                let advice = self.keys.advice(self.token.as_ref(), self.place.api, SystemTime::now());
                Some(advice)
            }
            "ResourceNotFoundException" => Some(format!(
                "is {} the {1} address? --{1} names it",
                self.address(),
                self.place.api.name()
            )),
            "MethodNotAllowedException" if [Method::POST, Method::DELETE].contains(&call.method) => Some(
                "does the server have enable_model_api=true? Without it, models cannot be registered and unregistered \
                 over the network"
                    .to_owned(),
            ),
            _ => None,
        };
        match advice {
            Some(advice) => format!("{message}\n{advice}"),
            None => message,
        }
    }

    async fn send_with_key(&mut self, call: &Call) -> Result<Answer, Error> {
        let current = |keys: &Keys| call.key.map_or(Ok(None), |member| keys.token(member));
        if call.key.is_some() {
            self.token = current(&self.keys)?;
        }
        let answer = self.send_once_more(call).await?;
        if answer.is_turned_down() {
            // A server that started meanwhile has written new keys.
            let token = current(&self.keys)?;
            if token != self.token {
                self.token = token;
                return self.send_once_more(call).await;
            }
        }
        Ok(answer)
    }

    /// A kept connection may have been closed by the server just now; then a new one is opened, unless the call might
    /// have been carried out already.
    async fn send_once_more(&mut self, call: &Call) -> Result<Answer, Error> {
        if let Some(mut kept) = self.connection.take()
            && kept.ready().await.is_ok()
        {
            match self.exchange(&mut kept, call).await {
                Ok(answer) => {
                    self.connection = (!answer.cut).then_some(kept);
                    return Ok(answer);
                }
                Err(error) if error.is_canceled() || call.method == Method::GET => {}
                Err(error) => return Err(self.unreachable(cause(&error))),
            }
        }
        let mut fresh = self.connect().await?;
        let outcome = self.exchange(&mut fresh, call).await;
        let answer = outcome.map_err(|error| self.unreachable(cause(&error)))?;
        self.connection = (!answer.cut).then_some(fresh);
        Ok(answer)
    }

    async fn exchange(
        &self,
        connection: &mut SendRequest<Full<Bytes>>,
        call: &Call,
    ) -> Result<Answer, hyper::Error> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        // Paths are made of encoded segments and encoded queries.
        *request.uri_mut() = call.path.parse().unwrap_or_default();
        let mut put = |name, value: &str| {
            if let Ok(value) = value.parse() {
                request.headers_mut().insert(name, value);
            }
        };
        put(HOST, &self.place.endpoint.authority());
        if let Some(content_type) = &call.content_type {
            put(CONTENT_TYPE, content_type);
        }
        if let (Some(_), Some(token)) = (call.key, &self.token) {
            put(AUTHORIZATION, &format!("Bearer {}", token.key.reveal()));
        }
        let (head, mut rest) = connection.send_request(request).await?.into_parts();
        let mut body = BytesMut::new();
        let mut cut = false;
        while let Some(frame) = rest.frame().await.transpose()? {
            let Ok(data) = frame.into_data() else {
                continue;
            };
            cut = data.len() > self.most - body.len();
            if cut {
                break;
            }
            body.extend_from_slice(&data);
        }
        let content_type = head.headers.get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        Ok(Answer {
            status: head.status,
            content_type: content_type.map(str::to_owned),
            headers: head.headers,
            body: body.freeze(),
            cut,
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Error> {
        let because = |error: io::Error| self.unreachable(plain(&error));
        let (host, port) = match &self.place.endpoint {
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(because)?;
                return self.shake_hands(stream).await;
            }
            Endpoint::Tcp { port, .. } => (self.place.endpoint.host(), *port),
        };
        let stream = TcpStream::connect((host.as_str(), port))
            .await
            .map_err(because)?;
        // A request is one write, and its answer is waited for.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.shake_hands(stream).await;
        };
        let name = ServerName::try_from(host)
            .map_err(|_| self.unreachable("its host cannot stand in a certificate".to_owned()))?;
        let stream = TlsConnector::from(Arc::clone(tls))
            .connect(name, stream)
            .await
            .map_err(|error| self.unreachable(tls_cause(&error)))?;
        self.shake_hands(stream).await
    }

    async fn shake_hands<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shaken = handshake(TokioIo::new(stream)).await;
        let (connection, driver) = shaken.map_err(|error| self.unreachable(cause(&error)))?;
        // Ends with the connection, whose errors its requests tell.
        tokio::spawn(driver);
        Ok(connection)
    }

    fn unreachable(&self, why: String) -> Error {
        let name = self.place.api.name();
        Error::Unreachable {
            address: format!("{} ({name})", self.address()),
            why,
        }
    }
}

/// Without the number that the system gives it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}

fn cause(error: &hyper::Error) -> String {
    if error.is_parse() {
        return "what answers there does not speak HTTP; is it https?".to_owned();
    }
    if error.is_incomplete_message() {
        return "the server hung up without an answer; does it speak https there?".to_owned();
    }
    let cause = error.source().map(ToString::to_string);
    match cause {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn tls_cause(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => format!(
            "its certificate is not trusted ({why}); --ca FILE trusts the one in a file, --insecure any"
        ),
        Some(rustls::Error::InvalidMessage(_)) => {
            "what answers there does not speak TLS; is it http?".to_owned()
        }
        Some(error) => error.to_string(),
        None => plain(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded() {
        let check = |segments: &[&str], expected: &str| assert_eq!(path(segments), expected);
        check(&["models", "resnet-18", "1.0"], "/models/resnet-18/1.0");
        check(
            &["models", "a b/c?d%+ä"],
            "/models/a%20b%2Fc%3Fd%25%2B%C3%A4",
        );
    }

    #[test]
    fn failures_are_told_in_the_servers_words() {
        let check = |status: u16, body: &'static str, kind: &str, message: &str| {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                content_type: None,
                headers: HeaderMap::new(),
                body: Bytes::from_static(body.as_bytes()),
                cut: false,
            };
            assert_eq!(
                answer.failure(),
                (kind.to_owned(), message.to_owned()),
                "{body}"
            );
        };
        check(
            404,
            r#"{"code": 404, "type": "T", "message": "Model not found: x"}"#,
            "T",
            "Model not found: x",
        );
        check(500, r#"{"status": "Unhealthy"}"#, "", "Unhealthy");
        check(502, "<html>\n<b>", "", "502 Bad Gateway: <html>");
        check(
            413,
            "",
            "",
            "the body is larger than the server's max_request_size",
        );
        check(
            500,
            "",
            "",
            "the server answered 500 Internal Server Error and nothing more",
        );
    }
}
