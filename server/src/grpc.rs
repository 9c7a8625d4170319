//! The gRPC APIs: which services there are on which port, and what every call passes on its way in.
//!
//! A service (`grpc/models.rs`, say) reads a message, calls what the endpoints of `http/` call too, and writes the answer as
//! a message; failures become codes in `grpc/status.rs`. Around all of them stand `grpc/call.rs` (id, key, log line) and
//! `grpc/body.rs` (bounds on what arrives).
//!
//! Who calls it: [`crate::serve`] puts a router on each listener; tests call one without a socket.

mod body;
mod call;
mod health;
mod inference;
mod management;
mod status;
mod v2;
mod workflows;

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::any;
use proto::grpc::health::v1::health_server::{self, HealthServer};
use proto::inference::grpc_inference_service_server::{
    self as v2_server, GrpcInferenceServiceServer,
};
use proto::torchrelay::v1::workflow_inference_server::{self, WorkflowInferenceServer};
use proto::torchrelay::v1::workflow_management_server::{self, WorkflowManagementServer};
use proto::torchserve::inference::inference_ap_is_service_server::{
    self as inference_server, InferenceApIsServiceServer,
};
use proto::torchserve::management::management_ap_is_service_server::{
    self as management_server, ManagementApIsServiceServer,
};
use tonic::Status;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::server::NamedService;
use tonic_reflection::server::Builder as Reflection;
use tower::Service;

use crate::app::App;
use crate::auth::Purpose;

/// The services behind the inference port.
pub fn inference_router(app: App) -> Router {
    let guarded = call::guarded(inference_services(&app), &app.auth, Purpose::Inference);
    finish(guarded, named(&INFERENCE, &app), app)
}

/// The services behind the management port.
pub fn management_router(app: App) -> Router {
    let guarded = call::guarded(management_services(&app), &app.auth, Purpose::Management);
    finish(guarded, named(&MANAGEMENT, &app), app)
}

/// The services behind a port that serves both; each asks for its own key.
pub fn shared_router(app: App) -> Router {
    let inference = call::guarded(inference_services(&app), &app.auth, Purpose::Inference);
    let management = call::guarded(management_services(&app), &app.auth, Purpose::Management);
    let names = [named(&INFERENCE, &app), named(&MANAGEMENT, &app)].concat();
    finish(inference.merge(management), names, app)
}

/// What clients are told of by reflection.
const INFERENCE: [&str; 5] = [
    inference_server::SERVICE_NAME,
    v2_server::SERVICE_NAME,
    v2::OF_TORCHSERVE,
    workflow_inference_server::SERVICE_NAME,
    health_server::SERVICE_NAME,
];
const MANAGEMENT: [&str; 4] = [
    management_server::SERVICE_NAME,
    v2_server::SERVICE_NAME,
    workflow_management_server::SERVICE_NAME,
    health_server::SERVICE_NAME,
];

/// Those of them that are served.
fn named(names: &[&'static str], app: &App) -> Vec<&'static str> {
    let of_protocol = [v2_server::SERVICE_NAME, v2::OF_TORCHSERVE];
    let is_served =
        |name: &&str| app.settings.protocols.open_inference || !of_protocol.contains(name);
    names.iter().copied().filter(is_served).collect()
}

/// A service with this server's bounds on its messages.
macro_rules! bounded {
    ($server:ident, $service:expr, $app:expr) => {
        $server::new($service)
            .accept_compressed(Gzip)
            .max_decoding_message_size($app.settings.body.size)
            .max_encoding_message_size(body::most_to_send($app.settings.max_response_size))
    };
}

fn inference_services(app: &App) -> Router {
    let models = inference::Inference::new(app.clone());
    let workflows = workflows::Workflows::new(app.clone());
    let router = Router::new();
    let router = with(router, bounded!(InferenceApIsServiceServer, models, app));
    let router = with(router, bounded!(WorkflowInferenceServer, workflows, app));
    if !app.settings.protocols.open_inference {
        return router;
    }
    let protocol = v2::V2::new(app.clone(), false);
    let protocol = bounded!(GrpcInferenceServiceServer, protocol, app);
    let infer = format!("/{}/ModelInfer", v2_server::SERVICE_NAME);
    let infer = Router::new()
        .route(&infer, any(v2::model_infer))
        .with_state(app.clone());
    let protocol = with(infer, protocol);
    router.merge(v2::under_torchserves_name(protocol))
}

fn management_services(app: &App) -> Router {
    let models = management::Management::new(app.clone());
    let workflows = workflows::Workflows::new(app.clone());
    let router = Router::new();
    let router = with(router, bounded!(ManagementApIsServiceServer, models, app));
    let router = with(router, bounded!(WorkflowManagementServer, workflows, app));
    if !app.settings.protocols.open_inference {
        return router;
    }
    let protocol = v2::V2::new(app.clone(), true);
    let protocol = bounded!(GrpcInferenceServiceServer, protocol, app);
    v2::REPOSITORY.iter().fold(router, |router, method| {
        let path = format!("/{}/{method}", v2_server::SERVICE_NAME);
        router.route_service(&path, protocol.clone())
    })
}

/// Adds what is open to everybody, as the probes and descriptions of REST are, and what every call passes.
fn finish(guarded: Router, names: Vec<&'static str>, app: App) -> Router {
    let mut router = with(
        guarded,
        HealthServer::new(health::Health::new(app.clone(), &names)),
    );
    let described = || {
        names.iter().fold(Reflection::configure(), |builder, name| {
            builder.with_service_name(*name)
        })
    };
    let described = || described().register_encoded_file_descriptor_set(proto::DESCRIPTORS);
    router = with(
        router,
        described().build_v1().expect("the descriptors are our own"),
    );
    router = with(
        router,
        described()
            .build_v1alpha()
            .expect("the descriptors are our own"),
    );
    router
        .fallback(async || {
            Status::unimplemented("there is no such service here").into_http::<Body>()
        })
        .layer(middleware::from_fn_with_state(app, call::around_each_call))
}

fn with<S>(router: Router, service: S) -> Router
where
    S: Service<Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    router.route_service(&format!("/{}/{{method}}", S::NAME), service)
}

/// An answer as a response with a body of axum's.
type Answer = Response<Body>;

#[cfg(test)]
mod tests;
