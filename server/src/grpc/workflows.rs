//! Workflows over gRPC: asking them on the inference port, managing them on the other.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use proto::torchrelay::v1::workflow_event::{self, Event};
use proto::torchrelay::v1::workflow_inference_server::WorkflowInference;
use proto::torchrelay::v1::workflow_management_server::WorkflowManagement;
use proto::torchrelay::v1::{
    DescribeWorkflowRequest, ListWorkflowsRequest, RegisterWorkflowRequest,
    SetDefaultWorkflowRequest, UnregisterWorkflowRequest, WorkflowEvent,
    WorkflowPredictionResponse, WorkflowPredictionsRequest, WorkflowResponse,
};
use servable::{Input, Type, Value};
use serving::workflow::{NodeResult, RunOptions, WorkflowRegistration, WorkflowReply};
use tonic::{Request, Response, Status};

use super::management::{given, seconds};
use super::status::{of_request, of_workflow};
use super::{call, inference};
use crate::app::App;
use crate::error::Failure;
use crate::operations::running::{News, Running, check_nodes};
use crate::operations::{Done, Page, workflows};

/// The most bytes of a node's value that nobody asked for by the node's name.
const MOST_UNASKED: usize = 64 << 10;

#[derive(Clone)]
pub(super) struct Workflows {
    app: App,
}

impl Workflows {
    pub(super) fn new(app: App) -> Self {
        Workflows { app }
    }
}

type Events = Pin<Box<dyn Stream<Item = Result<WorkflowEvent, Status>> + Send>>;

#[tonic::async_trait]
impl WorkflowInference for Workflows {
    async fn workflow_predictions(
        &self,
        request: Request<WorkflowPredictionsRequest>,
    ) -> Result<Response<WorkflowPredictionResponse>, Status> {
        let answer = predict(&self.app, request).await?;
        Ok(Response::new(answer))
    }

    type StreamWorkflowPredictionsStream = Events;

    async fn stream_workflow_predictions(
        &self,
        request: Request<WorkflowPredictionsRequest>,
    ) -> Result<Response<Events>, Status> {
        let mut asked = Asked::read(request)?;
        let serving = &self.app.serving;
        let nodes = std::mem::take(&mut asked.nodes);
        let (name, version) = (&asked.name, asked.version.as_deref());
        let workflow = serving.workflow(name, version);
        let workflow = workflow.map_err(|error| of_request(error.into()))?;
        check_nodes(&workflow, &nodes).map_err(of_request)?;
        // Of whoever is interested in all nodes, few want every picture between them.
        let most = if nodes.is_empty() {
            MOST_UNASKED
        } else {
            self.app.settings.max_response_size
        };
        let (input, options) = (asked.input, asked.options);
        let running = Running::start(&self.app, (name, version), input, options, nodes, None);
        let running = running.await.map_err(of_request)?;
        let begin = (running, self.app.clone(), most);
        let events = stream::unfold(begin, async |(mut running, app, most)| {
            let event = match running.news().await? {
                News::Node(node) => Ok(Event::Node(result(node, most))),
                News::Over(reply) => {
                    let answer = reply.map_err(of_request);
                    answer
                        .and_then(|reply| answered(&app, reply))
                        .map(Event::Answer)
                }
            };
            let event = event.map(|event| WorkflowEvent { event: Some(event) });
            Some((event, (running, app, most)))
        });
        Ok(Response::new(events.boxed()))
    }
}

/// What a message asks for.
struct Asked {
    name: String,
    version: Option<String>,
    input: Input,
    options: RunOptions,
    nodes: Vec<String>,
}

impl Asked {
    fn read(request: Request<WorkflowPredictionsRequest>) -> Result<Self, Status> {
        let (id, patience) = (call::id_of(&request), call::patience(request.metadata()));
        let message = request.into_inner();
        named(&message.workflow_name)?;
        Ok(Asked {
            name: message.workflow_name,
            version: Some(message.workflow_version).filter(|version| !version.is_empty()),
            input: Input {
                id,
                parts: inference::parts(message.input),
                ..Input::default()
            },
            options: RunOptions {
                patience,
                accept: message.accept,
                explain: message.explain,
                ..RunOptions::default()
            },
            nodes: message.nodes,
        })
    }
}

