//! What happened at each node of one request, for a client that asked.

use std::time::Duration;

use servable::Value;

/// Everything that happened, in the order in which it ended.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    pub total: Duration,
    /// What the client may not have meant: parts of its request that nothing takes.
    pub warnings: Vec<String>,
    pub happenings: Vec<Happening>,
}

/// One call of one node.
#[derive(Debug, Clone)]
pub struct Happening {
    pub node: String,
    /// `model` or `function`.
    pub kind: &'static str,
    pub item: Vec<usize>,
    /// Since the request began.
    pub start: Duration,
    pub took: Duration,
    /// Waiting for a worker, or for a core.
    pub queue: Duration,
    /// The part of it spent waiting for company.
    pub batch_wait: Duration,
    pub compute: Duration,
    /// How many jobs were in its batch.
    pub batch_size: usize,
    pub attempts: u32,
    pub bytes_in: usize,
    pub bytes_out: usize,
    /// What went wrong, if it failed.
    pub error: Option<String>,
}

impl Timeline {
    /// As a client sees it: times in milliseconds.
    pub fn to_value(&self) -> Value {
        let nodes = self.happenings.iter().map(Happening::to_value);
        let mut members = vec![("total_ms", millis(self.total))];
        if !self.warnings.is_empty() {
            let warnings = self.warnings.iter().map(|text| Value::from(text.as_str()));
            members.push(("warnings", Value::list(warnings)));
        }
        members.push(("nodes", Value::list(nodes)));
        Value::map(members)
    }
}

impl Happening {
    fn to_value(&self) -> Value {
        let count = |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let mut members = vec![
            ("node", Value::from(self.node.as_str())),
            ("kind", Value::from(self.kind)),
        ];
        if !self.item.is_empty() {
            let item = self.item.iter().map(|&index| count(index));
            members.push(("item", Value::list(item)));
        }
        members.extend([
            ("start_ms", millis(self.start)),
            ("took_ms", millis(self.took)),
            ("queue_ms", millis(self.queue)),
            ("batch_wait_ms", millis(self.batch_wait)),
            ("compute_ms", millis(self.compute)),
            ("batch_size", count(self.batch_size)),
            ("attempts", Value::Int(self.attempts.into())),
            ("bytes_in", count(self.bytes_in)),
            ("bytes_out", count(self.bytes_out)),
        ]);
        if let Some(error) = &self.error {
            members.push(("error", Value::from(error.as_str())));
        }
        Value::map(members)
    }
}

fn millis(duration: Duration) -> Value {
    // Microseconds are as fine as anybody can use.
    Value::Float(duration.as_micros() as f64 / 1e3)
}
