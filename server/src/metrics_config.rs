//! The list of metrics: a file in the form of TorchServe's `metrics.yaml`, or the one that is compiled in.
//!
//! A list that cannot be used costs the metrics and nothing else: the log says why in one line, and the server runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serving::metrics::{Definition, Definitions, Kind, Metrics, MetricsConfig, Mode, Registry};
use thiserror::Error;
use tracing::error;

use crate::config::Config;

const SHIPPED: &str = include_str!("../metrics.yaml");

/// What is wrong with a list: file, line where one is to blame, and what was expected.
#[derive(Debug, Error)]
#[error("{}{}: {message}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ListError {
    path: PathBuf,
    line: Option<usize>,
    message: String,
}

/// The metrics that the configuration asks for, named after `host`.
pub fn metrics(config: &Config, host: String) -> Metrics {
    let path = config.metrics_config.as_deref();
    let auto_detect = config.model_metrics_auto_detect;
    made(path, config.metrics_mode, auto_detect, host).unwrap_or_else(|error| {
        error!("there are no metrics, because their list cannot be used: {error}");
        Metrics::off()
    })
}

fn made(
    path: Option<&Path>,
    mode: Mode,
    auto_detect: bool,
    host: String,
) -> Result<Metrics, ListError> {
    let config = MetricsConfig {
        mode,
        definitions: read(path)?,
        auto_detect,
        host,
    };
    Metrics::new(config, Registry::new()).map_err(|error| ListError {
        path: shown(path),
        line: None,
        message: error.to_string(),
    })
}

/// The list of this file; the shipped one if there is none.
fn read(path: Option<&Path>) -> Result<Definitions, ListError> {
    let flaw = |line, message| ListError {
        path: shown(path),
        line,
        message,
    };
    let text = match path {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| flaw(None, format!("cannot be read: {error}")))?,
        None => SHIPPED.to_owned(),
    };
    let list: List = serde_yaml::from_str(&text).map_err(|error| {
        let line = error.location().map(|location| location.line());
        flaw(line, one_line(&error.to_string()))
    })?;
    let definitions = Definitions {
        ts: list.ts_metrics.definitions(),
        model: list.model_metrics.definitions(),
    };
    let mut names = BTreeSet::new();
    for Definition { name, .. } in definitions.ts.iter().chain(&definitions.model) {
        if !names.insert(name) {
            return Err(flaw(None, format!("metric {name} is listed twice")));
        }
    }
    Ok(definitions)
}

fn shown(path: Option<&Path>) -> PathBuf {
    path.map_or_else(|| "the shipped metrics.yaml".into(), Path::to_owned)
}

/// The reader of YAML ends its messages with the place, which stands in front of them here.
fn one_line(message: &str) -> String {
    let text = message.lines().next().unwrap_or_default();
    let end = text.find(" at line ").unwrap_or(text.len());
    text[..end].to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// Only a place for anchors.
    #[serde(default, rename = "dimensions")]
    _dimensions: IgnoredAny,
    #[serde(default, deserialize_with = "or_default")]
    ts_metrics: Section,
    #[serde(default, deserialize_with = "or_default")]
    model_metrics: Section,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(default, deserialize_with = "or_default")]
    counter: Vec<Entry>,
    #[serde(default, deserialize_with = "or_default")]
    gauge: Vec<Entry>,
    #[serde(default, deserialize_with = "or_default")]
    histogram: Vec<Entry>,
}

impl Section {
    fn definitions(self) -> Vec<Definition> {
        let of_kind = |kind, entries: Vec<Entry>| {
            entries.into_iter().map(move |entry| Definition {
                name: entry.name,
                unit: entry.unit,
                kind,
                dimensions: entry.dimensions,
            })
        };
        of_kind(Kind::Counter, self.counter)
            .chain(of_kind(Kind::Gauge, self.gauge))
            .chain(of_kind(Kind::Histogram, self.histogram))
            .collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    name: String,
    unit: String,
    dimensions: Vec<String>,
}

/// With all that an entry must have.
#[derive(Deserialize)]
#[serde(try_from = "RawEntry")]
struct Entry {
    name: String,
    unit: String,
    dimensions: Vec<String>,
}

impl TryFrom<RawEntry> for Entry {
    type Error = String;

    fn try_from(raw: RawEntry) -> Result<Self, String> {
        let RawEntry {
            name,
            unit,
            dimensions,
        } = raw;
        if name.is_empty() {
            return Err("a metric has an empty name".to_owned());
        }
        if unit.is_empty() {
            return Err(format!("metric {name} has an empty unit"));
        }
        if dimensions.is_empty() {
            return Err(format!("metric {name} has no dimensions"));
        }
        Ok(Entry {
            name,
            unit,
            dimensions,
        })
    }
}

/// A key without a value stands for an empty one.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The shipped list on the host `vm`, for whoever scrapes.
    pub(crate) fn shipped_metrics() -> Metrics {
        metrics_of_mode(Mode::Prometheus)
    }

