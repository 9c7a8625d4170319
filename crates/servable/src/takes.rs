//! The inputs of a model whose archive says all of them.

/// What a model takes by name, and nothing else: whatever else a request brings is of no use to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Takes {
    pub names: Vec<String>,
    /// The one that a request need not name: what it has as its payload is that.
    pub payload: Option<String>,
}
