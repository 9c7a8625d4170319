//! Answers: an [`Output`] or a document of our own as an HTTP response.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::ext::ReasonPhrase;
use servable::{Output, Value};
use tracing::warn;

use crate::error::Failure;
use crate::operations::Done;

/// A JSON document of the server itself: indented by two, with a newline at its end.
pub fn json_response(status: StatusCode, document: &serde_json::Value) -> Response {
    let mut text = serde_json::to_vec_pretty(document).expect("a JSON value is serialisable");
    text.push(b'\n');
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// The short form `{"status": "…"}`.
pub fn status_response(status: StatusCode, text: &str) -> Response {
    json_response(status, &serde_json::json!({ "status": text }))
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        json_response(self.status, &self.document)
    }
}

/// What a handler answered. As TorchServe does: an empty reason phrase unless the handler chose one, and a content type
/// only if the handler set one (`json_content_type` adds `application/json` to what became JSON). A body of more than `most`
/// bytes is a failure of the model.
pub fn output_response(
    output: Output,
    json_content_type: bool,
    most: usize,
) -> Result<Response, Failure> {
    let Output {
        value,
        content_type,
        status,
        headers,
    } = output;
    let is_json = !matches!(value, Value::Bytes(_) | Value::Image(_) | Value::Text(_));
    let (code, phrase) = status.unwrap_or((200, String::new()));
    let body = value.into_body();
    if body.len() > most {
        let bytes = body.len();
        return Err(Failure::internal(format!(
            "Worker died. (the answer holds {bytes} bytes, more than max_response_size, which is {most})"
        )));
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_else(|_| {
        warn!("the handler chose status {code}, which HTTP does not have");
        StatusCode::INTERNAL_SERVER_ERROR
    });
    if let Ok(phrase) = ReasonPhrase::try_from(phrase) {
        response.extensions_mut().insert(phrase);
    }
    let content_type =
        content_type.or_else(|| (is_json && json_content_type).then(|| "application/json".into()));
    let content_type = content_type.map(|value| ("content-type".to_owned(), value));
    for (name, value) in headers.into_iter().chain(content_type) {
        match (HeaderName::try_from(&name), HeaderValue::try_from(&value)) {
            (Ok(name), Ok(value)) => {
                response.headers_mut().insert(name, value);
            }
            _ => warn!("the handler set a header that HTTP does not allow: {name:?}"),
        }
    }
    Ok(response)
}
