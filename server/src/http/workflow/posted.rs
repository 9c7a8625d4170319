//! What a registration posts: parameters as for models, or the spec itself as the body.

use std::collections::HashMap;

use axum::extract::Request;
use axum::http::header;
use serving::workflow::WorkflowRegistration;

use super::Parameters;
use crate::app::BodyLimits;
use crate::error::Failure;
use crate::http::body;
use crate::operations::workflows;

/// Reads what is to be registered.
///
/// A body of JSON holds the parameters. Any other body is the spec if its content type says YAML, or if no `url` says where
/// the workflow is; then the parameters are the query's. `spec` may stand among the parameters too.
pub(super) async fn read(
    query: HashMap<String, String>,
    request: Request,
    limits: &BodyLimits,
) -> Result<WorkflowRegistration, Failure> {
    let (head, body) = request.into_parts();
    let content_type = head.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let mime = content_type.unwrap_or_default().split(';').next();
    let mime = mime.unwrap_or_default().trim().to_ascii_lowercase();
    let text = body::read(&head.headers, body, limits, &mut limits.memory.claim()).await?;
    if mime == "application/json" {
        return registration(&Parameters::from_json(&text)?, None);
    }
    let parameters = Parameters::from_query(query);
    let is_spec = is_yaml(&mime) || parameters.text("url").is_none();
    if !is_spec || text.is_empty() {
        return registration(&parameters, None);
    }
    let spec = String::from_utf8(text.to_vec())
        .map_err(|error| Failure::bad_request(format!("the spec is no text: {error}")))?;
    registration(&parameters, Some(spec))
}

fn is_yaml(mime: &str) -> bool {
    let (kind, part) = mime.split_once('/').unwrap_or_default();
    ["application", "text"].contains(&kind) && ["yaml", "x-yaml", "vnd.yaml"].contains(&part)
}

fn registration(
    parameters: &Parameters,
    spec: Option<String>,
) -> Result<WorkflowRegistration, Failure> {
    let text = |name: &str| parameters.text(name).map(str::to_owned);
    workflows::registration(WorkflowRegistration {
        url: text("url"),
        spec: spec.or_else(|| text("spec")),
        name: text("workflow_name"),
        version: text("version"),
        response_timeout: parameters.seconds("response_timeout"),
        startup_timeout: parameters.seconds("startup_timeout"),
        s3_sse_kms: parameters.flag("s3_sse_kms").unwrap_or(false),
        at_startup: false,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;

    use super::*;
    use crate::memory::Memory;

    async fn post(
        query: &[(&str, &str)],
        content_type: &str,
        body: &str,
    ) -> Result<WorkflowRegistration, Failure> {
        let limits = BodyLimits {
            size: 1000,
            stall: Duration::from_secs(1),
            memory: Memory::new(1 << 20),
            copied: servable::Copied::default(),
        };
        let request = Request::post("/workflows")
            .header("content-type", content_type)
            .body(Body::from(body.to_owned()));
        let owned = query.iter();
        let owned = owned.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read(owned.collect(), request.expect("a request"), &limits).await
    }

    /// Url, spec and name.
    async fn check(
        query: &[(&str, &str)],
        content_type: &str,
        body: &str,
        expected: Result<[Option<&str>; 3], &str>,
    ) {
        let found = post(query, content_type, body).await;
        let found = found.as_ref().map(|found| {
            let of = |text: &'_ Option<String>| text.clone();
            [of(&found.url), of(&found.spec), of(&found.name)]
        });
        let found = found.map_err(|failure| failure.message.as_str());
        let expected = expected.map(|texts| texts.map(|text| text.map(str::to_owned)));
        assert_eq!(found, expected, "{query:?} {content_type} {body}");
    }

    #[tokio::test]
    async fn a_registration_names_a_url_or_brings_its_spec() {
        let form = "application/x-www-form-urlencoded";
        let (url, named) = (("url", "w.war"), ("workflow_name", "n"));
        check(&[url], "", "", Ok([Some("w.war"), None, None])).await;
        check(&[url, named], "", "", Ok([Some("w.war"), None, Some("n")])).await;
        // What curl sends along with --data '' and the like is no spec where there is a url.
        check(&[url], form, "x=y", Ok([Some("w.war"), None, None])).await;
        check(
            &[named],
            form,
            "dag: {}",
            Ok([None, Some("dag: {}"), Some("n")]),
        )
        .await;
        check(
            &[url, named],
            "application/yaml; charset=utf-8",
            "dag: {}",
            Ok([None, Some("dag: {}"), Some("n")]),
        )
        .await;
        check(
            &[],
            "text/yaml",
            "name: own\ndag: {}",
            Ok([None, Some("name: own\ndag: {}"), Some("own")]),
        )
        .await;
        let json = r#"{"url": "j.war"}"#;
        check(
            &[url],
            "application/json",
            json,
            Ok([Some("j.war"), None, None]),
        )
        .await;
        check(&[], "", "", Err("Parameter url is required.")).await;
        check(
            &[],
            "application/json",
            "{}",
            Err("Parameter url is required."),
        )
        .await;
        let unnamed = Err("Parameter workflow_name is required.");
        check(&[], "text/yaml", "dag: {}", unnamed).await;
    }

    #[tokio::test]
    async fn timeouts_are_seconds() {
        let query = [
            ("url", "w"),
            ("response_timeout", "3"),
            ("startup_timeout", "x"),
        ];
        let found = post(&query, "", "").await.expect("sound");
        let limits = (found.response_timeout, found.startup_timeout);
        assert_eq!(limits, (Some(Duration::from_secs(3)), None));
    }
}
