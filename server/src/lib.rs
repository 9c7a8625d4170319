//! The Torchrelay daemon: wires, configuration and wiring.
//!
//! `main.rs` reads arguments and configuration, binds the listeners and calls [`serve`], which tests call too. A request
//! comes in through `connection.rs`, goes through the layers of `http.rs` to an endpoint below `http/`, and from there
//! to the `serving` crate; failures come back through the one table in `error.rs`. `wiring.rs` is the only file that
//! names configuration, serving and engine together.

pub mod app;
pub mod args;
pub mod auth;
pub mod config;
pub mod connection;
pub mod daemonize;
pub mod dev;
pub mod doctor;
pub mod envelope;
pub mod error;
pub mod front;
pub mod grpc;
pub mod http;
pub mod listeners;
pub mod log_location;
pub mod memory;
pub mod metrics_config;
mod missing;
mod operations;
mod protocols;
pub mod run;
pub mod shutdown;
pub mod snapshot;
mod start;
pub mod system_metrics;
pub mod telemetry;
mod unpacked;
mod utc;
mod v1;
pub mod v2;
pub mod wiring;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use serving::{Engine, Serving};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use app::{App, AppParts, WireSettings};
use auth::{Auth, AuthError};
use config::{Config, GrpcService};
use connection::{Age, ConnectionLimits, Protocol};
pub use listeners::{GrpcListeners, Listeners, Management};
use snapshot::Snapshots;
use system_metrics::Sampling;
use unpacked::{OwnFolder, Purpose};

/// Serves until `stop` is cancelled and everything inside is finished, or the grace period is over.
///
/// Registers the models of the snapshot, or else the start-up models (they load in the background), and then the workflows,
/// whose models are waited for; writes the first snapshot, then accepts, then calls `ready` with what serves.
pub async fn serve(
    config: &Config,
    engine: Arc<dyn Engine>,
    listeners: Listeners,
    stop: CancellationToken,
    ready: impl FnOnce(&Arc<Serving>),
) -> anyhow::Result<()> {
    let auth = auth(config)?;
    let metrics = metrics_config::metrics(config, system_metrics::host_name());
    let unpacked = OwnFolder::create(&std::env::temp_dir(), Purpose::Models)
        .context("the folder for unpacked archives")?;
    if worker_process::end_orphans() {
        info!("ended what workers of a daemon that was killed had left running");
    }
    let serving = Arc::new(wiring::serving(
        config,
        engine,
        unpacked.path(),
        metrics.clone(),
    )?);
    // A download may take long, and whoever stops the server does not wait for it.
    let loading = start::load(&serving, config);
    let Some(loaded) = stop.run_until_cancelled(loading).await.transpose()? else {
        return Ok(());
    };
    // Before anybody can change what is registered.
    let snapshots = Snapshots::start(config, &serving, loaded.clone()).await;

    let app = App::from(AppParts {
        serving: Arc::clone(&serving),
        settings: Arc::new(WireSettings::new(config)),
        auth,
        metrics: metrics.clone(),
        left_out: loaded.models,
        missing_workflows: loaded.workflows,
        stop: stop.clone(),
    });
    let limits = ConnectionLimits {
        connections: config.max_connections.get(),
        header_timeout: config.header_timeout,
        idle_timeout: config.idle_timeout,
    };
    let connections = TaskTracker::new();
    // Later than `stop` by the drain delay: until then everything goes on.
    let close = CancellationToken::new();
    let accept_as = |protocol, listener, router| {
        let (stop, connections) = (close.clone(), connections.clone());
        tokio::spawn(connection::accept(
            listener,
            protocol,
            router,
            limits,
            stop,
            connections,
        ))
    };
    let accept = |listener, router| accept_as(Protocol::Http1, listener, router);
    let mut accepting = Vec::new();
    match listeners.management {
        Management::Shared => {
            accepting.push(accept(
                listeners.inference,
                http::shared_router(app.clone(), listeners.metrics.is_some()),
            ));
        }
        Management::Own(management) => {
            accepting.push(accept(
                listeners.inference,
                http::inference_router(app.clone()),
            ));
            accepting.push(accept(management, http::management_router(app.clone())));
        }
        Management::Closed => {
            accepting.push(accept(
                listeners.inference,
                http::inference_router(app.clone()),
            ));
        }
    }
    if let Some(listener) = listeners.metrics {
        accepting.push(accept(listener, http::metrics_router(app.clone())));
    }
    for (listener, front) in listeners.fronts.into_iter().zip(&config.fronts) {
        for target in http::absent_targets(&app, front) {
            warn!("front {}: there is no {target} yet", front.name);
        }
        accepting.push(accept(listener, http::front_router(&app, front)));
    }
    if let Some(grpc) = listeners.grpc {
        let age = |service: &GrpcService| {
            Protocol::Http2(Age {
                most: service.max_age,
                grace: service.grace,
            })
        };
        let of_inference = age(&config.grpc.inference);
        match grpc.management {
            Management::Shared => {
                let router = grpc::shared_router(app.clone());
                accepting.push(accept_as(of_inference, grpc.inference, router));
            }
            Management::Own(management) => {
                let router = grpc::inference_router(app.clone());
                accepting.push(accept_as(of_inference, grpc.inference, router));
                let router = grpc::management_router(app.clone());
                accepting.push(accept_as(age(&config.grpc.management), management, router));
            }
            Management::Closed => {
                let router = grpc::inference_router(app.clone());
                accepting.push(accept_as(of_inference, grpc.inference, router));
            }
        }
    }
    if !config.disable_system_metrics {
        let sampling = Sampling {
            interval: config.metric_time_interval,
            command: config.system_metrics_cmd.clone(),
        };
        // Ends at once on `stop`.
        tokio::spawn(system_metrics::run(metrics, sampling, stop.clone()));
    }
    tokio::spawn(watch_cores(Arc::clone(&serving), stop.clone()));
    ready(&serving);

    stop.cancelled().await;
    if !config.drain_delay.is_zero() {
        let seconds = config.drain_delay.as_secs();
        info!("not ready any more; serving on for {seconds} s");
        tokio::time::sleep(config.drain_delay).await;
    }
    close.cancel();
    info!(
        "stopping: {} requests inside, {} s of grace",
        serving.admission.inside(),
        config.grace_period.as_secs()
    );
    let end = Instant::now() + config.grace_period;
    // They end at once on `stop`; their connections finish their requests.
    for accepting in accepting {
        let _ = accepting.await;
    }
    connections.close();
    if tokio::time::timeout_at(end.into(), connections.wait())
        .await
        .is_err()
    {
        error!(
            "{} connections were still open at the end of the grace period",
            connections.len()
        );
    }
    if let Some(snapshots) = snapshots {
        snapshots.finish().await;
    }
    serving
        .shutdown(end.saturating_duration_since(Instant::now()))
        .await;
    info!("stopped");
    Ok(())
}

/// Follows changes of the process's share of the machine, until `stop`.
async fn watch_cores(serving: Arc<Serving>, stop: CancellationToken) {
    const INTERVAL: Duration = Duration::from_secs(5);
    while tokio::time::timeout(INTERVAL, stop.cancelled())
        .await
        .is_err()
    {
        serving.refresh_cores();
    }
}

fn auth(config: &Config) -> Result<Auth, AuthError> {
    if config.disable_token_authorization {
        info!("token authorization is off: whoever reaches a port is served");
        return Ok(Auth::off());
    }
    Auth::on(
        &config.key_file,
        config.token_expiration_min,
        SystemTime::now(),
    )
}
