//! Typed reading of a node's `with:`. Every mistake is remembered, so that all are told at once.

use dag::{About, Arguments, ParameterError};
use serde_json::Value as Json;

/// The parameters of one node, and what has been found wrong with them.
pub(crate) struct Parameters<'a> {
    about: &'a About,
    given: &'a Arguments,
    wrong: Vec<ParameterError>,
    missing: Vec<ParameterError>,
}

/// The longest side that a parameter may ask for: 16384 squared is 3 GB as floats, and a mistyped zero is more.
pub(crate) const MAX_SIDE: u32 = 16384;

impl<'a> Parameters<'a> {
    pub(crate) fn new(about: &'a About, given: &'a Arguments) -> Self {
        let mut parameters = Parameters {
            about,
            given,
            wrong: Vec::new(),
            missing: Vec::new(),
        };
        for name in given.keys() {
            if !about.parameters.iter().any(|known| known.name == name) {
                let message = parameters.unknown(name);
                parameters.refuse(name, message);
            }
        }
        for known in about.parameters {
            if known.default.is_none() && parameters.find(known.name).is_none() {
                parameters.miss(known.name, "must be given");
            }
        }
        parameters
    }

    fn unknown(&self, name: &str) -> String {
        let known = self.about.parameters.iter().map(|known| known.name);
        match nearest(name, known.clone()) {
            Some(near) => format!("unknown parameter, did you mean `{near}`?"),
            None if self.about.parameters.is_empty() => {
                format!("unknown parameter: {} takes none", self.about.name)
            }
            None => {
                let known: Vec<_> = known.collect();
                format!("unknown parameter, expected one of {}", known.join(", "))
            }
        }
    }

    /// What is wrong, and what is missing.
    pub(crate) fn finish(self) -> (Vec<ParameterError>, Vec<ParameterError>) {
        (self.wrong, self.missing)
    }

    /// Remembers that a parameter cannot be used as it is.
    pub(crate) fn refuse(&mut self, parameter: &str, message: impl Into<String>) {
        self.wrong.push(ParameterError {
            parameter: parameter.into(),
            message: message.into(),
        });
    }

    /// Remembers that a parameter is needed, which may still come with each call.
    pub(crate) fn miss(&mut self, parameter: &str, message: impl Into<String>) {
        self.missing.push(ParameterError {
            parameter: parameter.into(),
            message: message.into(),
        });
    }

    /// The value as it is written; `None` where there is none.
    pub(crate) fn find(&self, name: &str) -> Option<&'a Json> {
        debug_assert!(self.about.parameters.iter().any(|known| known.name == name));
        self.given.get(name).filter(|value| !value.is_null())
    }

    /// The value as `read` understands it; `expected` says in words what that is.
    pub(crate) fn typed<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Json) -> Option<T>,
    ) -> Option<T> {
        let value = self.find(name)?;
        let found = read(value);
        if found.is_none() {
            self.refuse(
                name,
                format!("expected {expected}, found {}", describe(value)),
            );
        }
        found
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "true or false", Json::as_bool)
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.typed(name, "text", Json::as_str)
    }

    pub(crate) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        self.typed(name, "a list of texts", |value| {
            let texts = value.as_array()?.iter();
            texts.map(|text| text.as_str().map(str::to_owned)).collect()
        })
    }

    /// A number within bounds.
    pub(crate) fn number(&mut self, name: &str, least: f64, most: f64) -> Option<f64> {
        let expected = match (least.is_finite(), most.is_finite()) {
            (true, true) => format!("a number from {least} to {most}"),
            (true, false) => format!("a number from {least} on"),
            (false, _) => "a number".into(),
        };
        self.typed(name, &expected, |value| {
            value.as_f64().filter(|n| (least..=most).contains(n))
        })
    }

    /// A whole number within bounds.
    pub(crate) fn whole(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        let expected = match most {
            i64::MAX => format!("a whole number from {least} on"),
            _ => format!("a whole number from {least} to {most}"),
        };
        self.typed(name, &expected, |value| {
            value.as_i64().filter(|n| (least..=most).contains(n))
        })
    }

    /// How many of something; at least 1.
    pub(crate) fn count(&mut self, name: &str, most: usize) -> Option<usize> {
        let found = self.whole(name, 1, i64::try_from(most).unwrap_or(i64::MAX))?;
        usize::try_from(found).ok()
    }

    /// One side in pixels.
    pub(crate) fn side(&mut self, name: &str) -> Option<u32> {
        self.typed(name, &format!("a side from 1 to {MAX_SIDE}"), side)
    }

    /// A width and a height.
    pub(crate) fn size(&mut self, name: &str) -> Option<(u32, u32)> {
        let expected = format!("[width, height], each from 1 to {MAX_SIDE}");
        self.typed(name, &expected, |value| {
            match value.as_array()?.as_slice() {
                [width, height] => Some((side(width)?, side(height)?)),
                _ => None,
            }
        })
    }

    /// One number for all channels, or one for each of three.
    pub(crate) fn per_channel(&mut self, name: &str) -> Option<[f32; 3]> {
        self.typed(name, "a number or a list of 3 numbers", |value| {
            let Some(items) = value.as_array() else {
                return Some([single(value)?; 3]);
            };
            let numbers: Vec<_> = items.iter().map(single).collect::<Option<_>>()?;
            match *numbers.as_slice() {
                [every] => Some([every; 3]),
                [first, second, third] => Some([first, second, third]),
                _ => None,
            }
        })
    }

    /// One of a few words, each of which stands for a value.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let written = self.text(name)?;
        let found = choices.iter().find(|(word, _)| *word == written);
        if found.is_none() {
            let near = nearest(written, words.iter().copied())
                .map(|near| format!(", did you mean `{near}`?"))
                .unwrap_or_default();
            let words = words.join(", ");
            self.refuse(
                name,
                format!("expected one of {words}, found `{written}`{near}"),
            );
        }
        found.map(|(_, choice)| *choice)
    }
}

