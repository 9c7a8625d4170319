//! Typed access to a YAML mapping. A wrong type is a warning and an absent key, never an error.

use serde_yaml::Value;

/// One mapping of the document.
pub(super) struct Keys<'a, 'w> {
    mapping: &'a Value,
    /// Path of the mapping in the document, with a dot at its end.
    path: &'static str,
    warnings: &'w mut Vec<String>,
    /// The keys that were asked for, there or not.
    asked: Vec<&'static str>,
}

impl<'a, 'w> Keys<'a, 'w> {
    pub(super) fn new(
        mapping: &'a Value,
        path: &'static str,
        warnings: &'w mut Vec<String>,
    ) -> Self {
        Keys {
            mapping,
            path,
            warnings,
            asked: Vec::new(),
        }
    }

    /// Ends the reading: the keys that were asked for.
    pub(super) fn asked(self) -> Vec<&'static str> {
        self.asked
    }

    /// A whole number from 0.
    pub(super) fn count(&mut self, key: &'static str) -> Option<u32> {
        self.read(key, "a whole number from 0", as_count)
    }

    /// A whole number from 1.
    pub(super) fn positive(&mut self, key: &'static str) -> Option<u32> {
        self.read(key, "a whole number from 1", |value| {
            as_count(value).filter(|&number| number > 0)
        })
    }

    /// A whole number; what is below 1 counts as 1.
    pub(super) fn at_least_one(&mut self, key: &'static str) -> Option<u32> {
        self.read(key, "a whole number", |value| {
            let number = value.as_i64()?.max(1);
            u32::try_from(number).ok()
        })
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", Value::as_bool)
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, "text", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn counts(&mut self, key: &'static str) -> Option<Vec<u32>> {
        self.read(key, "a list of whole numbers from 0", |value| {
            value.as_sequence()?.iter().map(as_count).collect()
        })
    }

    /// One of a few words, in any case.
    pub(super) fn one_of<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let expected: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.read(key, &expected.join(" or "), |value| {
            let text = value.as_str()?;
            let (_, meaning) = words
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text))?;
            Some(*meaning)
        })
    }

    pub(super) fn mapping(&mut self, key: &'static str) -> Option<&'a Value> {
        self.read(key, "a mapping", |value| {
            value.is_mapping().then_some(value)
        })
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        self.asked.push(key);
        // A key with nothing behind it is a key that is not set.
        let value = self.mapping.get(key).filter(|value| !value.is_null())?;
        let read = read(value);
        if read.is_none() {
            let (path, found) = (self.path, show(value));
            self.warnings.push(format!(
                "key {path}{key} ignored: expected {expected}, found {found}"
            ));
        }
        read
    }
}

fn as_count(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

/// What a value is, in a word or two.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Tagged(_) => "a tagged value",
    }
}

/// A scalar as itself, anything larger by its kind.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => {
            kind(value).to_owned()
        }
    }
}
