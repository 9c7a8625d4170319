//! Typed reading of a model's `handler` section. Every message names the key, what was expected and what was found; a key
//! that nobody read is refused, with the one it is likely meant to be.

use std::cell::RefCell;
use std::path::{Component, Path, PathBuf};

use serde_yaml::Value as Yaml;
use servable::LoadError;

use crate::ModelContext;

/// The section's keys and values, and which keys have been asked for.
pub(crate) struct Parameters<'a> {
    dir: &'a Path,
    /// Where the keys stand, for messages: `handler`, or `handler.resize` inside it.
    section: String,
    entries: Vec<(&'a str, &'a Yaml)>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Parameters<'a> {
    pub(crate) fn read(context: &ModelContext<'a>) -> Result<Self, LoadError> {
        let parameters = match context.settings {
            None => Parameters::of(context.dir, "handler", &Yaml::Null)?,
            Some(section) => Parameters::of(context.dir, "handler", section)?,
        };
        // Python handlers' switch for their profiler; models that carry it need not drop it.
        parameters.find("profile");
        // Read by `signature.rs`, for whatever handler.
        parameters.find("signature");
        Ok(parameters)
    }

    fn of(dir: &'a Path, section: &str, value: &'a Yaml) -> Result<Self, LoadError> {
        let entries = if value.is_null() {
            Vec::new()
        } else {
            value
                .as_mapping()
                .ok_or_else(|| invalid(section, "a section of keys and values", value))?
                .iter()
                .map(|(key, value)| {
                    let name = key
                        .as_str()
                        .ok_or_else(|| invalid(section, "text keys", key))?;
                    Ok((name, value))
                })
                .collect::<Result<_, _>>()?
        };
        Ok(Parameters {
            dir,
            section: section.into(),
            entries,
            asked: RefCell::default(),
        })
    }

    /// Ends the reading: whatever key was not asked for is unknown.
    pub(crate) fn finish(self) -> Result<(), LoadError> {
        let asked = self.asked.into_inner();
        let Some((key, _)) = self.entries.iter().find(|(key, _)| !asked.contains(key)) else {
            return Ok(());
        };
        let hint = nearest(key, asked.iter().copied())
            .map(|known| format!(", did you mean `{known}`?"))
            .unwrap_or_default();
        Err(LoadError::Invalid(format!(
            "{}.{key}: unknown parameter{hint}",
            self.section
        )))
    }

    fn find(&self, key: &'static str) -> Option<&'a Yaml> {
        self.asked.borrow_mut().push(key);
        self.entries
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }

    /// The value of `key` as `read` understands it; `expected` says in words what that is.
    fn typed<T>(
        &self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&'a Yaml) -> Option<T>,
    ) -> Result<Option<T>, LoadError> {
        self.find(key)
            .map(|value| read(value).ok_or_else(|| self.wrong(key, expected, value)))
            .transpose()
    }

    /// The error for a `key` whose value is not what was expected.
    fn wrong(&self, key: &str, expected: &str, found: &Yaml) -> LoadError {
        invalid(&format!("{}.{key}", self.section), expected, found)
    }

    /// The error for a `key` whose value is well formed but cannot be used.
    pub(crate) fn refuse(&self, key: &str, reason: impl std::fmt::Display) -> LoadError {
        LoadError::Invalid(format!("{}.{key}: {reason}", self.section))
    }

    /// Whether `key` is written `none` (or left empty), which switches a step off.
    pub(crate) fn is_none(&self, key: &'static str) -> bool {
        self.find(key).is_some_and(is_none)
    }

    pub(crate) fn flag(&self, key: &'static str) -> Result<Option<bool>, LoadError> {
        self.typed(key, "true or false", Yaml::as_bool)
    }

    pub(crate) fn text(&self, key: &'static str) -> Result<Option<&'a str>, LoadError> {
        self.typed(key, "text", Yaml::as_str)
    }

    pub(crate) fn texts(&self, key: &'static str) -> Result<Option<Vec<&'a str>>, LoadError> {
        self.typed(key, "a list of texts", |value| {
            value.as_sequence()?.iter().map(Yaml::as_str).collect()
        })
    }

    pub(crate) fn number(&self, key: &'static str) -> Result<Option<f64>, LoadError> {
        self.typed(key, "a number", finite)
    }

    /// A whole number from 1 on.
    pub(crate) fn count(&self, key: &'static str) -> Result<Option<usize>, LoadError> {
        self.typed(key, "a whole number from 1 on", positive)
    }

    /// One number, or a list of as many numbers as a picture has channels.
    pub(crate) fn per_channel(&self, key: &'static str) -> Result<Option<Vec<f32>>, LoadError> {
        self.typed(key, "a number or a list of 1 or 3 numbers", |value| {
            let numbers = match value.as_sequence() {
                None => vec![finite(value)? as f32],
                Some(items) => items
                    .iter()
                    .map(|item| finite(item).map(|number| number as f32))
                    .collect::<Option<Vec<_>>>()?,
            };
            matches!(numbers.len(), 1 | 3).then_some(numbers)
        })
    }

    /// A width and a height.
    pub(crate) fn size(&self, key: &'static str) -> Result<Option<(u32, u32)>, LoadError> {
        self.typed(key, "[width, height], each from 1 to 16384", size)
    }

    /// One side in pixels.
    pub(crate) fn side(&self, key: &'static str) -> Result<Option<u32>, LoadError> {
        self.typed(key, "a side from 1 to 16384", side)
    }

    /// One side, or a width and a height.
    pub(crate) fn side_or_size(
        &self,
        key: &'static str,
    ) -> Result<Option<(u32, Option<u32>)>, LoadError> {
        self.typed(
            key,
            "a side from 1 to 16384, or [width, height]",
            |value| match size(value) {
                Some((width, height)) => Some((width, Some(height))),
                None => side(value).map(|side| (side, None)),
            },
        )
    }

    /// A list of sides in which -1 and null stand for any.
    pub(crate) fn shape(&self, key: &'static str) -> Result<Option<Vec<Option<usize>>>, LoadError> {
        self.typed(key, "a list of sizes, -1 for any", |value| {
            value
                .as_sequence()?
                .iter()
                .map(|side| {
                    if side.is_null() || side.as_i64() == Some(-1) {
                        return Some(None);
                    }
                    usize::try_from(side.as_u64()?).ok().map(Some)
                })
                .collect()
        })
    }

    /// One of a few words, each of which stands for a value.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, LoadError> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        self.typed(key, &format!("one of {}", words.join(", ")), |value| {
            let written = value.as_str()?;
            choices
                .iter()
                .find(|(word, _)| *word == written)
                .map(|(_, choice)| *choice)
        })
    }

    /// The keys and values under `key`, when it has such; the caller finishes them.
    pub(crate) fn section(&self, key: &'static str) -> Result<Option<Parameters<'a>>, LoadError> {
        match self.find(key) {
            Some(value @ Yaml::Mapping(_)) => {
                let section = format!("{}.{key}", self.section);
                Parameters::of(self.dir, &section, value).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What stands there, whatever it is; nothing where that is `null`.
    pub(crate) fn anything(&self, key: &'static str) -> Option<&'a Yaml> {
        self.find(key).filter(|value| !value.is_null())
    }

    /// A file of the archive. Only names inside its folder are taken.
    pub(crate) fn file(&self, key: &'static str) -> Result<Option<PathBuf>, LoadError> {
        let Some(name) = self.text(key)? else {
            return Ok(None);
        };
        let inside = Path::new(name)
            .components()
            .all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
        if !inside || name.is_empty() {
            return Err(self.refuse(key, format!("`{name}` is not inside the archive")));
        }
        let path = self.dir.join(name);
        if path.is_file() {
            Ok(Some(path))
        } else {
            Err(self.refuse(key, format!("the archive has no file `{name}`")))
        }
    }
}

/// A width and a height of bearable length.
fn size(value: &Yaml) -> Option<(u32, u32)> {
    match value.as_sequence()?.as_slice() {
        [width, height] => Some((side(width)?, side(height)?)),
        _ => None,
    }
}

fn side(value: &Yaml) -> Option<u32> {
    let side = u32::try_from(positive(value)?).ok()?;
    (side <= MAX_SIDE).then_some(side)
}

/// The longest side that a setting may ask for: 16384 squared is 3 GB as floats, and a mistyped zero is more.
const MAX_SIDE: u32 = 16384;

fn positive(value: &Yaml) -> Option<usize> {
    let number = usize::try_from(value.as_u64()?).ok()?;
    (number > 0).then_some(number)
}

fn finite(value: &Yaml) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

fn is_none(value: &Yaml) -> bool {
    value.is_null() || value.as_str() == Some("none")
}

fn invalid(place: &str, expected: &str, found: &Yaml) -> LoadError {
    LoadError::Invalid(format!(
        "{place}: expected {expected}, found {}",
        describe(found)
    ))
}

/// A value as a message shows it: in full while it is short.
fn describe(value: &Yaml) -> String {
    match value {
        Yaml::Null => "nothing".into(),
        Yaml::Bool(flag) => flag.to_string(),
        Yaml::Number(number) => number.to_string(),
        Yaml::String(text) => format!("`{}`", text.chars().take(40).collect::<String>()),
        Yaml::Sequence(items) if items.len() <= 4 => {
            let items: Vec<_> = items.iter().map(describe).collect();
            format!("[{}]", items.join(", "))
        }
        Yaml::Sequence(items) => format!("a list of {} items", items.len()),
        Yaml::Mapping(_) => "a section".into(),
        Yaml::Tagged(_) => "a tagged value".into(),
    }
}

/// The known word that `word` is likely a misspelling of.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 3)
        .map(|(_, candidate)| candidate)
}
