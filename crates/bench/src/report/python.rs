//! What handlers in Python cost here and on TorchServe: the figures, and the section of the page that tells them.

use std::fmt::Write;

use super::{figure, told};
use crate::stats::Ratio;

/// What one run of `bench compare --python` found.
#[derive(Debug)]
pub struct Python {
    pub echo: Echo,
    pub protocols: Protocols,
}

/// A handler that gives back what it gets.
#[derive(Debug)]
pub struct Echo {
    /// TorchServe's, where it was there.
    pub version: Option<String>,
    pub rows: Vec<EchoRow>,
}

/// One server with so many requests at once. Figures are medians of slices, the ratio is to TorchServe's slice of the same turn.
#[derive(Debug)]
pub struct EchoRow {
    pub at_once: usize,
    pub server: &'static str,
    pub per_second: f64,
    pub median_ms: f64,
    pub p99_ms: f64,
    /// Of the server and its workers, for each request.
    pub cpu_ms: f64,
    pub speed: Ratio,
}

/// A large tensor to a worker and back.
#[derive(Debug)]
pub struct Protocols {
    pub bytes: usize,
    pub rows: Vec<ProtocolRow>,
}

/// Milliseconds by each protocol; the ratio is one's to two's.
#[derive(Debug)]
pub struct ProtocolRow {
    pub title: &'static str,
    pub one_ms: f64,
    pub two_ms: f64,
    pub ratio: Ratio,
}

impl Python {
    /// The section, in Markdown.
    pub fn section(&self) -> String {
        let mut text = String::from(INTRODUCTION);
        match &self.echo.version {
            Some(version) => {
                let _ = writeln!(text, "TorchServe {version}, both with the same Python.\n");
            }
            None => text.push_str("TorchServe was not there in this run.\n\n"),
        }
        text.push_str(
            "| at once | server | requests/s | median ms | p99 ms | CPU ms | requests/s to TorchServe's |\n\
             |---:|---|---:|---:|---:|---:|---|\n",
        );
        for row in &self.echo.rows {
            let speed = match &self.echo.version {
                Some(_) => told(row.speed),
                None => "–".into(),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {speed} |",
                row.at_once,
                row.server,
                figure(row.per_second),
                figure(row.median_ms),
                figure(row.p99_ms),
                figure(row.cpu_ms),
            );
        }
        text.push_str(&self.protocols.text());
        text
    }
}

const INTRODUCTION: &str = "\
## Handlers in Python

The same archive, whose handler gives back what it gets, on this daemon and on TorchServe, on the same machine in turn:
two workers each, batches of one, a text of 67 bytes. CPU is what the server and its workers used for a request.
";

impl Protocols {
    fn text(&self) -> String {
        let mut text = format!(
            "\n### {} MB to a worker\n\nFrom the daemon's engine to a worker, with no wire of the daemon's around it: by TorchServe's protocol, \
             which copies\neverything through a socket, and by the second one, which hands over sealed memory.\n\n\
             | | protocol one, ms | protocol two, ms | one to two |\n|---|---:|---:|---|\n",
            self.bytes / 1_000_000
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                row.title,
                figure(row.one_ms),
                figure(row.two_ms),
                told(row.ratio),
            );
        }
        text
    }
}
