//! The Torchrelay daemon: wires, configuration and wiring.
//!
//! `main.rs` reads arguments and configuration, binds the listeners and calls [`serve`], which tests call too. A request
//! comes in through `connection.rs`, goes through the layers of `http.rs` to an endpoint below `http/`, and from there
//! to the `serving` crate; failures come back through the one table in `error.rs`. `wiring.rs` is the only file that
//! names configuration, serving and engine together.

pub mod args;
pub mod config;
pub mod connection;
pub mod daemonize;
pub mod error;
pub mod http;
pub mod shutdown;
pub mod telemetry;
mod unpacked;
pub mod wiring;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use serving::{Engine, Registration, Serving, Wishes};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use config::{Config, LoadModels, ModelSource};
use connection::ConnectionLimits;
use http::{App, HttpSettings};
use unpacked::UnpackFolder;

/// The sockets a server listens on, bound by the caller, who decides on ports.
pub struct Listeners {
    pub inference: TcpListener,
}

/// Serves until `stop` is cancelled and everything inside is finished, or the grace period is over.
///
/// Registers the start-up models first (they load in the background), then accepts, then calls `ready`.
pub async fn serve(
    config: &Config,
    engine: Arc<dyn Engine>,
    listeners: Listeners,
    stop: CancellationToken,
    ready: impl FnOnce(),
) -> anyhow::Result<()> {
    let unpacked =
        UnpackFolder::create(&std::env::temp_dir()).context("the folder for unpacked archives")?;
    let serving = Arc::new(wiring::serving(config, engine, unpacked.path())?);
    load_at_start(&serving, config).await?;

    let app = App {
        serving: Arc::clone(&serving),
        settings: Arc::new(HttpSettings::new(config)),
    };
    let limits = ConnectionLimits {
        connections: config.max_connections.get(),
        header_timeout: config.header_timeout,
        idle_timeout: config.idle_timeout,
    };
    let connections = TaskTracker::new();
    let router = http::inference_router(app);
    let accepting = tokio::spawn(connection::accept(
        listeners.inference,
        router,
        limits,
        stop.clone(),
        connections.clone(),
    ));
    ready();

    stop.cancelled().await;
    info!(
        "stopping: {} requests inside, {} s of grace",
        serving.admission.inside(),
        config.grace_period.as_secs()
    );
    let end = Instant::now() + config.grace_period;
    // It ends at once on `stop`; its connections finish their requests.
    let _ = accepting.await;
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
    serving
        .shutdown(end.saturating_duration_since(Instant::now()))
        .await;
    info!("stopped");
    Ok(())
}

/// Registers what the configuration names. A model that cannot be registered is logged and left out; the others serve.
async fn load_at_start(serving: &Arc<Serving>, config: &Config) -> anyhow::Result<()> {
    let sources = match &config.load_models {
        LoadModels::None => Vec::new(),
        LoadModels::All => {
            let names = serving.store.list()?;
            names
                .into_iter()
                .map(|url| ModelSource { name: None, url })
                .collect()
        }
        LoadModels::List(sources) => sources.clone(),
    };
    for ModelSource { name, url } in sources {
        let registration = Registration {
            url: url.clone(),
            name,
            handler: None,
            wishes: Wishes::default(),
        };
        if let Err(failure) = serving.register(registration).await {
            error!("model {url} is left out: {failure}");
        }
    }
    Ok(())
}
