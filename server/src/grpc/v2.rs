//! The Open Inference Protocol over gRPC. What it means is `crate::v2`'s business, as it is over REST; here are its messages.
//!
//! `infer.rs` answers `ModelInfer` itself, because generated code would copy every tensor once more than it must be copied;
//! `wire.rs` knows how such a message lies in its bytes, and `messages.rs` turns both kinds into the protocol's words.
//!
//! TorchServe has a part of the service under a package of its own. The messages are the same, so a call there is the call
//! here under another path.

mod infer;
mod messages;
mod wire;

use std::pin::Pin;

use axum::Router;
use axum::extract::Request as HttpRequest;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use futures_util::stream::{Stream, StreamExt};
use proto::inference as pb;
use proto::inference::grpc_inference_service_server::{GrpcInferenceService, SERVICE_NAME};
use tonic::{Request, Response, Status, Streaming};

use super::management::given;
use super::status::of_request;
use super::{Answer, call};
use crate::app::App;
use crate::error::Failure;
use crate::operations::health;
use crate::v2;

pub(super) use infer::model_infer;

/// The service of TorchServe's package.
pub(super) const OF_TORCHSERVE: &str =
    proto::torchserve::openinference::grpc_inference_service_server::SERVICE_NAME;

/// What TorchServe's service has.
const THERE: [&str; 6] = [
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelInfer",
];

/// The elements of an answer's tensors go into `contents`, where TorchServe's clients look for them.
#[derive(Debug, Clone, Copy)]
struct InContents;

/// What belongs to whoever manages models.
pub(super) const REPOSITORY: [&str; 3] = [
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
];

/// How many requests of one stream are at work at once. Their answers keep their order.
const AT_ONCE: usize = 16;

#[derive(Clone)]
pub(super) struct V2 {
    app: App,
    /// Whether the model repository is to be had here.
    manages: bool,
}

impl V2 {
    pub(super) fn new(app: App, manages: bool) -> Self {
        V2 { app, manages }
    }

