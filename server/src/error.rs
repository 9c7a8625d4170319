//! The one table from failure to status, and the body that carries it.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use serving::Code;
use serving::workflow::NodeFailure;

use crate::http::answer::json_response;

/// A failure as a client sees it over HTTP: TorchServe's status, exception name and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub status: StatusCode,
    /// The `type` member: the name of TorchServe's exception.
    pub kind: &'static str,
    pub message: String,
    /// Further members of the body: which node of which workflow it was.
    pub details: Vec<(&'static str, Value)>,
    /// After how long it is worth trying again, for the header `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// The only place where a code becomes a status. No wildcard arm, so a new code must choose.
fn status(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::BadInput => (StatusCode::BAD_REQUEST, "BadRequestException"),
        Code::ModelNotFound => (StatusCode::NOT_FOUND, "ModelNotFoundException"),
        Code::VersionNotFound => (StatusCode::NOT_FOUND, "ModelVersionNotFoundException"),
        Code::Forbidden => (StatusCode::FORBIDDEN, "InvalidModelVersionException"),
        Code::Conflict => (StatusCode::CONFLICT, "ConflictStatusException"),
        Code::Unsupported => (StatusCode::NOT_IMPLEMENTED, "NotImplementedException"),
        Code::Overloaded | Code::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailableException",
        ),
        Code::Timeout => (StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException"),
        Code::PredictionFailed => (StatusCode::SERVICE_UNAVAILABLE, "InternalServerException"),
        Code::WorkerDied | Code::Internal => {
            (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException")
        }
        Code::OutOfMemory => (StatusCode::INSUFFICIENT_STORAGE, "InternalServerException"),
        Code::Chosen(status) => {
            // What is no status of a failure would tell the client that all is well, or nothing at all.
            let known = u16::try_from(status).ok();
            let known = known.filter(|status| (400..600).contains(status));
            let status = known.and_then(|status| StatusCode::from_u16(status).ok());
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, "InternalServerException")
        }
        Code::InvalidModel => (StatusCode::BAD_REQUEST, "InvalidModelException"),
        Code::WorkflowNotFound => (StatusCode::NOT_FOUND, "WorkflowNotFoundException"),
        Code::InvalidWorkflow => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "InvalidWorkflowException",
        ),
        Code::InvalidGraph => (StatusCode::BAD_REQUEST, "InvalidDAGException"),
        Code::WorkflowFailed => (StatusCode::INTERNAL_SERVER_ERROR, "WorkflowException"),
        Code::DownloadFailed => (StatusCode::BAD_REQUEST, "DownloadArchiveException"),
    }
}

impl Failure {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Failure {
            status,
            kind,
            message: message.into(),
            details: Vec::new(),
            retry_after: None,
        }
    }

    pub fn retry_after(self, after: Duration) -> Self {
        Failure {
            retry_after: Some(after),
            ..self
        }
    }

    pub fn no_such_route() -> Self {
        let message = "Requested resource is not found, please refer to API document.";
        Failure::new(StatusCode::NOT_FOUND, "ResourceNotFoundException", message)
    }

    pub fn method_not_allowed() -> Self {
        let message = "Requested method is not allowed, please refer to API document.";
        Failure::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowedException",
            message,
        )
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
    }

    /// A key that is missing, wrong or out of date. TorchServe answers 400, not 401.
    pub fn invalid_key(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "InvalidKeyException", message)
    }

    pub fn too_slow(message: impl Into<String>) -> Self {
        Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            "RequestTimeoutException",
            message,
        )
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailableException",
            message,
        )
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerException",
            message,
        )
    }

    /// A body over the limit. TorchServe answers it with no body at all.
    pub fn too_large() -> Self {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "", "")
    }

    /// What its body says.
    pub fn document(&self) -> Value {
        let mut body = json!({
            "code": self.status.as_u16(),
            "type": self.kind,
            "message": self.message,
        });
        for (name, value) in &self.details {
            body[*name] = value.clone();
        }
        body
    }

    /// The same failure with a body, where TorchServe has none.
    pub fn with_words(self) -> Self {
        if self.status != StatusCode::PAYLOAD_TOO_LARGE {
            return self;
        }
        Failure {
            kind: "RequestEntityTooLargeException",
            message: "The request is larger than the server takes (max_request_size).".into(),
            ..self
        }
    }
}

impl From<serving::Error> for Failure {
    fn from(error: serving::Error) -> Self {
        let (status, kind) = status(error.code());
        let details = if let serving::Error::Node(failure) = &error {
            details(failure)
        } else {
            Vec::new()
        };
        Failure {
            details,
            retry_after: error.retry_after(),
            ..Failure::new(status, kind, error.to_string())
        }
    }
}

/// Where in a workflow it was.
fn details(failure: &NodeFailure) -> Vec<(&'static str, Value)> {
    let mut details = vec![
        ("workflow", json!(failure.workflow)),
        ("node", json!(failure.node)),
    ];
    if let Some((model, version)) = &failure.model {
        details.extend([("model", json!(model)), ("version", json!(version))]);
    }
    if failure.attempt > 0 {
        details.push(("attempt", json!(failure.attempt)));
    }
    if !failure.item.is_empty() {
        details.push(("item", json!(failure.item)));
    }
    details
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if self.status == StatusCode::PAYLOAD_TOO_LARGE && self.message.is_empty() {
            let mut response = self.status.into_response();
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            return response;
        }
        let mut response = json_response(self.status, &self.document());
        if let Some(after) = self.retry_after {
            let seconds = HeaderValue::from(after.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn check(failure: Failure, status: u16, body: &str) {
        let response = failure.into_response();
        assert_eq!(response.status().as_u16(), status);
        let bytes = response
            .into_body()
            .collect()
            .await
            .expect("in memory")
            .to_bytes();
        assert_eq!(String::from_utf8_lossy(&bytes), body);
    }

    #[tokio::test]
    async fn failures_have_torchserves_bodies() {
        check(
            serving::Error::ModelNotFound("x".into()).into(),
            404,
            "{\n  \"code\": 404,\n  \"type\": \"ModelNotFoundException\",\n  \"message\": \"Model not found: x\"\n}\n",
        )
        .await;
        check(
            Failure::method_not_allowed(),
            405,
            "{\n  \"code\": 405,\n  \"type\": \"MethodNotAllowedException\",\n  \"message\": \"Requested method is not \
             allowed, please refer to API document.\"\n}\n",
        )
        .await;
        check(Failure::too_large(), 413, "").await;
    }

    #[test]
    fn a_status_that_a_handler_chose_is_kept_if_it_is_one_of_a_failure() {
        let check = |chosen: i32, expected: u16| {
            let error = serving::Error::Job(servable::JobError {
                reason: servable::Reason::Chosen(chosen),
                message: "no tea".into(),
            });
            let failure = Failure::from(error);
            let found = (failure.status.as_u16(), failure.kind, &failure.message[..]);
            assert_eq!(found, (expected, "InternalServerException", "no tea"));
        };
        for (chosen, expected) in [(418, 418), (503, 503), (200, 500), (99_999, 500), (-1, 500)] {
            check(chosen, expected);
        }
    }
}
