//! The parameters of a management call: the query's, or those of a JSON object that then replaces it.

use std::collections::HashMap;

use axum::extract::Request;
use axum::http::header;

use crate::app::BodyLimits;
use crate::error::Failure;
use crate::http::body;
use crate::operations::Parameters;

/// The query's, or the body's if that is JSON.
pub(super) async fn read(
    query: HashMap<String, String>,
    request: Request,
    limits: &BodyLimits,
) -> Result<Parameters, Failure> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_json =
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !is_json {
        return Ok(Parameters::from_query(query));
    }
    let (head, body) = request.into_parts();
    let text = body::read(&head.headers, body, limits, &mut limits.memory.claim()).await?;
    Parameters::from_json(&text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use axum::body::Body;

    fn limits() -> BodyLimits {
        BodyLimits {
            size: 1000,
            stall: Duration::from_secs(1),
            memory: crate::memory::Memory::new(1 << 20),
            copied: servable::Copied::default(),
        }
    }

    async fn read(content_type: &str, body: &str) -> Result<Parameters, Failure> {
        let request = Request::post("/models")
            .header("content-type", content_type)
            .body(Body::from(body.to_owned()));
        let query = HashMap::from([("url".to_owned(), "query.mar".to_owned())]);
        super::read(query, request.expect("a request"), &limits()).await
    }

    #[tokio::test]
    async fn a_json_body_replaces_the_query() {
        let query = read("text/plain", "{}").await.expect("no JSON");
        assert_eq!(query.text("url"), Some("query.mar"));
        let body = r#"{"url": "body.mar", "batch_size": 4, "synchronous": true, "handler": null}"#;
        let body = read("application/json", body).await.expect("JSON");
        assert_eq!(
            (body.text("url"), body.number("batch_size")),
            (Some("body.mar"), Some(4))
        );
        assert_eq!(
            (body.flag("synchronous"), body.text("handler")),
            (Some(true), None)
        );
        let failure = read("application/json", "{").await.expect_err("no JSON");
        assert_eq!(
            (failure.status.as_u16(), failure.kind),
            (500, "JsonSyntaxException")
        );
    }
}
