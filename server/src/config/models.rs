//! The key `models`: settings by model and version, as JSON.
//!
//! They tune models that are loaded by other means, and load nothing. What a model's archive says of itself goes first.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::{Map, Value};

use super::keys::nearest_of;

/// Model name to version to settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Models(BTreeMap<String, BTreeMap<String, ModelSettings>>);

/// What the configuration says of one version of a model; `None` where it is silent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelSettings {
    pub min_workers: Option<NonZeroUsize>,
    pub max_workers: Option<NonZeroUsize>,
    pub batch_size: Option<NonZeroUsize>,
    pub max_batch_delay: Option<Duration>,
    pub response_timeout: Option<Duration>,
    pub startup_timeout: Option<Duration>,
}

const TUNING: [&str; 6] = [
    "minWorkers",
    "maxWorkers",
    "batchSize",
    "maxBatchDelay",
    "responseTimeout",
    "startupTimeout",
];

/// Written by TorchServe, without effect in this key there and here.
const SILENT: [&str; 4] = ["defaultVersion", "marName", "runtimeType", "parallelLevel"];

impl Models {
    pub fn get(&self, name: &str, version: &str) -> Option<&ModelSettings> {
        self.0.get(name)?.get(version)
    }

    /// Reads the JSON. What is of the wrong shape is left out and told to `flaw`, one message each.
    pub(crate) fn read(json: &Value, flaw: &mut dyn FnMut(String)) -> Self {
        let mut models = BTreeMap::new();
        for (name, versions) in object(json, "the value", flaw) {
            let mut settings = BTreeMap::new();
            for (version, tuning) in object(versions, name, flaw) {
                let place = format!("{name} {version}");
                let read = ModelSettings::read(object(tuning, &place, flaw), &place, flaw);
                settings.insert(version.clone(), read);
            }
            models.insert(name.clone(), settings);
        }
        Models(models)
    }
}

impl ModelSettings {
    fn read<'a>(
        fields: impl Iterator<Item = (&'a String, &'a Value)>,
        place: &str,
        flaw: &mut dyn FnMut(String),
    ) -> Self {
        let mut settings = ModelSettings::default();
        for (field, value) in fields {
            if SILENT.contains(&field.as_str()) {
                continue;
            }
            if !TUNING.contains(&field.as_str()) {
                let hint = nearest_of(field, TUNING.into_iter());
                let hint = hint.map_or(String::new(), |name| format!(" (did you mean {name}?)"));
                flaw(format!("{place}: unknown setting {field}{hint}"));
                continue;
            }
            let Some(number) = whole(value) else {
                flaw(format!(
                    "{place}: {field}: expected a whole number, found {value}"
                ));
                continue;
            };
            settings.set(field, number);
        }
        settings
    }

    /// As in TorchServe, numbers below one leave a setting as if it were not there.
    fn set(&mut self, field: &str, number: i64) {
        let Ok(positive) = u64::try_from(number).and_then(std::num::NonZeroU64::try_from) else {
            return;
        };
        let count = NonZeroUsize::try_from(positive).ok();
        let seconds = Some(Duration::from_secs(positive.get()));
        match field {
            "minWorkers" => self.min_workers = count,
            "maxWorkers" => self.max_workers = count,
            "batchSize" => self.batch_size = count,
            "maxBatchDelay" => self.max_batch_delay = Some(Duration::from_millis(positive.get())),
            "responseTimeout" => self.response_timeout = seconds,
            "startupTimeout" => self.startup_timeout = seconds,
            _ => {}
        }
    }
}

fn object<'a>(
    value: &'a Value,
    place: &str,
    flaw: &mut dyn FnMut(String),
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    if !value.is_object() {
        flaw(format!("{place}: expected a JSON object, found {value}"));
    }
    value.as_object().into_iter().flat_map(Map::iter)
}

/// TorchServe takes numbers in quotes, too.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    let quoted = || value.as_str()?.trim().parse().ok();
    value.as_i64().or_else(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> (Models, Vec<String>) {
        let mut flaws = Vec::new();
        let value = serde_json::from_str(json).expect("the test's JSON is valid");
        (Models::read(&value, &mut |flaw| flaws.push(flaw)), flaws)
    }

    #[test]
    fn the_documented_form() {
        let (models, flaws) = read(
            r#"{"noop": {"1.0": {"defaultVersion": true, "marName": "noop.mar", "minWorkers": 1, "maxWorkers": 2,
                "batchSize": 4, "maxBatchDelay": 100, "responseTimeout": 120, "startupTimeout": "60",
                "runtimeType": "python"}}}"#,
        );
        let expected = ModelSettings {
            min_workers: NonZeroUsize::new(1),
            max_workers: NonZeroUsize::new(2),
            batch_size: NonZeroUsize::new(4),
            max_batch_delay: Some(Duration::from_millis(100)),
            response_timeout: Some(Duration::from_secs(120)),
            startup_timeout: Some(Duration::from_secs(60)),
        };
        assert_eq!(
            (models.get("noop", "1.0"), flaws),
            (Some(&expected), Vec::new())
        );
        assert_eq!(models.get("noop", "2.0"), None);
        assert_eq!(models.get("other", "1.0"), None);
    }

    #[test]
    fn numbers_below_one_count_as_absent() {
        let (models, flaws) =
            read(r#"{"m": {"1": {"minWorkers": 0, "batchSize": -1, "maxBatchDelay": 0}}}"#);
        assert_eq!(
            (models.get("m", "1"), flaws),
            (Some(&ModelSettings::default()), Vec::new())
        );
    }

    #[test]
    fn flaws_say_where() {
        let check = |json: &str, expected: &[&str]| assert_eq!(read(json).1, expected, "{json}");
        check("[]", &["the value: expected a JSON object, found []"]);
        check(
            r#"{"m": 1, "n": {"1": 2}}"#,
            &[
                "m: expected a JSON object, found 1",
                "n 1: expected a JSON object, found 2",
            ],
        );
        check(
            r#"{"m": {"1": {"batchsize": 1, "batchSize": 1.5, "xyz": 0}}}"#,
            &[
                "m 1: unknown setting batchsize (did you mean batchSize?)",
                "m 1: batchSize: expected a whole number, found 1.5",
                "m 1: unknown setting xyz",
            ],
        );
    }
}
