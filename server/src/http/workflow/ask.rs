//! `/wfpredict/{workflow}[/{version}]`: a request through a workflow.

use std::collections::HashMap;

use axum::extract::{Extension, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use serving::workflow::{RunOptions, Workflow};

use super::{Target, explained, saved, stream};
use crate::error::Failure;
use crate::http::answer::output_response;
use crate::http::ignored::{IGNORED, listed, tell_query};
use crate::http::inference::{Received, read_input};
use crate::http::segments::Segments;
use crate::http::{App, RequestId};

/// With this header, or the parameter `explain`, a client asks how the answer came about.
const EXPLAIN: &str = "x-explain";

/// Nodes that failed or were cut short although there is an answer.
const DEGRADED: HeaderName = HeaderName::from_static("x-degraded");

/// What the query says to the server; everything else in it is an input of the workflow.
const OWN: [&str; 4] = ["version", "explain", "save", "stream"];

/// By any method. The body is read as that of a prediction.
pub(super) async fn ask(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    Query(query): Query<HashMap<String, String>>,
    id: Extension<RequestId>,
    request: Request,
) -> Response {
    answer(&app, &target, &query, &id, request)
        .await
        .into_response()
}

async fn answer(
    app: &App,
    target: &Target,
    query: &HashMap<String, String>,
    id: &RequestId,
    request: Request,
) -> Result<Response, Failure> {
    let version = target
        .version
        .as_deref()
        .or_else(|| query.get("version").map(String::as_str));
    let workflow = app.serving.workflow(&target.workflow, version)?;
    let says_yes = |text: &str| text == "1" || text.eq_ignore_ascii_case("true");
    let header = request.headers().get(EXPLAIN);
    let header = header.and_then(|value| value.to_str().ok());
    let explain = query.get("explain").map(String::as_str).or(header);
    let mut options = RunOptions {
        patience: None,
        accept: accepted(request.headers()),
        explain: explain.is_some_and(says_yes),
        save: nodes_to_save(app, &workflow, query)?,
        every: false,
        told: None,
    };
    let wish = query.get("stream").map(String::as_str);
    let streamed = stream::wanted(&workflow, wish)?;
    if streamed.is_some() && !options.save.is_empty() {
        let message = "stream and save cannot be asked for together";
        return Err(Failure::bad_request(message));
    }
    let received = read_input(app, id, request, inputs(&workflow, query))
        .await
        .map_err(Failure::with_words)?;
    options.patience = received.patience;
    if let Some(nodes) = streamed {
        let name = &target.workflow;
        return stream::answer(app, name, version, received, options, nodes).await;
    }
    let Received { input, _claim, .. } = received;
    let reply = app
        .serving
        .run_workflow(&target.workflow, version, input, options)
        .await?;

    let mut output = reply.output;
    // Unlike a model's, TorchServe's answer of a workflow has its reason phrase.
    output.status.get_or_insert((200, "OK".into()));
    if let Some(timeline) = reply.timeline {
        output = explained::with(output, timeline.to_value());
    }
    let most = app.settings.max_response_size;
    let mut response = output_response(output, true, most)?;
    for (header, names) in [(DEGRADED, &reply.degraded), (IGNORED, &reply.ignored)] {
        if let Some(names) = listed(names) {
            response.headers_mut().insert(header, names);
        }
    }
    let mut models = app.serving.first_models(&workflow).into_iter();
    if models.any(|model| model.takes.is_some()) {
        // The body alone is what they are given, as TorchServe has it.
        let names = query.keys().filter(|name| !OWN.contains(&name.as_str()));
        let mut names: Vec<String> = names.cloned().collect();
        names.sort();
        tell_query(&mut response, &workflow.name, &names);
    }
    if let Some(folder) = &app.settings.workflow_save_dir
        && !reply.saved.is_empty()
        && let Some(place) = saved::write(folder, &workflow.name, &id.0, reply.saved).await
    {
        response.headers_mut().insert(saved::HEADER, place);
    }
    Ok(response)
}

/// The inputs that the query brings. Where the workflow declares none, its models see the body alone, as TorchServe has it.
fn inputs(workflow: &Workflow, query: &HashMap<String, String>) -> HashMap<String, String> {
    if workflow.graph.inputs.is_empty() {
        return HashMap::new();
    }
    let theirs = query
        .iter()
        .filter(|(name, _)| !OWN.contains(&name.as_str()));
    theirs
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The nodes of `save`, which must be there.
fn nodes_to_save(
    app: &App,
    workflow: &Workflow,
    query: &HashMap<String, String>,
) -> Result<Vec<String>, Failure> {
    let names = query.get("save").map(String::as_str).unwrap_or_default();
    let names = names.split(',').map(str::trim);
    let names: Vec<String> = names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    if !names.is_empty() && app.settings.workflow_save_dir.is_none() {
        return Err(Failure::bad_request(
            "save: the server saves nothing: workflow_save_dir is not set",
        ));
    }
    if let Some(name) = names
        .iter()
        .find(|name| workflow.graph.find(name).is_none())
    {
        let workflow = &workflow.name;
        return Err(Failure::bad_request(format!(
            "save: the workflow {workflow} has no node {name:?}"
        )));
    }
    Ok(names)
}

/// The content types of `Accept`, the most wanted first; those of the same weight in the order of the header.
pub(super) fn accepted(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::ACCEPT).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut wanted: Vec<(String, f32)> = values
        .flat_map(|value| value.split(','))
        .map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let content_type = parts.next().unwrap_or_default().to_owned();
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
            (content_type, weight.unwrap_or(1.0))
        })
        .filter(|(content_type, weight)| !content_type.is_empty() && *weight > 0.0)
        .collect();
    wanted.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    wanted.into_iter().map(|(wanted, _)| wanted).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn accept_is_read_in_the_order_of_its_weights() {
        let check = |value: &'static str, expected: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            assert_eq!(accepted(&headers), expected, "{value}");
        };
        check("image/png", &["image/png"]);
        check(
            "text/html;q=0.5, image/png, image/*;q=0.8, application/json",
            &["image/png", "application/json", "image/*", "text/html"],
        );
        check("image/png;q=0, */*", &["*/*"]);
        check(", ", &[]);
        assert_eq!(accepted(&HeaderMap::new()), Vec::<String>::new());
    }
}
