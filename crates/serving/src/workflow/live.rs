//! What the nodes of a workflow have done so far: counters that cost nothing to keep.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dag::{Graph, NodeId};

/// One entry per node of the graph.
#[derive(Debug)]
pub(crate) struct Live(Vec<Counters>);

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    failures: AtomicU64,
    /// Microseconds.
    took: AtomicU64,
    /// Summed over the calls; one for each where nothing is batched.
    batch_sizes: AtomicU64,
}

/// What one node has done since it was registered.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeNumbers {
    /// Items count one by one.
    pub calls: u64,
    pub failures: u64,
    /// From when it could be called until its outcome, retries included; zero before the first call.
    pub mean_time: Duration,
    /// How many jobs were in a batch with this one, on average, itself included.
    pub mean_batch: f64,
}

impl Live {
    pub(crate) fn new(graph: &Graph) -> Self {
        Live(graph.nodes.iter().map(|_| Counters::default()).collect())
    }

    pub(crate) fn called(&self, node: NodeId, took: Duration, batch_size: usize, failed: bool) {
        let counters = &self.0[node.0];
        let add = |counter: &AtomicU64, by: u64| counter.fetch_add(by, Ordering::Relaxed);
        add(&counters.calls, 1);
        add(&counters.failures, u64::from(failed));
        add(
            &counters.took,
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        );
        add(&counters.batch_sizes, batch_size as u64);
    }

    pub(crate) fn numbers(&self) -> Vec<NodeNumbers> {
        let numbers = |counters: &Counters| {
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let calls = read(&counters.calls);
            NodeNumbers {
                calls,
                failures: read(&counters.failures),
                mean_time: Duration::from_micros(
                    read(&counters.took).checked_div(calls).unwrap_or(0),
                ),
                mean_batch: if calls == 0 {
                    0.0
                } else {
                    read(&counters.batch_sizes) as f64 / calls as f64
                },
            }
        };
        self.0.iter().map(numbers).collect()
    }
}
