//! Workflows over gRPC: asking them on the inference port, managing them on the other.

use std::pin::Pin;

use futures_util::stream::{self, Stream, StreamExt};
use proto::torchrelay::v1::workflow_event::Event;
use proto::torchrelay::v1::workflow_inference_server::WorkflowInference;
use proto::torchrelay::v1::workflow_management_server::WorkflowManagement;
use proto::torchrelay::v1::{
    DescribeWorkflowRequest, ListWorkflowsRequest, RegisterWorkflowRequest,
    SetDefaultWorkflowRequest, UnregisterWorkflowRequest, WorkflowEvent,
    WorkflowPredictionResponse, WorkflowPredictionsRequest, WorkflowResponse,
};
use servable::{Input, Value};
use serving::workflow::{RunOptions, WorkflowRegistration};
use tonic::{Request, Response, Status};

use super::management::{given, seconds};
use super::status::{of_management, of_request};
use super::{call, inference};
use crate::app::App;
use crate::error::Failure;
use crate::operations::{Done, Page, workflows};

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
        let answer = predict(&self.app, request).await?;
        let last = WorkflowEvent {
            event: Some(Event::Answer(answer)),
        };
        Ok(Response::new(stream::iter([Ok(last)]).boxed()))
    }
}

async fn predict(
    app: &App,
    request: Request<WorkflowPredictionsRequest>,
) -> Result<WorkflowPredictionResponse, Status> {
    let (id, patience) = (call::id_of(&request), call::patience(request.metadata()));
    let asked = request.into_inner();
    let name = named(&asked.workflow_name)?;
    let options = RunOptions {
        patience,
        accept: asked.accept,
        explain: asked.explain,
        ..RunOptions::default()
    };
    let input = Input {
        id,
        parts: inference::parts(asked.input),
        ..Input::default()
    };
    let version = given(&asked.workflow_version);
    let ran = app
        .serving
        .run_workflow(name, version, input, options)
        .await;
    let reply = ran.map_err(|error| of_request(error.into()))?;
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
        explanation: explanation.unwrap_or_default(),
    })
}

type Answer = Result<Response<WorkflowResponse>, Status>;

#[tonic::async_trait]
impl WorkflowManagement for Workflows {
    async fn register_workflow(&self, request: Request<RegisterWorkflowRequest>) -> Answer {
        let asked = request.into_inner();
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
    let done = outcome.map_err(of_management)?;
    Ok(Response::new(WorkflowResponse {
        msg: done.into_text(),
    }))
}
