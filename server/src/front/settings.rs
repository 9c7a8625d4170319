//! What the environment may change of a front: the section `settings` of its document, and `${name}` elsewhere in it.
//!
//! A variable that does not fit is not followed: the default counts, and whoever starts the server is told. A service that
//! is configured with nonsense shall run.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::Value as Yaml;

use crate::config::Env;

/// A variable of the environment that was not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    pub variable: String,
    /// Shortened where it is long.
    pub found: String,
    pub expected: String,
    pub default: String,
}

/// As written: `{env: NAME, default: …}`, with `one_of` for words and `from` and `to` for whole numbers; without
/// either it is a switch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    env: String,
    default: Yaml,
    one_of: Option<Vec<String>>,
    from: Option<u64>,
    to: Option<u64>,
}

enum Kind {
    Word(Vec<String>),
    Number { from: u64, to: u64 },
    Switch,
}

/// The values by name.
pub(super) struct Settings(BTreeMap<String, Yaml>);

impl Settings {
    /// Reads the section. An error is a place below it and a reason.
    pub(super) fn read(
        section: Yaml,
        env: &Env<'_>,
        unfit: &mut Vec<Unfit>,
    ) -> Result<Self, (String, String)> {
        if section.is_null() {
            return Ok(Settings(BTreeMap::new()));
        }
        let Yaml::Mapping(section) = section else {
            return Err((String::new(), "expected settings by name".to_owned()));
        };
        let mut values = BTreeMap::new();
        for (name, written) in section {
            let Some(name) = name.as_str().map(str::to_owned) else {
                return Err((String::new(), "expected settings by name".to_owned()));
            };
            let value = serde_yaml::from_value(written)
                .map_err(|error| error.to_string())
                .and_then(|written| value(written, env, unfit))
                .map_err(|reason| (format!(".{name}"), reason))?;
            values.insert(name, value);
        }
        Ok(Settings(values))
    }

    /// Puts the values into every text of `yaml`. A text that is nothing but `${name}` becomes the value with its type.
    /// An error is a place below `yaml`, and a reason.
    pub(super) fn fill(&self, yaml: &mut Yaml) -> Result<(), (String, String)> {
        match yaml {
            Yaml::String(text) => {
                if let Some(filled) = self.filled(text).map_err(|why| (String::new(), why))? {
                    *yaml = filled;
                }
            }
            Yaml::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.fill(item)
                        .map_err(|(place, why)| (format!("[{index}]{place}"), why))?;
                }
            }
            Yaml::Mapping(members) => {
                for (key, value) in members.iter_mut() {
                    let key = key.as_str().unwrap_or("?");
                    self.fill(value)
                        .map_err(|(place, why)| (format!(".{key}{place}"), why))?;
                }
            }
            Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) | Yaml::Tagged(_) => {}
        }
        Ok(())
    }

    fn filled(&self, text: &str) -> Result<Option<Yaml>, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after
                .split_once('}')
                .ok_or_else(|| format!("{text:?}: `${{` is not closed"))?;
            let value = self
                .0
                .get(name)
                .ok_or_else(|| format!("there is no setting `{name}`"))?;
            if before.is_empty() && tail.is_empty() && filled.is_empty() {
                return Ok(Some(value.clone()));
            }
            filled.push_str(before);
            filled.push_str(&shown(value));
            rest = tail;
        }
        filled.push_str(rest);
        Ok((filled != text).then_some(Yaml::String(filled)))
    }
}

fn value(written: Written, env: &Env<'_>, unfit: &mut Vec<Unfit>) -> Result<Yaml, String> {
    let kind = kind(&written)?;
    let default = shown(&written.default);
    // An empty variable is what many a launcher makes of one that is not set.
    let Some(found) = env(&written.env).filter(|found| !found.is_empty()) else {
        return Ok(written.default);
    };
    Ok(kind.read(&found).unwrap_or_else(|| {
        unfit.push(Unfit {
            variable: written.env,
            found: found.chars().take(40).collect(),
            expected: kind.expected(),
            default,
        });
        written.default
    }))
}

fn kind(written: &Written) -> Result<Kind, String> {
    let kind = match (&written.one_of, written.from, written.to) {
        (Some(words), None, None) => Kind::Word(words.clone()),
        (None, Some(from), Some(to)) => Kind::Number { from, to },
        (None, None, None) => Kind::Switch,
        _ => return Err("expected `one_of`, or `from` and `to`, or none of them".to_owned()),
    };
    match kind.read(&shown(&written.default)) {
        Some(value) if value == written.default => Ok(kind),
        _ => Err(format!("default: expected {}", kind.expected())),
    }
}

impl Kind {
    fn read(&self, text: &str) -> Option<Yaml> {
        match self {
            Kind::Word(words) => words
                .iter()
                .find(|word| *word == text)
                .cloned()
                .map(Yaml::String),
            Kind::Number { from, to } => {
                // Not what the parser of numbers takes: `+5` is no number of a setting.
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse().ok().filter(|_| digits)?;
                (*from..=*to).contains(&number).then(|| Yaml::from(number))
            }
            Kind::Switch if text.eq_ignore_ascii_case("true") => Some(Yaml::Bool(true)),
            Kind::Switch if text.eq_ignore_ascii_case("false") => Some(Yaml::Bool(false)),
            Kind::Switch => None,
        }
    }

    fn expected(&self) -> String {
        match self {
            Kind::Word(words) => format!("one of {}", words.join(", ")),
            Kind::Number { from, to } => format!("a whole number from {from} to {to}"),
            Kind::Switch => "true or false".to_owned(),
        }
    }
}

fn shown(value: &Yaml) -> String {
    match value {
        Yaml::String(text) => text.clone(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::Number(number) => number.to_string(),
        Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_) => String::new(),
    }
}
