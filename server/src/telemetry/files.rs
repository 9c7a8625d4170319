//! Which line goes where: TorchServe's five files, and standard output.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::outbox::{Outbox, Sink};
use super::rolling::{RollingFile, Tidier};
use super::settings::LogSettings;

/// One of TorchServe's log files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogFile {
    Access,
    Server,
    ServerMetrics,
    Model,
    ModelMetrics,
}

impl LogFile {
    pub const ALL: [LogFile; 5] = [
        LogFile::Access,
        LogFile::Server,
        LogFile::ServerMetrics,
        LogFile::Model,
        LogFile::ModelMetrics,
    ];

    /// The file of an event's target. What engine and handlers say is what a worker of TorchServe would have printed.
    pub fn of(target: &str) -> LogFile {
        let (root, _) = target.split_once("::").unwrap_or((target, ""));
        match root {
            "access_log" => LogFile::Access,
            "ts_metrics" => LogFile::ServerMetrics,
            "model_metrics" => LogFile::ModelMetrics,
            "model_log" | "torch_engine" | "handlers" => LogFile::Model,
            _ => LogFile::Server,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            LogFile::Access => "access_log.log",
            LogFile::Server => "ts_log.log",
            LogFile::ServerMetrics => "ts_metrics.log",
            LogFile::Model => "model_log.log",
            LogFile::ModelMetrics => "model_metrics.log",
        }
    }

    pub fn is_metrics(self) -> bool {
        matches!(self, LogFile::ServerMetrics | LogFile::ModelMetrics)
    }

    /// Whether its lines are read by programs: in the file they are time and message, and nothing follows the message.
    pub(super) fn is_bare(self) -> bool {
        self == LogFile::Access || self.is_metrics()
    }
}

/// The name of a target in lines: TorchServe's loggers keep their names.
pub(super) fn logger(target: &str) -> &str {
    match target {
        "access_log" => "ACCESS_LOG",
        "ts_metrics" => "TS_METRICS",
        "model_metrics" => "MODEL_METRICS",
        "model_log" => "MODEL_LOG",
        other => other,
    }
}

/// The ways out of the process. Cheap to clone; never waits, except where it says so.
#[derive(Clone)]
pub(super) struct Outlets {
    /// Separate, so that a terminal that is held up does not hold up the files.
    stdout: Outbox,
    files: Outbox,
    /// By [`LogFile`], which sink of `files`; `None` where the file could not be opened.
    sinks: [Option<usize>; 5],
    metrics_on_stdout: bool,
}

impl Outlets {
    /// Opens what can be opened, and complains of the rest, once for each folder.
    pub(super) fn open(settings: &LogSettings, complaints: &mut Vec<String>) -> Self {
        let tidier = Tidier::start();
        let mut open: Vec<(PathBuf, Box<dyn Sink>)> = Vec::new();
        let mut broken = BTreeSet::new();
        let sinks = LogFile::ALL.map(|file| {
            let path = &settings.files[file as usize];
            if let Some(at) = open.iter().position(|(opened, _)| opened == path) {
                return Some(at);
            }
            match RollingFile::open(path, tidier.clone()) {
                Ok(rolling) => {
                    open.push((path.clone(), Box::new(rolling)));
                    Some(open.len() - 1)
                }
                Err(error) => {
                    let folder = path.parent().unwrap_or(path);
                    if broken.insert(folder.to_owned()) {
                        let folder = folder.display();
                        complaints.push(format!(
                            "{folder}: no log files can be written there: {error}; the log goes on without them"
                        ));
                    }
                    None
                }
            }
        });
        let open = open.into_iter().map(|(_, sink)| sink).collect();
        let mut start = |name, sinks| {
            Outbox::start(name, sinks).unwrap_or_else(|error| {
                complaints.push(format!("{name}: its thread cannot be started: {error}"));
                Outbox::closed()
            })
        };
        Outlets {
            files: start("log-files", open),
            stdout: start("log-stdout", vec![Box::new(Stdout)]),
            sinks,
            metrics_on_stdout: settings.rust_log.is_some(),
        }
    }

    /// The same, without standard output.
    #[cfg(test)]
    pub(super) fn quiet(self) -> Self {
        self.stdout.close(Instant::now());
        Outlets {
            stdout: Outbox::closed(),
            ..self
        }
    }

    /// Hands on one line, its end included. `skipped` is the part of it that bare files leave out.
    pub(super) fn put(&self, file: LogFile, line: &[u8], skipped: std::ops::Range<usize>) {
        if !file.is_metrics() || self.metrics_on_stdout {
            self.stdout.put(0, &[line]);
        }
        if let Some(sink) = self.sinks[file as usize] {
            if file.is_bare() {
                self.files
                    .put(sink, &[&line[..skipped.start], &line[skipped.end..]]);
            } else {
                self.files.put(sink, &[line]);
            }
        }
    }

    /// Waits until what was put is written, or for that long.
    pub(super) fn flush(&self, patience: Duration) {
        let end = Instant::now() + patience;
        self.files.flush(end);
        self.stdout.flush(end);
    }

    /// Flushes and ends the writers.
    pub(super) fn close(&self, patience: Duration) {
        let end = Instant::now() + patience;
        self.files.close(end);
        self.stdout.close(end);
    }
}

struct Stdout;

impl Sink for Stdout {
    fn name(&self) -> String {
        "standard output".to_owned()
    }

    fn write(&mut self, lines: &[u8], _now: SystemTime) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(lines)?;
        stdout.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_file_and_a_name() {
        let check = |target: &str, file: &str, name: &str| {
            assert_eq!((LogFile::of(target).name(), logger(target)), (file, name));
        };
        check("access_log", "access_log.log", "ACCESS_LOG");
        check("ts_metrics", "ts_metrics.log", "TS_METRICS");
        check("model_metrics", "model_metrics.log", "MODEL_METRICS");
        check("model_log", "model_log.log", "MODEL_LOG");
        check(
            "torch_engine::module",
            "model_log.log",
            "torch_engine::module",
        );
        check("handlers", "model_log.log", "handlers");
        check("serving::pool", "ts_log.log", "serving::pool");
        check("handlers_of_others", "ts_log.log", "handlers_of_others");
    }
}
