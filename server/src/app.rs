//! What every endpoint of every wire may use, and what the configuration says to them.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, header};
use servable::Copied;
use serving::Serving;
use serving::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use crate::auth::Auth;
use crate::config::{Config, Cors};
use crate::memory::Memory;
use crate::missing::MissingWorkflows;
pub use crate::protocols::Protocols;
use crate::snapshot::LeftOut;

/// What every endpoint may use. The router clones it several times for each request, so a clone is one count and no more.
#[derive(Clone)]
pub struct App(Arc<AppParts>);

/// What an [`App`] is made of.
#[derive(Clone)]
pub struct AppParts {
    pub serving: Arc<Serving>,
    pub settings: Arc<WireSettings>,
    pub auth: Auth,
    pub metrics: Metrics,
    /// What a snapshot has and the registry has not.
    pub left_out: LeftOut,
    /// Workflows that the start could not register.
    pub missing_workflows: MissingWorkflows,
    /// Cancelled when the server is told to stop.
    pub stop: CancellationToken,
}

impl From<AppParts> for App {
    fn from(parts: AppParts) -> Self {
        App(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}

/// Changes are this clone's alone.
impl DerefMut for App {
    fn deref_mut(&mut self) -> &mut AppParts {
        Arc::make_mut(&mut self.0)
    }
}

/// What the configuration says to the wires.
#[derive(Debug, Clone)]
pub struct WireSettings {
    pub body: BodyLimits,
    /// Whether JSON answers of models carry a content type, which TorchServe's do not.
    pub prediction_content_type: bool,
    /// The largest answer of a model, in bytes.
    pub max_response_size: usize,
    pub management: ManagementSettings,
    pub protocols: Protocols,
    /// The folder for the values of a workflow's nodes, if clients may have them written.
    pub workflow_save_dir: Option<PathBuf>,
    /// Whether somebody collects traces.
    pub(crate) traces: bool,
    /// Headers of every answer over HTTP, for browsers.
    pub(crate) cors: Vec<(HeaderName, HeaderValue)>,
}

/// The bounds of a request's body, or of a message.
#[derive(Debug, Clone)]
pub struct BodyLimits {
    pub size: usize,
    /// How long the body may stand still. It may take ten times as long in all.
    pub stall: Duration,
    /// What the bodies of all requests may hold together.
    pub memory: Memory,
    /// Counts what is copied of tensors on their way from the wire into a batch.
    pub copied: Copied,
}

/// What the management APIs may do.
#[derive(Debug, Clone)]
pub struct ManagementSettings {
    /// Whether models may be registered and unregistered.
    pub enable_model_api: bool,
    /// Workers of a registration that asks for none.
    pub initial_workers: usize,
    pub unregister_timeout: Duration,
}

impl WireSettings {
    pub fn new(config: &Config) -> Self {
        WireSettings {
            body: BodyLimits {
                size: config.max_request_size,
                stall: config.body_timeout,
                memory: Memory::new(config.request_memory.get()),
                copied: Copied::counted(),
            },
            prediction_content_type: config.prediction_content_type,
            max_response_size: config.max_response_size,
            management: ManagementSettings {
                enable_model_api: config.enable_model_api,
                initial_workers: config.default_workers_per_model.map_or(0, Into::into),
                unregister_timeout: config.unregister_model_timeout,
            },
            protocols: Protocols::new(config),
            workflow_save_dir: config.workflow_save_dir.clone(),
            traces: config.logs.otlp_endpoint.is_some(),
            cors: config.cors.as_ref().map(cors_headers).unwrap_or_default(),
        }
    }
}

fn cors_headers(cors: &Cors) -> Vec<(HeaderName, HeaderValue)> {
    let values = [
        (
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            Some(&cors.allowed_origin),
        ),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            cors.allowed_methods.as_ref(),
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            cors.allowed_headers.as_ref(),
        ),
    ];
    values
        .into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value?).ok()?)))
        .collect()
}