    /// The shipped list on the host `vm`.
    pub(crate) fn metrics_of_mode(mode: Mode) -> Metrics {
        made(None, mode, false, "vm".to_owned()).expect("the shipped list is sound")
    }

    /// What is said of a list of this text, with the folder left out.
    fn check(text: &str, expected: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("m.yaml");
        std::fs::write(&path, text).expect("written");
        let error = read(Some(&path)).expect_err("a broken list").to_string();
        let found = error.replace(&format!("{}/", folder.path().display()), "");
        assert_eq!(found, expected, "{text}");
        assert_eq!(error.lines().count(), 1);
    }

    #[test]
    fn the_shipped_list_is_torchserves() {
        let Definitions { ts, model } = read(None).expect("the shipped list is sound");
        let as_text = |list: &[Definition]| {
            let lines = list.iter().map(|definition| {
                let Definition {
                    name,
                    unit,
                    kind,
                    dimensions,
                } = definition;
                format!("{kind:?} {name} {unit} {}\n", dimensions.join(","))
            });
            lines.collect::<String>()
        };
        assert_eq!(
            as_text(&ts),
            "Counter Requests2XX Count Level,Hostname\n\
             Counter Requests4XX Count Level,Hostname\n\
             Counter Requests5XX Count Level,Hostname\n\
             Counter ts_inference_requests_total Count model_name,model_version,hostname\n\
             Counter ts_inference_latency_microseconds Microseconds model_name,model_version,hostname\n\
             Counter ts_queue_latency_microseconds Microseconds model_name,model_version,hostname\n\
             Gauge QueueTime Milliseconds Level,Hostname\n\
             Gauge WorkerThreadTime Milliseconds Level,Hostname\n\
             Gauge WorkerLoadTime Milliseconds WorkerName,Level,Hostname\n\
             Gauge CPUUtilization Percent Level,Hostname\n\
             Gauge MemoryUsed Megabytes Level,Hostname\n\
             Gauge MemoryAvailable Megabytes Level,Hostname\n\
             Gauge MemoryUtilization Percent Level,Hostname\n\
             Gauge DiskUsage Gigabytes Level,Hostname\n\
             Gauge DiskAvailable Gigabytes Level,Hostname\n\
             Gauge DiskUtilization Percent Level,Hostname\n\
             Gauge GPUUtilization Percent Level,DeviceId,Hostname\n\
             Gauge GPUMemoryUtilization Percent Level,DeviceId,Hostname\n\
             Gauge GPUMemoryUsed Megabytes Level,DeviceId,Hostname\n"
        );
        assert_eq!(
            as_text(&model),
            "Gauge HandlerTime ms ModelName,Level\nGauge PredictionTime ms ModelName,Level\n"
        );
    }

    #[test]
    fn a_broken_list_is_told_with_file_and_line() {
        check(
            "ts_metrics:\n  gauge:\n    - name: A\n      dimensions: [a]\n",
            "m.yaml:3: ts_metrics.gauge[0]: missing field `unit`",
        );
        check(
            "ts_metrics:\n  gauge:\n    - name: A\n      unit: ms\n      dimensions: []\n",
            "m.yaml:3: ts_metrics.gauge: metric A has no dimensions",
        );
        check(
            "ts_metrics:\n  gauge:\n    - name: A\n      unit: ms\n      dimensions: a\n",
            "m.yaml:5: ts_metrics.gauge[0].dimensions: invalid type: string \"a\", expected a sequence",
        );
        check(
            "ts_metrics:\n  summary: []\n",
            "m.yaml:2: ts_metrics: unknown field `summary`, expected one of `counter`, `gauge`, `histogram`",
        );
        check(
            "ts_metrics:\n  gauge: [{name: A, unit: ms, dimensions: [a]}]\n  counter: [{name: A, unit: ms, dimensions: [a]}]\n",
            "m.yaml: metric A is listed twice",
        );
        check(
            "ts_metrics:\n\tgauge: []\n",
            "m.yaml:2: found character that cannot start any token",
        );
        let error = read(Some(Path::new("/nowhere/m.yaml"))).expect_err("no such file");
        let expected = "/nowhere/m.yaml: cannot be read: No such file or directory (os error 2)";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn what_is_left_out_or_empty_is_no_metric() {
        for text in [
            "{}",
            "ts_metrics:\nmodel_metrics:\n",
            "ts_metrics:\n  gauge:\n",
        ] {
            let list: List = serde_yaml::from_str(text).expect("sound");
            let count =
                list.ts_metrics.definitions().len() + list.model_metrics.definitions().len();
            assert_eq!(count, 0, "{text}");
        }
    }
}
