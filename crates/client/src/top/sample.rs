//! One look at the server: its models as the management API describes them, and its metrics.

use hyper::Method;
use tokio::time::Instant;

use super::counters::Counters;
use crate::endpoint::Api;
use crate::error::Error;
use crate::http::{Call, Server};
use crate::models::{Version, all_versions};
use crate::session::{QUICK, Session};

/// What was seen, and when.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) address: String,
    pub(super) versions: Vec<Version>,
    /// The counts, or why there are none.
    pub(super) counters: Result<Counters, String>,
}

/// Looks at one server again and again.
pub(super) struct Sampler {
    management: Server,
    /// Or why the metrics are nowhere.
    metrics: Result<Server, String>,
}

impl Sampler {
    pub(super) fn new(session: &Session<'_>) -> Result<Self, Error> {
        Ok(Sampler {
            management: session.server(Api::Management, QUICK)?,
            metrics: session
                .server(Api::Metrics, QUICK)
                .map_err(|error| error.to_string()),
        })
    }

    /// # Errors
    /// The management API does not answer, or refuses. Metrics that are missing are no error.
    pub(super) async fn sample(&mut self) -> Result<Sample, Error> {
        let versions = all_versions(&mut self.management).await?;
        let counters = self.counters().await;
        Ok(Sample {
            at: Instant::now(),
            address: self.management.address(),
            versions,
            counters,
        })
    }

    async fn counters(&mut self) -> Result<Counters, String> {
        let server = self.metrics.as_mut().map_err(|why| why.clone())?;
        let call = Call::new(Api::Metrics, Method::GET, "/metrics");
        let answer = match server.ask(&call).await {
            Ok(answer) => answer,
            Err(error) => return Err(missing(&server.address(), &error)),
        };
        let counters = Counters::read(&String::from_utf8_lossy(&answer.body));
        if !counters.is_full() {
            return Err(
                "the server's metrics_mode is log or legacy; metrics_mode=prometheus in its \
                        configuration gives the rest"
                    .to_owned(),
            );
        }
        Ok(counters)
    }
}

/// Why there are no metrics, and what to do about it if the server runs without them.
fn missing(address: &str, error: &Error) -> String {
    match error {
        Error::Unreachable { why, .. } => format!(
            "the metrics listener {address} is not reachable ({why}); if it is off, enable_metrics_api=true in the server's \
             configuration opens it"
        ),
        Error::Usage(_)
        | Error::File { .. }
        | Error::Refused { .. }
        | Error::Answer { .. }
        | Error::System { .. }
        | Error::Output(_)
        | Error::Told => error.to_string(),
    }
}
