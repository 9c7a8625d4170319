//! Settings as types. Whatever does not fit is reported, and a stand-in lets the reading go on, so that one start
//! tells every problem.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use super::address::Address;
use super::keys::{self, KEYS, Key, Kind, State};
use super::raw::{RawConfig, Setting};
use super::report::{Report, quote};
use crate::snapshot::WrittenSettings;

pub(crate) struct Reader<'a> {
    raw: RawConfig<'a>,
    cwd: &'a Path,
    pub(crate) report: Report,
    /// Names that were asked for, and so checked.
    read: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(raw: RawConfig<'a>, cwd: &'a Path, report: Report) -> Self {
        Reader {
            raw,
            cwd,
            report,
            read: BTreeSet::new(),
        }
    }

    /// The working directory of the start.
    pub(crate) fn cwd(&self) -> &'a Path {
        self.cwd
    }

    /// What a snapshot says of settings.
    pub(crate) fn written(&self) -> WrittenSettings {
        WrittenSettings(self.raw.written())
    }

    pub(crate) fn address(&mut self, name: &str) -> Address {
        let key = self.key(name);
        let Kind::Address(role) = key.kind else {
            panic!("{name} is not an address in the table of keys");
        };
        let parse = |value: &str| Address::parse(value.trim(), role);
        let default = self.raw.default(key).unwrap_or_default();
        let default = parse(&default).expect("default addresses are valid, as a test shows");
        let Some(setting) = self.raw.get(key) else {
            return default;
        };
        parse(&setting.value).unwrap_or_else(|message| {
            let message = format!("invalid address {}: {message}", quote(&setting.value));
            self.report.error(&setting.origin, Some(name), message);
            default
        })
    }

    /// A whole number. One that is not falls back to the default, as in TorchServe, but with a warning.
    pub(crate) fn number(&mut self, name: &str) -> Option<u64> {
        let key = self.key(name);
        let range = key.kind.range();
        let (min, max) = (*range.start(), *range.end());
        let parse = |value: &str| {
            let number = value.trim().parse().ok();
            number.filter(|number| range.contains(number))
        };
        let seconds = matches!(key.kind, Kind::Seconds { .. });
        let unit = if seconds { " of seconds" } else { "" };
        let mut expected = format!("a whole number{unit} from {min}");
        // The upper end goes without saying until somebody passes it.
        let passed = |value: &str| {
            value
                .trim()
                .parse()
                .is_ok_and(|number: u128| number > max.into())
        };
        if self
            .raw
            .get(key)
            .is_some_and(|setting| passed(&setting.value))
        {
            expected.push_str(&format!(" to {max}"));
        }
        self.or_default(key, &expected, parse)
    }

    pub(crate) fn size(&mut self, name: &str) -> usize {
        let number = self.number(name).unwrap_or_default();
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    /// `None` for 0, which stands for automatic.
    pub(crate) fn nonzero(&mut self, name: &str) -> Option<NonZeroUsize> {
        NonZeroUsize::new(self.size(name))
    }

    pub(crate) fn seconds(&mut self, name: &str) -> Duration {
        Duration::from_secs(self.number(name).unwrap_or_default())
    }

    pub(crate) fn decimal(&mut self, name: &str) -> Option<f64> {
        let key = self.key(name);
        let fits = |number: &f64| number.is_finite() && *number >= 0.0;
        self.or_default(key, "a number from 0", |value| {
            value.trim().parse().ok().filter(fits)
        })
    }

    pub(crate) fn choice(&mut self, name: &str, choices: &[&'static str]) -> Option<&'static str> {
        let key = self.key(name);
        let parse = |value: &str| {
            choices
                .iter()
                .copied()
                .find(|c| c.eq_ignore_ascii_case(value.trim()))
        };
        self.or_default(key, &format!("one of {}", choices.join(", ")), parse)
    }

    /// True for `true` in any case. Anything else is false, and unless it says so, a warning.
    pub(crate) fn bool(&mut self, name: &str) -> bool {
        let key = self.key(name);
        let Some(setting) = self.raw.get(key) else {
            return false;
        };
        let value = setting.value.trim();
        if !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") {
            let message = format!("expected true or false, found {}", quote(value));
            self.report
                .warn(&setting.origin, Some(name), message, "taken as false");
        }
        value.eq_ignore_ascii_case("true")
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.setting(name).map(|setting| setting.value)
    }

    /// Relative paths are taken from the working directory.
    pub(crate) fn path(&mut self, name: &str) -> Option<(PathBuf, Setting)> {
        let setting = self.setting(name)?;
        Some((self.cwd.join(&setting.value), setting))
    }

    pub(crate) fn json(&mut self, name: &str) -> Option<(Value, Setting)> {
        let setting = self.setting(name)?;
        match serde_json::from_str(&setting.value) {
            Ok(value) => Some((value, setting)),
            Err(error) => {
                let text = error.to_string();
                let what = text
                    .rsplit_once(" at line ")
                    .map_or(text.as_str(), |(what, _)| what);
                let message = format!("not valid JSON: {what} at character {}", error.column());
                self.report.error(&setting.origin, Some(name), message);
                None
            }
        }
    }

    /// A setting that may be absent; an empty one counts as absent.
    pub(crate) fn setting(&mut self, name: &str) -> Option<Setting> {
        let key = self.key(name);
        let mut setting = self.raw.get(key)?;
        setting.value = setting.value.trim().to_owned();
        (!setting.value.is_empty()).then_some(setting)
    }

    /// Checks the settings nobody asked for yet, so that a mistake in them is not found a release later.
    pub(crate) fn check_rest(&mut self) {
        for key in KEYS {
            if matches!(key.state, State::Ignored(_)) || self.read.contains(key.name) {
                continue;
            }
            let name = key.name;
            match key.kind {
                Kind::Address(_) => drop(self.address(name)),
                Kind::Count { .. } | Kind::Bytes | Kind::Seconds { .. } => drop(self.number(name)),
                Kind::Decimal => drop(self.decimal(name)),
                Kind::Bool => drop(self.bool(name)),
                Kind::Choice(choices) => drop(self.choice(name, choices)),
                Kind::Regex | Kind::Regexes => drop(self.regexes(name)),
                Kind::Json => drop(self.json(name)),
                Kind::Path | Kind::Text => {}
            }
        }
    }

    /// Says which settings have no effect, now or ever: one line each.
    pub(crate) fn remark_states(&mut self) {
        let set: Vec<&Key> = KEYS
            .iter()
            .filter(|key| self.raw.set(key).is_some())
            .collect();
        let later: Vec<&str> = set
            .iter()
            .filter(|key| key.state == State::Later)
            .map(|key| key.name)
            .collect();
        if !later.is_empty() {
            let text = format!(
                "accepted, without effect until a later release: {}",
                later.join(", ")
            );
            self.report.remark(text);
        }
        let ignored: Vec<String> = set
            .iter()
            .filter_map(|key| match key.state {
                State::Ignored(why) => Some(format!("{} ({why})", key.name)),
                State::Honoured | State::Later => None,
            })
            .collect();
        if !ignored.is_empty() {
            self.report.remark(format!(
                "accepted, without meaning here: {}",
                ignored.join(", ")
            ));
        }
    }

    /// One regular expression, or several between commas, as the key has it. Each that is none is an error.
    pub(crate) fn regexes(&mut self, name: &str) -> Option<String> {
        let list = self.key(name).kind == Kind::Regexes;
        let setting = self.setting(name)?;
        let one = [setting.value.as_str()];
        let expressions = if list {
            setting.value.split(',').collect()
        } else {
            one.to_vec()
        };
        for expression in expressions {
            if let Err(error) = Regex::new(expression.trim()) {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                let message = format!("not a regular expression: {}: {reason}", quote(expression));
                self.report.error(&setting.origin, Some(name), message);
            }
        }
        Some(setting.value)
    }

    fn or_default<T>(
        &mut self,
        key: &'static Key,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let setting = self.raw.get(key)?;
        if let Some(value) = parse(&setting.value) {
            return Some(value);
        }
        let default = self.raw.default(key);
        let message = format!("expected {expected}, found {}", quote(&setting.value));
        let consequence = match &default {
            Some(default) => format!("the default {default} is used"),
            None => "it is left out".to_owned(),
        };
        self.report
            .warn(&setting.origin, Some(key.name), message, consequence);
        default.as_deref().and_then(parse)
    }

    fn key(&mut self, name: &str) -> &'static Key {
        let key = keys::find(name).expect("settings are read by names of the table of keys");
        self.read.insert(key.name);
        key
    }
}
