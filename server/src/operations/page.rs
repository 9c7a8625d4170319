//! One page of a list, as TorchServe cuts it.

use serde_json::{Map, Value, json};

use super::Done;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    start: usize,
    limit: usize,
}

impl Page {
    /// What a client asks for; a limit of more than 100, and a number that is none, count as not given.
    pub(crate) fn asked(limit: Option<i64>, next_page_token: Option<i64>) -> Self {
        const MOST: usize = 100;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let start = next_page_token.and_then(|start| usize::try_from(start).ok());
        Page {
            start: start.unwrap_or(0),
            limit: limit.filter(|&limit| limit <= MOST).unwrap_or(MOST),
        }
    }

    /// This page of `items`, as the member `name`.
    pub(super) fn of(self, name: &str, items: impl ExactSizeIterator<Item = Value>) -> Done {
        let count = items.len();
        let page: Vec<Value> = items.skip(self.start).take(self.limit).collect();
        let mut document = Map::new();
        let end = self.start.saturating_add(self.limit);
        // A full last page still carries a token.
        if end <= count {
            document.insert("nextPageToken".into(), json!(end.to_string()));
        }
        document.insert(name.into(), Value::Array(page));
        Done::with(Value::Object(document))
    }
}
