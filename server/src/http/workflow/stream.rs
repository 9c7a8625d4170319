//! A request through a workflow whose nodes are told as they end: the events `node`, any number of times, and in the end
//! `final` or `error`.
//!
//! The run goes on in a task of its own, so that its time limits hold although nobody reads; it ends with the body.

use axum::body::Bytes;
use axum::response::Response;
use futures_util::stream::{self, Stream};
use servable::{Type, Value};
use serving::workflow::{NodeResult, RunOptions, Told, Workflow, WorkflowReply};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::explained;
use crate::app::App;
use crate::error::Failure;
use crate::http::inference::Received;
use crate::http::stream::{Event, Form, response, shown};

/// The most results of nodes that wait for their client.
const ROOM: usize = 16;

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
    match names
        .iter()
        .find(|name| workflow.graph.find(name).is_none())
    {
        Some(name) => {
            let workflow = &workflow.name;
            Err(Failure::bad_request(format!(
                "stream: expected 1 or names of nodes, and the workflow {workflow} has no node {name:?}"
            )))
        }
        None => Ok(Some(names)),
    }
}

/// What happened to a run.
enum News {
    Node(NodeResult),
    Over(Result<WorkflowReply, Failure>),
}

/// A run under way. Dropping it cancels the run.
struct Running {
    nodes: Receiver<NodeResult>,
    run: JoinSet<Result<WorkflowReply, serving::Error>>,
    /// What was already looked at.
    next: Option<News>,
    number: u64,
    is_over: bool,
}

/// Starts the run and answers with what comes of it. A run that fails before the first of the nodes is an ordinary failure.
pub(super) async fn answer(
    app: &App,
    name: &str,
    version: Option<&str>,
    received: Received,
    mut options: RunOptions,
    nodes: Vec<String>,
) -> Result<Response, Failure> {
    let form = options.accept.iter().find_map(|of| Form::wished(Some(of)));
    let form = form.unwrap_or(Form::Lines);
    let (told, nodes) = Told::new(nodes, ROOM, app.settings.body.stall);
    options.told = Some(told);
    let Received { input, _claim, .. } = received;
    let mut run = JoinSet::new();
    let (serving, name) = (app.serving.clone(), name.to_owned());
    let version = version.map(str::to_owned);
    let work = async move {
        let _claim = _claim;
        serving
            .run_workflow(&name, version.as_deref(), input, options)
            .await
    };
    run.spawn(work.in_current_span());
    let mut running = Running {
        nodes,
        run,
        next: None,
        number: 0,
        is_over: false,
    };
    running.next = match running.news().await {
        Some(News::Over(Err(failure))) => return Err(failure),
        news => news,
    };
    Ok(response(
        form,
        running.events(form, app.settings.max_response_size),
    ))
}

impl Running {
    async fn news(&mut self) -> Option<News> {
        if let Some(news) = self.next.take() {
            return Some(news);
        }
        // What nodes gave was sent before the run was over, and the channel ends with the run.
        if let Some(node) = self.nodes.recv().await {
            return Some(News::Node(node));
        }
        let reply = self.run.join_next().await?;
        let reply = reply.unwrap_or(Err(serving::Error::Stopping));
        Some(News::Over(reply.map_err(Failure::from)))
    }

    fn events(self, form: Form, most: usize) -> impl Stream<Item = Bytes> + Send + 'static {
        stream::unfold(self, move |mut running| async move {
            if running.is_over {
                return None;
            }
            let event = match running.news().await? {
                News::Node(node) => Event::new("node", node_value(node)),
                News::Over(Ok(reply)) => last(reply, most),
                News::Over(Err(failure)) => Event::error(&failure),
            };
            running.is_over = event.ends();
            let bytes = event.written(running.number, form);
            running.number += 1;
            Some((bytes, running))
        })
    }
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
