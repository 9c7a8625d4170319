//! With which headers a request says to which sequence it belongs.

use servable::Input;
use uuid::Uuid;

use crate::sequences::SequenceStep;

/// The headers with which a request says to which sequence it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceHeaders {
    pub id: String,
    /// `true` where the sequence begins.
    pub start: String,
    /// `true` where it ends.
    pub end: String,
}

impl Default for SequenceHeaders {
    fn default() -> Self {
        SequenceHeaders {
            id: "ts_request_sequence_id".into(),
            start: "ts_request_sequence_start".into(),
            end: "ts_request_sequence_end".into(),
        }
    }
}

impl SequenceHeaders {
    /// The step that a request is. One that names no sequence opens one of its own, and its handler sees that in its headers.
    pub(crate) fn step(&self, input: &mut Input) -> SequenceStep {
        let says_true = |name: &str| {
            let value = input.header(name);
            value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        let (start, end) = (says_true(&self.start), says_true(&self.end));
        if let Some(id) = input.header(&self.id).filter(|id| !id.is_empty()) {
            let id = id.to_owned();
            return SequenceStep { id, start, end };
        }
        let id = format!("ts-seq-{}", Uuid::new_v4());
        let ours = [&self.id, &self.start];
        input
            .headers
            .retain(|(name, _)| !ours.iter().any(|our| name.eq_ignore_ascii_case(our)));
        input.headers.push((self.id.clone(), id.clone()));
        input.headers.push((self.start.clone(), "true".into()));
        SequenceStep {
            id,
            start: true,
            end,
        }
    }
}