async fn predict(
    app: &App,
    request: Request<WorkflowPredictionsRequest>,
) -> Result<WorkflowPredictionResponse, Status> {
    let asked = Asked::read(request)?;
    let version = asked.version.as_deref();
    let ran = app
        .serving
        .run_workflow(&asked.name, version, asked.input, asked.options);
    let reply = ran.await.map_err(|error| of_request(error.into()))?;
    answered(app, reply)
}

fn answered(app: &App, reply: WorkflowReply) -> Result<WorkflowPredictionResponse, Status> {
    let explanation = reply.timeline.map(|timeline| {
        let json = timeline.to_value().to_json();
        String::from_utf8_lossy(&json).into_owned()
    });
    let output = reply.output;
    let is_json = !matches!(
        output.value,
        Value::Bytes(_) | Value::Image(_) | Value::Text(_)
    );
    let content_type = output
        .content_type
        .or_else(|| is_json.then(|| "application/json".to_owned()));
    Ok(WorkflowPredictionResponse {
        prediction: inference::bounded(output.value.into_body(), app).map_err(of_request)?,
        content_type: content_type.unwrap_or_default(),
        degraded: reply.degraded,
        ignored: reply.ignored,
        explanation: explanation.unwrap_or_default(),
    })
}

/// `most` bytes of value at most; of a larger one the type is told alone.
fn result(node: NodeResult, most: usize) -> workflow_event::NodeResult {
    let (value, of, error) = match node.result {
        Ok(value) => {
            let of = Type::of(&value).to_string();
            let short = Some(value).filter(|value| value.bytes() <= most);
            let body = short.map(Value::into_body).unwrap_or_default();
            let body = if body.len() <= most {
                body
            } else {
                Bytes::new()
            };
            (body, of, String::new())
        }
        Err(error) => (Bytes::new(), String::new(), error),
    };
    workflow_event::NodeResult {
        node: node.node,
        item: node.item.iter().map(|&index| index as u64).collect(),
        value,
        r#type: of,
        error,
        took_ms: node.took.as_secs_f64() * 1e3,
    }
}

type Answer = Result<Response<WorkflowResponse>, Status>;

#[tonic::async_trait]
impl WorkflowManagement for Workflows {
    async fn register_workflow(&self, request: Request<RegisterWorkflowRequest>) -> Answer {
        let asked = request.into_inner();
        if !asked.url.is_empty() && !asked.spec.is_empty() {
            let text = "url and spec: expected one of the two, found both";
            return Err(Status::invalid_argument(text));
        }
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        let asked = WorkflowRegistration {
            url: text(asked.url),
            spec: text(asked.spec),
            name: text(asked.workflow_name),
            version: text(asked.workflow_version),
            response_timeout: seconds(asked.response_timeout),
            startup_timeout: seconds(asked.startup_timeout),
            s3_sse_kms: asked.s3_sse_kms,
            at_startup: false,
        };
        answer(workflows::register(&self.app, asked).await)
    }

    async fn describe_workflow(&self, request: Request<DescribeWorkflowRequest>) -> Answer {
        let asked = request.into_inner();
        let (name, version) = (named(&asked.workflow_name)?, given(&asked.workflow_version));
        answer(workflows::describe(&self.app, name, version))
    }

    async fn list_workflows(&self, request: Request<ListWorkflowsRequest>) -> Answer {
        let asked = request.into_inner();
        let limit = Some(asked.limit).filter(|&limit| limit != 0);
        let page = Page::asked(limit.map(Into::into), Some(asked.next_page_token.into()));
        answer(Ok(workflows::list(&self.app, page)))
    }

    async fn set_default_workflow(&self, request: Request<SetDefaultWorkflowRequest>) -> Answer {
        let asked = request.into_inner();
        let name = named(&asked.workflow_name)?;
        answer(workflows::set_default(&self.app, name, &asked.workflow_version).await)
    }

    async fn unregister_workflow(&self, request: Request<UnregisterWorkflowRequest>) -> Answer {
        let asked = request.into_inner();
        let (name, version) = (named(&asked.workflow_name)?, given(&asked.workflow_version));
        answer(workflows::unregister(&self.app, name, version).await)
    }
}

fn named(name: &str) -> Result<&str, Status> {
    given(name).ok_or_else(|| Status::invalid_argument("Parameter workflow_name is required."))
}

fn answer(outcome: Result<Done, Failure>) -> Answer {
    let done = outcome.map_err(of_workflow)?;
    Ok(Response::new(WorkflowResponse {
        msg: done.into_text(),
    }))
}
