//! The metrics of one workflow: its requests by outcome, and the time of each node.

use std::sync::Arc;
use std::time::Duration;

use super::family::Series;
use super::{Inner, Own};

/// How the requests of one workflow end.
const OUTCOMES: [&str; 3] = ["answered", "degraded", "failed"];

/// Made once, when the workflow is registered. Cheap to clone.
#[derive(Clone)]
pub struct WorkflowMetrics(Arc<WorkflowSeries>);

struct WorkflowSeries {
    /// In the order of [`OUTCOMES`].
    requests: [Series; 3],
    took: Series,
    /// In the order of the graph.
    nodes: Vec<Series>,
}

impl WorkflowMetrics {
    pub(super) fn new<'n>(
        metrics: &Inner,
        workflow: &str,
        nodes: impl Iterator<Item = &'n str>,
    ) -> Self {
        let requests =
            OUTCOMES.map(|outcome| metrics.own_series(Own::WorkflowRequests, &[workflow, outcome]));
        let node = |name| metrics.own_series(Own::WorkflowNode, &[workflow, name]);
        WorkflowMetrics(Arc::new(WorkflowSeries {
            requests,
            took: metrics.own_series(Own::WorkflowRequest, &[workflow]),
            nodes: nodes.map(node).collect(),
        }))
    }

    /// A request has ended, with one of the outcomes `answered`, `degraded` and `failed`.
    pub(crate) fn request(&self, outcome: &str, took: Duration) {
        let place = OUTCOMES.iter().position(|known| *known == outcome);
        if let Some(place) = place {
            self.0.requests[place].record(1.0);
        }
        self.0.took.record(took.as_secs_f64());
    }

    /// A call of the `index`-th node of the graph has ended.
    pub(crate) fn node(&self, index: usize, took: Duration) {
        if let Some(series) = self.0.nodes.get(index) {
            series.record(took.as_secs_f64());
        }
    }
}