    fn check_manages(&self) -> Result<(), Status> {
        if self.manages {
            return Ok(());
        }
        Err(Status::permission_denied(
            "the model repository is to be had on the management port (grpc_management_port)",
        ))
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<pb::ModelStreamInferResponse, Status>> + Send>>;

#[tonic::async_trait]
impl GrpcInferenceService for V2 {
    async fn server_live(
        &self,
        _: Request<pb::ServerLiveRequest>,
    ) -> Result<Response<pb::ServerLiveResponse>, Status> {
        Ok(Response::new(pb::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<pb::ServerReadyRequest>,
    ) -> Result<Response<pb::ServerReadyResponse>, Status> {
        let ready = health::server_is_ready(&self.app);
        Ok(Response::new(pb::ServerReadyResponse { ready }))
    }

    async fn model_ready(
        &self,
        request: Request<pb::ModelReadyRequest>,
    ) -> Result<Response<pb::ModelReadyResponse>, Status> {
        let asked = request.into_inner();
        let ready = health::is_ready(&self.app, &asked.name, given(&asked.version));
        let ready = ready.map_err(|error| of_request(error.into()))?;
        Ok(Response::new(pb::ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<pb::ServerMetadataRequest>,
    ) -> Result<Response<pb::ServerMetadataResponse>, Status> {
        Ok(Response::new(messages::server()))
    }

    async fn model_metadata(
        &self,
        request: Request<pb::ModelMetadataRequest>,
    ) -> Result<Response<pb::ModelMetadataResponse>, Status> {
        let asked = request.into_inner();
        let metadata = v2::metadata(&self.app, &asked.name, given(&asked.version));
        Ok(Response::new(messages::metadata(
            metadata.map_err(of_request)?,
        )))
    }

    /// By whoever does not take the way of `infer.rs`, which every call over a connection does.
    async fn model_infer(
        &self,
        request: Request<pb::ModelInferRequest>,
    ) -> Result<Response<pb::ModelInferResponse>, Status> {
        let asked = call_of(&request);
        let (answer, raw) = infer::answer(&self.app, asked, request.into_inner()).await?;
        Ok(Response::new(messages::with_raw(answer, raw)))
    }

    type ModelStreamInferStream = Answers;

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<pb::ModelInferRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (app, asked) = (self.app.clone(), call_of(&request));
        let answers = request
            .into_inner()
            .enumerate()
            .map(move |(index, message)| {
                let (app, mut asked) = (app.clone(), asked.clone());
                asked.id = format!("{}-{index}", asked.id);
                async move {
                    let message = message?;
                    let id = message.id.clone();
                    Ok(match infer::answer(&app, asked, message).await {
                        Ok((answer, raw)) => messages::streamed(messages::with_raw(answer, raw)),
                        Err(failure) => messages::stream_failed(id, &failure),
                    })
                }
            });
        Ok(Response::new(answers.buffered(AT_ONCE).boxed()))
    }

    async fn model_config(
        &self,
        request: Request<pb::ModelConfigRequest>,
    ) -> Result<Response<pb::ModelConfigResponse>, Status> {
        let asked = request.into_inner();
        let metadata = v2::metadata(&self.app, &asked.name, given(&asked.version));
        Ok(Response::new(messages::config(
            metadata.map_err(of_request)?,
        )))
    }

    async fn model_statistics(
        &self,
        request: Request<pb::ModelStatisticsRequest>,
    ) -> Result<Response<pb::ModelStatisticsResponse>, Status> {
        let asked = request.into_inner();
        let (name, version) = (given(&asked.name), given(&asked.version));
        let statistics = v2::statistics(&self.app, name, version).map_err(of_request)?;
        Ok(Response::new(messages::statistics(statistics)))
    }

    async fn repository_index(
        &self,
        request: Request<pb::RepositoryIndexRequest>,
    ) -> Result<Response<pb::RepositoryIndexResponse>, Status> {
        self.check_manages()?;
        let index = v2::index(&self.app, request.into_inner().ready).map_err(of_request)?;
        Ok(Response::new(messages::index(index)))
    }

    async fn repository_model_load(
        &self,
        request: Request<pb::RepositoryModelLoadRequest>,
    ) -> Result<Response<pb::RepositoryModelLoadResponse>, Status> {
        self.check_manages()?;
        let asked = request.into_inner();
        let parameters = messages::repository_parameters(asked.parameters);
        let loaded = v2::load(&self.app, &asked.model_name, &parameters).await;
        loaded.map_err(of_repository)?;
        Ok(Response::new(pb::RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<pb::RepositoryModelUnloadRequest>,
    ) -> Result<Response<pb::RepositoryModelUnloadResponse>, Status> {
        self.check_manages()?;
        let asked = request.into_inner();
        let unloaded = v2::unload(&self.app, &asked.model_name).await;
        unloaded.map_err(of_repository)?;
        Ok(Response::new(pb::RepositoryModelUnloadResponse {}))
    }
}

/// What REST calls a method that is not allowed is a permission that is not given.
fn of_repository(failure: Failure) -> Status {
    if failure.status == axum::http::StatusCode::METHOD_NOT_ALLOWED {
        return Status::permission_denied(failure.message);
    }
    of_request(failure)
}

/// The calls of TorchServe's package, as those of the public one.
pub(super) fn under_torchserves_name(router: Router) -> Router {
    let service = router.clone();
    let forward = async move |mut request: HttpRequest| -> Answer {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        if THERE.contains(&method)
            && let Ok(path) = format!("/{SERVICE_NAME}/{method}").parse::<PathAndQuery>()
        {
            *request.uri_mut() = Uri::from(path);
            request.extensions_mut().insert(InContents);
            let answered = tower::ServiceExt::oneshot(service, request).await;
            return answered.unwrap_or_else(|never| match never {});
        }
        Status::unimplemented(format!("there is no {method} in {OF_TORCHSERVE}")).into_http()
    };
    router.route(
        &format!("/{OF_TORCHSERVE}/{{method}}"),
        axum::routing::any(forward),
    )
}

/// The id and the patience of a call, which are all that the protocol wants of it.
fn call_of<T>(request: &Request<T>) -> v2::Asked {
    v2::Asked {
        id: call::id_of(request),
        headers: Vec::new(),
        patience: call::patience(request.metadata()),
    }
}
