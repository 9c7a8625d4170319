//! A node that failed, as a client and the log hear of it.

use std::fmt;

use crate::error::Error;

/// Which node of which workflow failed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFailure {
    pub workflow: String,
    pub node: String,
    /// Name and version, where the node is a model.
    pub model: Option<(String, String)>,
    /// The last attempt, from 1; 0 where it was never called.
    pub attempt: u32,
    /// Which item of which scope, from the outermost inwards.
    pub item: Vec<usize>,
    pub cause: Error,
}

/// TorchServe says `Error executing NODE`, and so do we first.
impl fmt::Display for NodeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error executing {}", self.node)?;
        if !self.item.is_empty() {
            let item: Vec<_> = self.item.iter().map(usize::to_string).collect();
            write!(f, "[{}]", item.join("]["))?;
        }
        write!(f, ": {}", self.cause)
    }
}
