//! What workflows cost and bring: the figures, and the section of the page that tells them.

use std::fmt::Write;

use super::{figure, met};
use crate::stats::Ratio;

/// What one run of `bench compare --workflows` found.
#[derive(Debug)]
pub struct Workflows {
    pub demo: Demo,
    pub cover: Cover,
    pub chain: Chain,
    pub merging: Merging,
    pub forms: Option<Forms>,
}

/// A shipped workflow, asked by one connection. Milliseconds.
#[derive(Debug)]
pub struct Demo {
    /// Of a whole request, the median.
    pub alone_ms: f64,
    /// What its nodes computed, summed up as `explain` tells it, the median.
    pub compute_ms: f64,
    /// The difference within each pair of slices, the median.
    pub added_ms: f64,
}

/// The same workflow beside libtorch alone, one picture after the other. Milliseconds of a picture.
#[derive(Debug)]
pub struct Cover {
    /// Asked over HTTP, everything up to the shares.
    pub served_ms: f64,
    /// Decoded, brought to size and through the network, in a loop.
    pub bare_ms: f64,
    /// Cores of the loop.
    pub threads: usize,
    /// The former for the latter, within each pair of slices.
    pub ratio: Ratio,
}

/// A chain of nodes that do nothing, asked by one connection. Microseconds.
#[derive(Debug)]
pub struct Chain {
    pub nodes: usize,
    /// Of a request with one node, the median.
    pub one_us: f64,
    /// Of a request with all of them.
    pub all_us: f64,
    /// What one node more costs.
    pub node_us: f64,
}

/// Requests of several items each, whose items may or may not share batches with those of other requests.
#[derive(Debug)]
pub struct Merging {
    pub connections: usize,
    /// Of one request.
    pub items: usize,
    /// Requests a second.
    pub together: f64,
    pub apart: f64,
    /// The former for the latter, within each pair of slices.
    pub ratio: Ratio,
    /// Items in a batch, on average.
    pub batch: f64,
    pub batch_apart: f64,
}

/// The reading of number plates in both forms of docs/guides/plates.md, one connection each. Milliseconds of a request.
#[derive(Debug)]
pub struct Forms {
    /// Every step a node.
    pub typed_ms: f64,
    /// Three models that do a whole step each.
    pub steps_ms: f64,
    /// The former for the latter, within each pair of slices.
    pub ratio: Ratio,
}

/// What a workflow may add to the work of its nodes, in milliseconds.
const ADDED_TARGET: f64 = 1.0;
/// What a node that does nothing may cost, in microseconds.
const NODE_TARGET: f64 = 20.0;
/// Items in a batch.
const BATCH_TARGET: f64 = 8.0;
/// How many times the requests that are answered apart.
const MERGING_TARGET: f64 = 2.0;

impl Workflows {
    /// The section, in Markdown.
    pub fn section(&self) -> String {
        let Workflows {
            demo,
            cover,
            chain,
            merging,
            forms,
        } = self;
        let mut text = String::from(
            "## Workflows\n\nWhat a graph costs around its models. One connection; *compute* is the sum over the nodes of what each of \
             them computed,\nas `?explain=1` tells it, asked in turn with plain requests in one run.\n\n\
             | | a request | compute | difference | target |\n|---|---:|---:|---:|---|\n",
        );
        let _ = writeln!(
            text,
            "| `segment_cover` | {} ms | {} ms | **{} ms** | < {ADDED_TARGET} ms: {} |",
            figure(demo.alone_ms),
            figure(demo.compute_ms),
            figure(demo.added_ms),
            met(demo.added_ms < ADDED_TARGET)
        );
        let _ = writeln!(
            text,
            "| {} nodes | {} µs | {} µs for one | **{} µs** a node | < {NODE_TARGET} µs: {} |",
            chain.nodes,
            figure(chain.all_us),
            figure(chain.one_us),
            figure(chain.node_us),
            met(chain.node_us < NODE_TARGET)
        );
        text.push_str(&cover.line());
        let _ = write!(
            text,
            "\nWhat batches across requests bring. {} connections, each with requests of {} items for a network of \
             128 small layers\n(`batch-size: 32`, one worker); with `merge: false` a batch is what one request brings.\n\n\
             | items of different requests | requests/s | items in a batch |\n|---|---:|---:|\n\
             | together | {} | {} |\n| apart (`merge: false`) | {} | {} |\n\n",
            merging.connections,
            merging.items,
            figure(merging.together),
            figure(merging.batch),
            figure(merging.apart),
            figure(merging.batch_apart),
        );
        let Ratio {
            median,
            least,
            most,
        } = merging.ratio;
        let _ = writeln!(
            text,
            "- Together answers **{}** ({} to {}) times; the target is {MERGING_TARGET}: {}.\n\
             - A batch holds {} items on average; the target is a mean batch above {BATCH_TARGET}: {}.",
            figure(median),
            figure(least),
            figure(most),
            met(median >= MERGING_TARGET),
            figure(merging.batch),
            met(merging.batch > BATCH_TARGET)
        );
        if let Some(forms) = forms {
            text.push_str(&forms.line());
        }
        text
    }
}

impl Cover {
    fn line(&self) -> String {
        let Ratio {
            median,
            least,
            most,
        } = self.ratio;
        format!(
            "\n`segment_cover` of a 720 × 720 JPEG, one picture after the other: {} ms. libtorch alone in a loop that decodes, brings to \
             size\nand runs the network, on {} core{}: {} ms. The workflow takes **{}** ({} to {}) times as long.\n",
            figure(self.served_ms),
            self.threads,
            if self.threads == 1 { "" } else { "s" },
            figure(self.bare_ms),
            figure(median),
            figure(least),
            figure(most),
        )
    }
}

impl Forms {
    fn line(&self) -> String {
        let Ratio {
            median,
            least,
            most,
        } = self.ratio;
        format!(
            "\nNumber plates ([the guide](guides/plates.md)), one picture after the other: with every step a node {} ms, as three models \
             that do\na step each {} ms, **{}** ({} to {}) times.\n",
            figure(self.typed_ms),
            figure(self.steps_ms),
            figure(median),
            figure(least),
            figure(most),
        )
    }
}
