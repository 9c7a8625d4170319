//! A request through a workflow whose nodes are told as they end: the events `node`, any number of times, and in the end
//! `final` or `error`.

use axum::body::Bytes;
use axum::response::Response;
use futures_util::stream::{self, Stream};
use servable::{Type, Value};
use serving::workflow::{NodeResult, RunOptions, Workflow, WorkflowReply};

use super::explained;
use crate::app::App;
use crate::error::Failure;
use crate::http::inference::Received;
use crate::http::stream::{Event, Form, response, shown};
use crate::operations::running::{News, Running, check_nodes};

/// The most bytes of a value that is told as it is; of a longer one only the type is.
const MOST_BYTES: usize = 64 << 10;

/// What `stream` asks for: `1` for all nodes, or the names of some. `None` where it asks for nothing.
///
/// # Errors
///
/// Names the node that there is not.
pub(super) fn wanted(
    workflow: &Workflow,
    wish: Option<&str>,
) -> Result<Option<Vec<String>>, Failure> {
    let Some(wish) = wish.filter(|wish| !matches!(*wish, "" | "0" | "false")) else {
        return Ok(None);
    };
    if matches!(wish, "1" | "true") {
        return Ok(Some(Vec::new()));
    }
    let names = wish
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(str::to_owned).collect();
    check_nodes(workflow, &names)?;
    Ok(Some(names))
}

/// Starts the run and answers with what comes of it. A run that fails before the first of the nodes is an ordinary failure.
pub(super) async fn answer(
    app: &App,
    name: &str,
    version: Option<&str>,
    received: Received,
    options: RunOptions,
    nodes: Vec<String>,
) -> Result<Response, Failure> {
    let form = options.accept.iter().find_map(|of| Form::wished(Some(of)));
    let form = form.unwrap_or(Form::Lines);
    let Received { input, _claim, .. } = received;
    let running = Running::start(app, (name, version), input, options, nodes, Some(_claim)).await?;
    Ok(response(
        form,
        events(running, form, app.settings.max_response_size),
    ))
}

fn events(running: Running, form: Form, most: usize) -> impl Stream<Item = Bytes> + Send + 'static {
    let begin = (running, 0, false);
    stream::unfold(begin, move |(mut running, number, is_over)| async move {
        if is_over {
            return None;
        }
        let event = match running.news().await? {
            News::Node(node) => Event::new("node", node_value(node)),
            News::Over(Ok(reply)) => last(reply, most),
            News::Over(Err(failure)) => Event::error(&failure),
        };
        let is_over = event.ends();
        Some((event.written(number, form), (running, number + 1, is_over)))
    })
}

/// `{node, item, took_ms, type, value}`, or `error` in place of the last two. Files, pictures and what is long are told by
/// their type alone.
fn node_value(node: NodeResult) -> Value {
    let mut members = vec![("node", Value::from(node.node))];
    if !node.item.is_empty() {
        let index = |&index: &usize| Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
        members.push(("item", Value::list(node.item.iter().map(index))));
    }
    // Microseconds are as fine as anybody can use.
    let millis = node.took.as_micros() as f64 / 1e3;
    members.push(("took_ms", Value::Float(millis)));
    match node.result {
        Ok(value) => {
            members.push(("type", Type::of(&value).to_string().into()));
            if is_plain(&value) && value.bytes() <= MOST_BYTES {
                members.push(("value", value));
            }
        }
        Err(error) => members.push(("error", error.into())),
    }
    Value::map(members)
}

/// Whether it has a JSON form that somebody could read.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Bytes(_) | Value::Image(_) => false,
        Value::List(items) => items.iter().all(is_plain),
        Value::Map(members) => members.iter().all(|(_, value)| is_plain(value)),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Tensor(_) => true,
    }
}

/// `{content_type, degraded, ignored, explain, answer}`, as far as there is any of it.
fn last(reply: WorkflowReply, most: usize) -> Event {
    let WorkflowReply {
        output,
        degraded,
        ignored,
        timeline,
        ..
    } = reply;
    let bytes = output.value.bytes();
    if bytes > most {
        return Event::error(&Failure::internal(format!(
            "the answer holds {bytes} bytes, more than max_response_size, which is {most}"
        )));
    }
    let mut members = Vec::new();
    let content_type = output.content_type.clone();
    if let Some(content_type) = &content_type {
        members.push(("content_type", Value::from(content_type.as_str())));
    }
    for (name, names) in [("degraded", degraded), ("ignored", ignored)] {
        if !names.is_empty() {
            let names = names.into_iter().map(Value::from);
            members.push((name, Value::list(names)));
        }
    }
    if let Some(timeline) = timeline {
        members.push((explained::MEMBER, timeline.to_value()));
    }
    // The answer stands within an object, as JSON where it is that, in either form.
    let answer = shown(output.value, content_type.as_deref(), Form::Lines);
    members.push(("answer", answer));
    Event::new("final", Value::map(members))
}
