//! Parameters of a management call: from the query string, or from a JSON object that then replaces it.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::extract::Request;
use axum::http::header;
use serde_json::Value;

use crate::app::BodyLimits;
use crate::error::Failure;
use crate::http::body;
use crate::operations::Page;

/// Names to texts. As in TorchServe, a number that is none counts as absent, and a flag is true only if it says `true`.
#[derive(Debug)]
pub(in crate::http) struct Parameters(HashMap<String, String>);

impl Parameters {
    pub(in crate::http) fn from_query(query: HashMap<String, String>) -> Self {
        Parameters(query)
    }

    /// The query's, or the body's if that is JSON.
    pub(in crate::http) async fn read(
        query: HashMap<String, String>,
        request: Request,
        limits: &BodyLimits,
    ) -> Result<Self, Failure> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_json =
            content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
        if !is_json {
            return Ok(Parameters(query));
        }
        let (head, body) = request.into_parts();
        let text = body::read(&head.headers, body, limits, &mut limits.memory.claim()).await?;
        Parameters::from_json(&text)
    }

    /// The members of a JSON object that are texts, numbers or flags.
    pub(in crate::http) fn from_json(text: &[u8]) -> Result<Self, Failure> {
        let members: serde_json::Map<String, Value> =
            serde_json::from_slice(text).map_err(|error| Failure {
                kind: "JsonSyntaxException",
                ..Failure::internal(error.to_string())
            })?;
        let text_of = |value: Value| match value {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let members = members
            .into_iter()
            .filter_map(|(name, value)| Some((name, text_of(value)?)));
        Ok(Parameters(members.collect()))
    }

    pub(in crate::http) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(in crate::http) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    pub(in crate::http) fn count(&self, name: &str) -> Option<NonZeroUsize> {
        NonZeroUsize::new(usize::try_from(self.number(name)?).ok()?)
    }

    pub(in crate::http) fn flag(&self, name: &str) -> Option<bool> {
        Some(self.text(name)?.eq_ignore_ascii_case("true"))
    }

    /// The part of a list that `limit` and `next_page_token` ask for.
    pub(in crate::http) fn page(&self) -> Page {
        Page::asked(self.number("limit"), self.number("next_page_token"))
    }

    pub(in crate::http) fn millis(&self, name: &str) -> Option<Duration> {
        Some(Duration::from_millis(
            u64::try_from(self.number(name)?).ok()?,
        ))
    }

    pub(in crate::http) fn seconds(&self, name: &str) -> Option<Duration> {
        Some(Duration::from_secs(u64::try_from(self.number(name)?).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn limits() -> BodyLimits {
        BodyLimits {
            size: 1000,
            stall: Duration::from_secs(1),
            memory: crate::memory::Memory::new(1 << 20),
        }
    }

    async fn read(content_type: &str, body: &str) -> Result<Parameters, Failure> {
        let request = Request::post("/models")
            .header("content-type", content_type)
            .body(Body::from(body.to_owned()));
        let query = HashMap::from([("url".to_owned(), "query.mar".to_owned())]);
        Parameters::read(query, request.expect("a request"), &limits()).await
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

    #[test]
    fn what_does_not_parse_counts_as_absent() {
        let query = [
            ("a", "x"),
            ("b", "-1"),
            ("c", "0"),
            ("d", "TRUE"),
            ("e", "yes"),
        ];
        let owned = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let parameters = Parameters::from_query(HashMap::from(owned));
        assert_eq!(parameters.number("a"), None);
        assert_eq!(
            (parameters.number("b"), parameters.seconds("b")),
            (Some(-1), None)
        );
        assert_eq!(
            (parameters.count("c"), parameters.seconds("c")),
            (None, Some(Duration::ZERO))
        );
        assert_eq!(
            (
                parameters.flag("d"),
                parameters.flag("e"),
                parameters.flag("f")
            ),
            (Some(true), Some(false), None)
        );
    }
}
