//! What a log is made of, as values; the configuration makes them.

use std::path::{Path, PathBuf};

use super::files::LogFile;

/// The levels where nobody says any: directives as in `RUST_LOG`.
pub const DEFAULT_LEVELS: &str = "info";

/// The form of lines, on standard output and in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `2026-11-21T21:56:03,417 [INFO ] thread logger - message`
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// How one process logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    /// Directives that go before `levels`; where they admit metrics, these are shown on standard output, too.
    pub rust_log: Option<String>,
    /// Directives as in `RUST_LOG`.
    pub levels: String,
    /// By [`LogFile`]. Several logs may share a file.
    pub files: [PathBuf; 5],
    /// Where traces go: the address of a collector that speaks OTLP over HTTP.
    pub otlp_endpoint: Option<String>,
}

impl LogSettings {
    /// Where the server's own lines go: whatever else is written down belongs there.
    pub fn folder(&self) -> &Path {
        let folder = self.files[0].parent();
        folder.unwrap_or(Path::new("."))
    }

    /// Files of their own names in these folders, and otherwise what nobody asked to be otherwise.
    pub fn new(logs: &Path, metrics: &Path) -> Self {
        LogSettings {
            format: LogFormat::default(),
            rust_log: None,
            levels: DEFAULT_LEVELS.to_owned(),
            files: LogFile::ALL.map(|file| {
                let folder = if file.is_metrics() { metrics } else { logs };
                folder.join(file.name())
            }),
            otlp_endpoint: None,
        }
    }
}
