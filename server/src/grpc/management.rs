//! TorchServe's management service. Each call is one function of `operations/models.rs`; an answer is the text of what REST
//! answers.

use std::num::NonZeroUsize;
use std::time::Duration;

use proto::torchserve::management::management_ap_is_service_server::ManagementApIsService;
use proto::torchserve::management::{
    DescribeModelRequest, ListModelsRequest, ManagementResponse, RegisterModelRequest,
    ScaleWorkerRequest, SetDefaultRequest, UnregisterModelRequest,
};
use tonic::{Request, Response, Status};

use super::status::of_management;
use crate::app::App;
use crate::error::Failure;
use crate::operations::models::{self, RegisterModel, ScaleModel};
use crate::operations::{Done, Page};

pub(super) struct Management {
    app: App,
}

impl Management {
    pub(super) fn new(app: App) -> Self {
        Management { app }
    }
}

type Answer = Result<Response<ManagementResponse>, Status>;

#[tonic::async_trait]
impl ManagementApIsService for Management {
    async fn describe_model(&self, request: Request<DescribeModelRequest>) -> Answer {
        let asked = request.into_inner();
        let version = given(&asked.model_version);
        let name = named(&asked.model_name)?;
        answer(models::describe(&self.app, name, version, asked.customized).await)
    }

    async fn list_models(&self, request: Request<ListModelsRequest>) -> Answer {
        let asked = request.into_inner();
        // A limit of 0 is one here: there is no telling it from none.
        let page = Page::asked(Some(asked.limit.into()), Some(asked.next_page_token.into()));
        answer(Ok(models::list(&self.app, page)))
    }

    async fn register_model(&self, request: Request<RegisterModelRequest>) -> Answer {
        let asked = request.into_inner();
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        let asked = RegisterModel {
            url: text(asked.url),
            name: text(asked.model_name),
            handler: text(asked.handler),
            runtime: text(asked.runtime),
            initial_workers: number(asked.initial_workers),
            batch_size: number(asked.batch_size)
                .and_then(|size| NonZeroUsize::new(usize::try_from(size).ok()?)),
            max_batch_delay: positive(asked.max_batch_delay).map(Duration::from_millis),
            response_timeout: seconds(asked.response_timeout),
            startup_timeout: seconds(asked.startup_timeout),
            s3_sse_kms: asked.s3_sse_kms,
            synchronous: asked.synchronous,
        };
        answer(models::register(&self.app, asked).await)
    }

    async fn scale_worker(&self, request: Request<ScaleWorkerRequest>) -> Answer {
        let asked = request.into_inner();
        if asked.model_name.is_empty() {
            return Err(Status::unknown("Parameter model_name is required."));
        }
        let scale = ScaleModel {
            min_worker: number(asked.min_worker),
            max_worker: number(asked.max_worker),
            synchronous: asked.synchronous,
        };
        let version = given(&asked.model_version);
        answer(models::scale(&self.app, &asked.model_name, version, scale).await)
    }

    async fn set_default(&self, request: Request<SetDefaultRequest>) -> Answer {
        let asked = request.into_inner();
        let name = named(&asked.model_name)?;
        answer(models::set_default(&self.app, name, &asked.model_version).await)
    }

    async fn unregister_model(&self, request: Request<UnregisterModelRequest>) -> Answer {
        let asked = request.into_inner();
        let (name, version) = (named(&asked.model_name)?, given(&asked.model_version));
        answer(models::unregister(&self.app, name, version).await)
    }
}

/// A text that is empty counts as not given, and so does a number that is 0.
pub(super) fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn named(name: &str) -> Result<&str, Status> {
    given(name).ok_or_else(|| Status::invalid_argument("Parameter model_name is required."))
}

fn number(number: i32) -> Option<i64> {
    (number != 0).then(|| number.into())
}

fn positive(number: i32) -> Option<u64> {
    u64::try_from(number).ok().filter(|&number| number > 0)
}

pub(super) fn seconds(number: i32) -> Option<Duration> {
    positive(number).map(Duration::from_secs)
}

fn answer(outcome: Result<Done, Failure>) -> Answer {
    let done = outcome.map_err(of_management)?;
    Ok(Response::new(ManagementResponse {
        msg: done.into_text(),
    }))
}
