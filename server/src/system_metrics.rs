//! Metrics of the machine: processors, memory, disk, GPUs, at start and then once in an interval.
//!
//! Measured by ourselves, unless the configuration names a command (`system_metrics_cmd`), whose output is read instead.
//! Whatever cannot be measured is left out; nothing here stops the server.

mod command;
mod gpu;
mod host;

use std::time::Duration;

use serving::metrics::Metrics;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub(crate) use gpu::usage as gpu_usage;
pub use host::host_name;

/// How metrics of the machine are taken.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Longer than zero.
    pub interval: Duration,
    /// The command that takes them, with its arguments, in place of ourselves.
    pub command: Option<String>,
}

/// One value, by the name of its metric.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    /// Without the last label, the host's name.
    labels: Vec<String>,
    value: f64,
}

impl Sample {
    fn host(name: &str, value: f64) -> Self {
        Sample {
            name: name.to_owned(),
            labels: vec!["Host".to_owned()],
            value,
        }
    }

    fn device(name: &str, device: &str, value: f64) -> Self {
        Sample {
            name: name.to_owned(),
            labels: vec!["Host".to_owned(), device.to_owned()],
            value,
        }
    }
}

/// Takes them until `stop`.
pub async fn run(metrics: Metrics, sampling: Sampling, stop: CancellationToken) {
    let taking = async {
        let mut processors = host::Processors::default();
        let mut ticks = interval(sampling.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let samples = match &sampling.command {
                Some(command) => command::samples(command).await,
                None => own_samples(&mut processors).await,
            };
            for sample in samples {
                record(&metrics, &sample);
            }
        }
    };
    // Dropping a measurement ends the command that it waits for.
    stop.run_until_cancelled(taking).await;
}

async fn own_samples(processors: &mut host::Processors) -> Vec<Sample> {
    let mut samples = processors.samples().await;
    // A disk may be slow to answer.
    match tokio::task::spawn_blocking(host::memory_and_disk).await {
        Ok(more) => samples.extend(more),
        Err(error) => warn!("memory and disk could not be measured: {error}"),
    }
    samples.extend(gpu::samples().await);
    samples
}

fn record(metrics: &Metrics, sample: &Sample) {
    let Sample {
        name,
        labels,
        value,
    } = sample;
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    if !metrics.system(name, &labels, *value) {
        debug!("metric {name} with {labels:?} is not in the list of metrics");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics_config::tests::shipped_metrics;

    /// The values of a metric that a scrape shows.
    fn values(metrics: &Metrics, name: &str) -> Vec<f64> {
        let text = metrics.exposition(&[name.to_owned()]);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok());
        values.collect()
    }

    async fn until_shown(metrics: &Metrics, name: &str) {
        let shown = async {
            while values(metrics, name).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience = Duration::from_secs(30);
        let outcome = tokio::time::timeout(patience, shown).await;
        outcome.unwrap_or_else(|_| panic!("{name} never came"));
    }

    fn sampling(command: Option<&str>) -> Sampling {
        Sampling {
            interval: Duration::from_secs(3600),
            command: command.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn this_machine_is_measured_at_once() {
        let (metrics, stop) = (shipped_metrics(), CancellationToken::new());
        let running = tokio::spawn(run(metrics.clone(), sampling(None), stop.clone()));
        until_shown(&metrics, "DiskUtilization").await;
        for name in ["CPUUtilization", "MemoryUtilization", "DiskUtilization"] {
            let found = values(&metrics, name);
            assert!(
                matches!(found[..], [value] if (0.0..=100.0).contains(&value)),
                "{name}: {found:?}"
            );
        }
        for name in ["MemoryUsed", "MemoryAvailable", "DiskUsage"] {
            let found = values(&metrics, name);
            assert!(
                matches!(found[..], [value] if value > 0.0),
                "{name}: {found:?}"
            );
        }
        stop.cancel();
        running.await.expect("it ends when it is told to");
    }

    #[tokio::test]
    async fn a_command_replaces_our_own_measuring() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("collect.sh");
        let text = "echo \"CPUUtilization.Percent:$1|#Level:Host|#hostname:h,timestamp:1\"\n\
                    echo 'MemoryUsed.Megabytes:nonsense|#Level:Host|#hostname:h,timestamp:1'\n\
                    echo 'DiskUsage.Gigabytes:3|#Level:Host|#hostname:h,timestamp:1'\n";
        std::fs::write(&script, text).expect("written");
        let (metrics, stop) = (shipped_metrics(), CancellationToken::new());
        let command = format!("sh {} 12.5", script.display());
        let running = tokio::spawn(run(metrics.clone(), sampling(Some(&command)), stop.clone()));
        until_shown(&metrics, "DiskUsage").await;
        assert_eq!(values(&metrics, "CPUUtilization"), [12.5]);
        assert_eq!(values(&metrics, "DiskUsage"), [3.0]);
        assert_eq!(values(&metrics, "MemoryUsed"), [0.0; 0]);
        assert_eq!(values(&metrics, "DiskAvailable"), [0.0; 0]);
        stop.cancel();
        running.await.expect("it ends when it is told to");
    }
}
