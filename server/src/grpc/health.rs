//! The standard health service: of the server (an empty name), of the services on this port, and of each model and workflow
//! by its name, with `/` and a version after it if one is meant.

use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use proto::grpc::health::v1::health_check_response::ServingStatus;
use proto::grpc::health::v1::health_server::Health as HealthService;
use proto::grpc::health::v1::{HealthCheckRequest, HealthCheckResponse};
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::operations::health;

/// How often a watched name is looked at. Models become ready within seconds rather than less.
const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(super) struct Health {
    app: App,
    services: Vec<String>,
}

impl Health {
    pub(super) fn new(app: App, services: &[&str]) -> Self {
        Health {
            app,
            services: services.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    /// `None` where nothing has that name.
    fn state(&self, name: &str) -> Option<ServingStatus> {
        let serving = |yes| {
            if yes {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            }
        };
        if name.is_empty() || self.services.iter().any(|service| service == name) {
            return Some(serving(!self.app.stop.is_cancelled()));
        }
        let ready = health::is_ready(&self.app, name, None).or_else(|unknown| {
            let (name, version) = name.rsplit_once('/').ok_or(unknown)?;
            health::is_ready(&self.app, name, Some(version))
        });
        ready.ok().map(serving)
    }
}

type States = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl HealthService for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let name = request.into_inner().service;
        match self.state(&name) {
            Some(state) => Ok(Response::new(answer(state))),
            None => Err(Status::not_found(format!(
                "nothing here is called {name:?}"
            ))),
        }
    }

    type WatchStream = States;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<States>, Status> {
        let name = request.into_inner().service;
        let begin = (self.clone(), name, None);
        let states = stream::unfold(begin, |(health, name, told)| async move {
            loop {
                let state = health.state(&name).unwrap_or(ServingStatus::ServiceUnknown);
                if told != Some(state) {
                    return Some((Ok(answer(state)), (health, name, Some(state))));
                }
                if health.app.stop.is_cancelled() {
                    // It was told so, and the connection is to end.
                    return None;
                }
                let _ = tokio::time::timeout(INTERVAL, health.app.stop.cancelled()).await;
            }
        });
        Ok(Response::new(states.boxed()))
    }
}

fn answer(state: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: state.into(),
    }
}
