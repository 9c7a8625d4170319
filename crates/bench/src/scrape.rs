//! What the daemon's own metrics say: readings of the page that is scraped, and differences of two of them.

use anyhow::{Context, Result};

use crate::client::Client;
use crate::daemon::Daemon;

/// The page as it is now.
pub(crate) fn page(daemon: &Daemon) -> Result<String> {
    let reply = Client::new(daemon.metrics).send("GET", "/metrics", b"")?;
    Ok(reply.text())
}

/// Bytes of tensors that were copied so far, by everybody.
pub(crate) fn bytes_copied(daemon: &Daemon) -> Result<f64> {
    const NAME: &str = "torchrelay_tensor_bytes_copied";
    sample(&page(daemon)?, NAME, "").with_context(|| format!("the metrics tell no {NAME}"))
}

/// Jobs and batches of one model, read at both ends of each slice.
pub(crate) struct Batches<'d> {
    daemon: &'d Daemon,
    model: &'static str,
    /// Jobs and batches so far at each reading.
    readings: Vec<(f64, f64)>,
}

impl<'d> Batches<'d> {
    pub(crate) fn of(daemon: &'d Daemon, model: &'static str) -> Self {
        Batches {
            daemon,
            model,
            readings: Vec::new(),
        }
    }

    pub(crate) fn meter(&mut self) -> Result<f64> {
        let text = page(self.daemon)?;
        let label = format!("model_name=\"{}\"", self.model);
        let read = |suffix| {
            sample(&text, &format!("torchrelay_batch_size_{suffix}"), &label)
                .with_context(|| format!("the metrics tell no batches of {}", self.model))
        };
        self.readings.push((read("sum")?, read("count")?));
        Ok(0.0)
    }

    /// Jobs in a batch, over all slices.
    pub(crate) fn mean(&self) -> f64 {
        let (jobs, batches) = self.readings.chunks_exact(2).fold((0.0, 0.0), |sum, ends| {
            let ((jobs, batches), (more_jobs, more_batches)) = (ends[0], ends[1]);
            (sum.0 + more_jobs - jobs, sum.1 + more_batches - batches)
        });
        jobs / batches
    }
}

/// The value of the first series of that name, among those with that label if it is not empty, in the text of Prometheus.
fn sample(text: &str, name: &str, label: &str) -> Option<f64> {
    let line = text.lines().find(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_by_name_and_label() {
        let text = "# TYPE a histogram\na_sum{model_name=\"x\",model_version=\"1.0\",} 4.0\na_sum{model_name=\"y\",} 6.5\nb 2.0\n";
        assert_eq!(sample(text, "a_sum", "model_name=\"y\""), Some(6.5));
        assert_eq!(sample(text, "a_sum", "model_name=\"z\""), None);
        assert_eq!(sample(text, "a", ""), None);
        assert_eq!(sample(text, "b", ""), Some(2.0));
    }
}
