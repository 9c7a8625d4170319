//! The HTTP clients: one for urls that come from outside, and one for what the operator's own environment names (the
//! endpoint of S3, the sources of credentials). Made when they are first needed, since reading the system's certificates
//! takes time that a start without downloads should not spend.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::sync::OnceCell;
use tracing::{debug, warn};

use crate::Settings;
use crate::error::{Cause, chain};
use crate::guard::PublicOnly;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Clients {
    allow_private: bool,
    connect: Duration,
    guarded: OnceCell<reqwest::Client>,
    free: OnceCell<reqwest::Client>,
}

impl Clients {
    pub(crate) fn new(settings: &Settings) -> Self {
        Clients {
            allow_private: settings.allow_private,
            connect: CONNECT.min(settings.stall),
            guarded: OnceCell::new(),
            free: OnceCell::new(),
        }
    }

    /// For urls of others: it connects to public addresses only, unless the operator allows all.
    pub(crate) async fn guarded(&self) -> Result<&reqwest::Client, Cause> {
        if self.allow_private {
            return self.free().await;
        }
        self.guarded
            .get_or_try_init(|| self.make(|builder| builder.dns_resolver(Arc::new(PublicOnly))))
            .await
    }

    /// For addresses of the operator's own choice.
    pub(crate) async fn free(&self) -> Result<&reqwest::Client, Cause> {
        self.free
            .get_or_try_init(|| self.make(|builder| builder))
            .await
    }

    async fn make(
        &self,
        adapt: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<reqwest::Client, Cause> {
        let tls = tokio::task::spawn_blocking(tls)
            .await
            .map_err(|error| Cause::Client(error.to_string()))??;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            // Each step is looked at before it is taken.
            .redirect(Policy::none())
            .connect_timeout(self.connect)
            // Downloads are rare: no connection waits for the next.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("torchrelay/", env!("CARGO_PKG_VERSION")));
        adapt(builder)
            .build()
            .map_err(|error| Cause::Client(chain(&error)))
    }
}

/// Trusts whom the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured.
fn tls() -> Result<ClientConfig, Cause> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        debug!("certificates of the system: {error}");
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        warn!("this system has no certificates of issuers, so that no https server can be trusted");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Cause::Client(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
