//! Workflows over HTTP: registering, listing, describing and unregistering them on the management API, and asking them on the
//! inference API.
//!
//! What TorchServe has is answered as TorchServe does; beyond it there are versions, specs without an archive, the graph as a
//! document or a picture, and answers that say how they came about.

mod ask;
mod explained;
mod posted;
mod saved;
mod stream;

use std::collections::HashMap;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::App;
use super::answer::json_response;
use super::segments::Segments;
use crate::error::Failure;
use crate::operations::Parameters;
use crate::operations::workflows::{self, graph};

/// Where workflows are asked. TorchServe reads the word in any case.
pub(super) const PREDICT: &str = "/wfpredict";

/// What follows that word in a path, if the path begins with it in some other case.
pub(super) fn below_predict(path: &str) -> Option<&str> {
    let (word, below) = path.split_at_checked(PREDICT.len())?;
    let is_other_case = word.eq_ignore_ascii_case(PREDICT) && word != PREDICT;
    (is_other_case && (below.is_empty() || below.starts_with('/'))).then_some(below)
}

pub(super) fn inference_routes() -> Router<App> {
    Router::new()
        .route("/wfpredict/{workflow}", any(ask::ask))
        .route("/wfpredict/{workflow}/{version}", any(ask::ask))
}

pub(super) fn management_routes() -> Router<App> {
    Router::new()
        .route("/workflows", any(all))
        .route("/workflows/{workflow}", any(workflow))
        .route("/workflows/{workflow}/{version}", any(workflow))
        .route(
            "/workflows/{workflow}/{version}/set-default",
            any(set_default),
        )
}

type Answer = Result<Response, Failure>;

/// Which workflow, and perhaps which version, a path names.
#[derive(serde::Deserialize)]
struct Target {
    workflow: String,
    version: Option<String>,
}

impl Target {
    /// The version of the path, else that of the query.
    fn version<'a>(&'a self, parameters: &'a Parameters) -> Option<&'a str> {
        self.version
            .as_deref()
            .or_else(|| parameters.text("version"))
    }
}

/// `GET /workflows` lists, `POST /workflows` registers.
async fn all(
    State(app): State<App>,
    query: Query<HashMap<String, String>>,
    request: Request,
) -> Answer {
    match *request.method() {
        Method::GET => {
            let page = Parameters::from_query(query.0).page();
            Ok(workflows::list(&app, page).into_response())
        }
        Method::POST => {
            let asked = posted::read(query.0, request, &app.settings.body).await?;
            Ok(workflows::register(&app, asked).await?.into_response())
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

/// `/workflows/{workflow}` and `/workflows/{workflow}/{version}`: describe, unregister.
async fn workflow(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    query: Query<HashMap<String, String>>,
    request: Request,
) -> Answer {
    let parameters = Parameters::from_query(query.0);
    match *request.method() {
        Method::GET => describe(&app, &target, &parameters, &request),
        Method::DELETE => {
            let version = target.version(&parameters);
            let unregistered = workflows::unregister(&app, &target.workflow, version).await?;
            Ok(unregistered.into_response())
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

/// How a workflow is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// TorchServe's list of one.
    Plain,
    /// The checked graph.
    Json,
    Svg,
    Mermaid,
}

impl Format {
    fn wanted(parameters: &Parameters, request: &Request) -> Result<Self, Failure> {
        match parameters.text("format") {
            Some("json") => return Ok(Format::Json),
            Some("svg") => return Ok(Format::Svg),
            Some("mermaid") => return Ok(Format::Mermaid),
            Some(other) => {
                let message = format!("format: expected json, svg or mermaid, found {other:?}");
                return Err(Failure::bad_request(message));
            }
            None => {}
        }
        let accepted = ask::accepted(request.headers());
        let pictures = [
            ("image/svg+xml", Format::Svg),
            ("text/vnd.mermaid", Format::Mermaid),
        ];
        let wanted = accepted.iter().find_map(|wanted| {
            let suits = |(kind, _): &&(&str, Format)| wanted.eq_ignore_ascii_case(kind);
            pictures.iter().find(suits).map(|(_, format)| *format)
        });
        Ok(wanted.unwrap_or(Format::Plain))
    }
}

fn describe(app: &App, target: &Target, parameters: &Parameters, request: &Request) -> Answer {
    let format = Format::wanted(parameters, request)?;
    let (name, version) = (&target.workflow, target.version(parameters));
    let workflow = || app.serving.workflow(name, version);
    Ok(match format {
        Format::Plain => workflows::describe(app, name, version)?.into_response(),
        Format::Json => json_response(StatusCode::OK, &graph::of(&*workflow()?)),
        Format::Svg => picture("image/svg+xml", graph::svg(&*workflow()?)),
        Format::Mermaid => picture(
            "text/vnd.mermaid; charset=utf-8",
            graph::mermaid(&*workflow()?),
        ),
    })
}

fn picture(content_type: &'static str, text: String) -> Response {
    let mut response = Response::new(text.into());
    let content_type = header::HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

/// `PUT /workflows/{workflow}/{version}/set-default`, as for models.
async fn set_default(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    method: Method,
) -> Answer {
    if method != Method::PUT {
        return Err(Failure::method_not_allowed());
    }
    let (name, version) = (&target.workflow, target.version.unwrap_or_default());
    Ok(workflows::set_default(&app, name, &version)
        .await?
        .into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_the_route_is_read_in_any_case() {
        let check = |path: &str, expected| assert_eq!(below_predict(path), expected, "{path}");
        check("/WFPREDICT/w", Some("/w"));
        check("/WfPredict", Some(""));
        check("/wfpredict/w", None);
        check("/WFPREDICTx/w", None);
        check("/WFPRÉDICT", None);
        check("/", None);
    }
}
