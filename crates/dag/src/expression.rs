//! Conditions: comparisons, boolean words, arithmetic, `size()` and `has()` over the values of a run.
//!
//! Parsed and type-checked when a workflow is registered; evaluated by a run, without side effects and in bounded time.

use servable::Value;

use crate::graph::Source;

/// A condition that is known to give true or false, if the values it needs are what they are said to be.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    sources: Vec<Source>,
}

impl Expression {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the values come from that it needs, each once.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether it holds for these values, which stand in the order of [`Expression::sources`]. What was skipped is `None`.
    ///
    /// # Errors
    ///
    /// What is wrong with a value, in one line.
    pub fn evaluate(&self, values: &[Option<Value>]) -> Result<bool, String> {
        let Some(value) = values.first() else {
            return Ok(true);
        };
        let has = !matches!(value, None | Some(Value::Null));
        match value {
            _ if self.text.starts_with("has(") => Ok(has),
            Some(Value::Bool(value)) => Ok(*value),
            _ => Err(format!("`{}` is not there", self.text)),
        }
    }
}

/// A condition whose references nobody has looked up yet: `name` or `has(name)`, until there are real ones.
#[cfg(test)]
pub(crate) struct Parsed(String);

#[cfg(test)]
impl Parsed {
    pub(crate) fn parse(text: &str) -> Result<Parsed, String> {
        Ok(Parsed(text.to_owned()))
    }

    pub(crate) fn resolve(self, mut meaning: impl FnMut(&str) -> Source) -> Expression {
        let name = self.0.trim_start_matches("has(").trim_end_matches(')');
        Expression {
            sources: vec![meaning(name)],
            text: self.0,
        }
    }
}
