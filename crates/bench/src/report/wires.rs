//! What each wire costs: the figures, and the section of the page that tells them.

use std::fmt::Write;

use super::{figure, met, told};
use crate::stats::Ratio;

/// What one run of `bench compare --grpc` found.
#[derive(Debug)]
pub struct Wires {
    pub models: Vec<WireModel>,
    pub large: Large,
}

/// A small network over every wire.
#[derive(Debug)]
pub struct WireModel {
    pub title: String,
    pub rows: Vec<WireRow>,
}

/// One wire with so many requests at once. Figures are medians of slices, ratios are to REST's slice of the same turn.
#[derive(Debug)]
pub struct WireRow {
    pub at_once: usize,
    pub wire: &'static str,
    pub per_second: f64,
    pub median_ms: f64,
    /// Of the daemon, for each request.
    pub cpu_ms: f64,
    /// Of one core, that the client took.
    pub client_share: f64,
    pub speed: Ratio,
    pub latency: Ratio,
    pub cpu: Ratio,
}

/// A large tensor over every wire.
#[derive(Debug)]
pub struct Large {
    /// Of the tensor.
    pub bytes: usize,
    pub rows: Vec<LargeRow>,
}

#[derive(Debug)]
pub struct LargeRow {
    pub row: WireRow,
    /// For each byte of the tensor, after the socket; where it is counted.
    pub copied: Option<f64>,
    /// Requests in a batch, on average.
    pub batch: f64,
}

/// How often a tensor's bytes may be copied after the socket.
const COPIES_TARGET: f64 = 1.0;
/// What is around a tensor in its message is bytes, too.
const AROUND: f64 = 0.001;

impl Wires {
    /// The section, in Markdown.
    pub fn section(&self) -> String {
        let mut text = String::from(INTRODUCTION);
        for model in &self.models {
            let _ = writeln!(text, "\n### {}, over every wire\n", model.title);
            text.push_str(
                "| at once | wire | requests/s | median ms | CPU ms | load | requests/s to REST's | median to REST's | CPU to REST's |\n\
                 |---:|---|---:|---:|---:|---:|---|---|---|\n",
            );
            for row in &model.rows {
                let _ = writeln!(text, "{}", row.cells());
            }
        }
        text.push_str(&self.large.text());
        text
    }
}

const INTRODUCTION: &str = "\
## gRPC

The same tensor over TorchServe's REST and gRPC (`Predictions`) and over the Open Inference Protocol's, whose tensors go as
bytes both ways, of one daemon and in turn: ratios are to REST's slice of the same turn. REST is asked as above. gRPC is
asked by tonic's generated client, from one thread too and over a connection for every eight calls; it writes and reads
every message, which the load on REST does not, and takes its cores from the daemon (*load*). So what the wire costs is in
the last column, and *requests/s* is what the two together reach.
";

impl WireRow {
    fn cells(&self) -> String {
        let [speed, latency, cpu] = [self.speed, self.latency, self.cpu].map(told);
        format!(
            "| {} | {} | {} | {} | {} | {:.0} % | {speed} | {latency} | {cpu} |",
            self.at_once,
            self.wire,
            figure(self.per_second),
            figure(self.median_ms),
            figure(self.cpu_ms),
            100.0 * self.client_share,
        )
    }
}

impl Large {
    fn text(&self) -> String {
        let mut text = format!(
            "\n### A tensor of {} MB\n\nFloats for a network that gives the first four of them; over TorchServe's wires as a file of NumPy's. \
             `batchSize: 4`, one worker.\n*Copied* is how often each of the tensor's bytes is copied between the socket and the \
             network, as `torchrelay_tensor_bytes_copied`\ncounts it for the Open Inference Protocol.\n\n\
             | at once | wire | requests/s | median ms | CPU ms | load | requests/s to REST's | median to REST's | CPU to REST's | in a batch | copied |\n\
             |---:|---|---:|---:|---:|---:|---|---|---|---:|---:|\n",
            self.bytes / 1_000_000
        );
        for LargeRow { row, copied, batch } in &self.rows {
            let copied = copied.map_or("–".to_owned(), |copied| format!("{copied:.2}"));
            let _ = writeln!(text, "{} {} | {copied} |", row.cells(), figure(*batch));
        }
        let most = self.rows.iter().filter_map(|row| row.copied);
        let most = most.fold(0.0, f64::max);
        let _ = writeln!(
            text,
            "\n- A byte of a tensor is copied {most:.2} times at most; the target is {COPIES_TARGET}: {}.",
            met(most <= COPIES_TARGET + AROUND)
        );
        text
    }
}
