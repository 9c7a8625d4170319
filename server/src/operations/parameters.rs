//! Parameters of a call, as names and texts: from a query string, or from a JSON object.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::Value;

use super::Page;
use crate::error::Failure;

/// Names to texts. As in TorchServe, a number that is none counts as absent, and a flag is true only if it says `true`.
#[derive(Debug)]
pub(crate) struct Parameters(HashMap<String, String>);

impl Parameters {
    pub(crate) fn from_query(query: HashMap<String, String>) -> Self {
        Parameters(query)
    }

    /// The members of a JSON object that are texts, numbers or flags.
    pub(crate) fn from_json(text: &[u8]) -> Result<Self, Failure> {
        let members: serde_json::Map<String, Value> =
            serde_json::from_slice(text).map_err(|error| Failure {
                kind: "JsonSyntaxException",
                ..Failure::internal(error.to_string())
            })?;
        let text_of = |value: Value| match value {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let members = members
            .into_iter()
            .filter_map(|(name, value)| Some((name, text_of(value)?)));
        Ok(Parameters(members.collect()))
    }

    /// A name that is none of these, if there is one.
    pub(crate) fn other_than(&self, known: &[&str]) -> Option<&str> {
        let mut names = self.0.keys().map(String::as_str);
        names.find(|name| !known.contains(name))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    pub(crate) fn count(&self, name: &str) -> Option<NonZeroUsize> {
        NonZeroUsize::new(usize::try_from(self.number(name)?).ok()?)
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        Some(self.text(name)?.eq_ignore_ascii_case("true"))
    }

    /// The part of a list that `limit` and `next_page_token` ask for.
    pub(crate) fn page(&self) -> Page {
        Page::asked(self.number("limit"), self.number("next_page_token"))
    }

    pub(crate) fn millis(&self, name: &str) -> Option<Duration> {
        Some(Duration::from_millis(
            u64::try_from(self.number(name)?).ok()?,
        ))
    }

    pub(crate) fn seconds(&self, name: &str) -> Option<Duration> {
        Some(Duration::from_secs(u64::try_from(self.number(name)?).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_parse_counts_as_absent() {
        let query = [
            ("a", "x"),
            ("b", "-1"),
            ("c", "0"),
            ("d", "TRUE"),
            ("e", "yes"),
        ];
        let owned = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let parameters = Parameters::from_query(HashMap::from(owned));
        assert_eq!(parameters.number("a"), None);
        assert_eq!(
            (parameters.number("b"), parameters.seconds("b")),
            (Some(-1), None)
        );
        assert_eq!(
            (parameters.count("c"), parameters.seconds("c")),
            (None, Some(Duration::ZERO))
        );
        assert_eq!(
            (
                parameters.flag("d"),
                parameters.flag("e"),
                parameters.flag("f")
            ),
            (Some(true), Some(false), None)
        );
    }
}