fn side(value: &Json) -> Option<u32> {
    let side = u32::try_from(value.as_u64()?).ok()?;
    (1..=MAX_SIDE).contains(&side).then_some(side)
}

/// A number that single precision can hold.
pub(crate) fn single(value: &Json) -> Option<f32> {
    let number = value.as_f64()? as f32;
    number.is_finite().then_some(number)
}

/// A value as a message shows it: in full while it is short.
fn describe(value: &Json) -> String {
    match value {
        Json::Null => "nothing".into(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => format!("`{}`", text.chars().take(40).collect::<String>()),
        Json::Array(items) if items.len() <= 4 => {
            let items: Vec<_> = items.iter().map(describe).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Array(items) => format!("a list of {} items", items.len()),
        Json::Object(_) => "an object".into(),
    }
}

/// The known word that `word` is likely a misspelling of.
fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 3)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use dag::Parameter;

    use super::*;

    const KNOWN: [&str; 4] = ["size", "kernel", "share", "mean"];
    static PARAMETERS: [Parameter; 4] = [known(0), known(1), known(2), known(3)];

    const fn known(index: usize) -> Parameter {
        Parameter {
            name: KNOWN[index],
            values: "",
            default: if index == 0 { None } else { Some("") },
            about: "",
        }
    }

    fn check(yaml: &str, expected: &[&str]) {
        let given: Arguments = serde_yaml::from_str(yaml).expect("YAML");
        let about = About {
            name: "test",
            summary: "",
            details: "",
            inputs: &[],
            open: false,
            parameters: &PARAMETERS,
            output: "any",
            example: "",
        };
        let mut parameters = Parameters::new(&about, &given);
        parameters.size("size");
        parameters.choice("kernel", &[("near", 1), ("far", 2)]);
        parameters.number("share", 0.0, 1.0);
        parameters.per_channel("mean");
        let (wrong, missing) = parameters.finish();
        let found = wrong.iter().chain(&missing).map(ToString::to_string);
        assert_eq!(found.collect::<Vec<_>>(), expected, "{yaml}");
    }

    #[test]
    fn every_mistake_is_told() {
        check(
            "{size: [2, 3], kernel: far, share: 0.5, mean: [1, 2, 3]}",
            &[],
        );
        check("{size: [2, 3], kernel: null, mean: 1}", &[]);
        check("{}", &["size: must be given"]);
        check(
            "{size: [0, 3], kernal: far, kernel: neer, share: 2, mean: [1, 2]}",
            &[
                "kernal: unknown parameter, did you mean `kernel`?",
                "size: expected [width, height], each from 1 to 16384, found [0, 3]",
                "kernel: expected one of near, far, found `neer`, did you mean `near`?",
                "share: expected a number from 0 to 1, found 2",
                "mean: expected a number or a list of 3 numbers, found [1, 2]",
            ],
        );
        check(
            "{size: [2, 3], zzz: 1}",
            &["zzz: unknown parameter, expected one of size, kernel, share, mean"],
        );
    }
}
