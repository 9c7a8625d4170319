//! The models of a snapshot: from the registry to JSON, and back to what a registration wishes.
//!
//! Members and their order are TorchServe's, so that either server reads the other's files. Two members are ours: `url`
//! and `handler`, where a registration said more than the name of an archive.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use serving::{Model, Registry, Wishes};

use crate::config::models::whole;
use crate::config::report::quote;

/// Model name to version to how it is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotModels(pub BTreeMap<String, BTreeMap<String, SnapshotVersion>>);

/// One version of a model; what is `None` is left to the archive and the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotVersion {
    /// Whether it answers requests that name no version.
    pub default_version: bool,
    /// The last part of the url.
    pub mar_name: String,
    /// The url, where it is more than a name in the store.
    pub url: Option<String>,
    /// The handler that was asked for in place of the archive's.
    pub handler: Option<String>,
    pub wishes: Wishes,
    /// Written for TorchServe's sake, and read from the archive alone.
    pub runtime: Option<String>,
    pub parallel_level: u32,
}

impl SnapshotModels {
    /// What is registered now.
    pub(crate) fn of(registry: &Registry) -> Self {
        let mut models = BTreeMap::new();
        for default in registry.defaults() {
            // Gone since: then it is no part of the snapshot.
            let Ok(versions) = registry.versions(&default.name) else {
                continue;
            };
            // A workflow brings its models itself.
            let versions: Vec<_> = versions.iter().filter(|model| !model.part).collect();
            if versions.is_empty() {
                continue;
            }
            let versions = versions.into_iter().map(|model| {
                let is_default = model.version == default.version;
                (
                    model.version.clone(),
                    SnapshotVersion::of(model, is_default),
                )
            });
            models.insert(default.name.clone(), versions.collect());
        }
        SnapshotModels(models)
    }

    /// Adds the versions of `others` that are not in here. A name keeps the default version it has.
    pub(crate) fn merge(&mut self, others: &SnapshotModels) {
        for (name, versions) in &others.0 {
            let own = self.0.entry(name.clone()).or_default();
            let has_default = own.values().any(|version| version.default_version);
            for (version, state) in versions {
                own.entry(version.clone())
                    .or_insert_with(|| SnapshotVersion {
                        default_version: state.default_version && !has_default,
                        ..state.clone()
                    });
            }
        }
    }

    /// The value of `model_snapshot` in the file `name`.
    pub(crate) fn to_json(&self, name: &str, now: SystemTime) -> Value {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let models: Map<String, Value> = self
            .0
            .iter()
            .map(|(name, versions)| {
                let versions = versions
                    .iter()
                    .map(|(version, state)| (version.clone(), state.to_json()));
                (name.clone(), Value::Object(versions.collect()))
            })
            .collect();
        json!({
            "name": name,
            "modelCount": models.len(),
            "created": millis(since),
            "models": models,
        })
    }

    /// Reads that value. An error says which member is wrong.
    pub fn read(json: &Value) -> Result<Self, String> {
        let members = object(json, "the value")?;
        let models = members
            .get("models")
            .ok_or_else(|| "models is missing".to_owned())?;
        let mut read = BTreeMap::new();
        for (name, versions) in object(models, "models")? {
            let mut of_name = BTreeMap::new();
            for (version, state) in object(versions, name)? {
                let place = format!("{name} {version}");
                of_name.insert(version.clone(), SnapshotVersion::read(state, &place)?);
            }
            read.insert(name.clone(), of_name);
        }
        Ok(SnapshotModels(read))
    }
}

impl SnapshotVersion {
    fn of(model: &Model, default_version: bool) -> Self {
        let (settings, scale) = (model.settings, model.scale());
        let config = model.files.config();
        let is_path = model.url.contains('/');
        SnapshotVersion {
            default_version,
            mar_name: last_part(&model.url).to_owned(),
            url: is_path.then(|| model.url.clone()),
            handler: model.handler.clone(),
            wishes: Wishes {
                workers: Some(scale.min),
                max_workers: Some(scale.max),
                batch_size: Some(settings.batch_size),
                max_batch_delay: Some(settings.max_batch_delay),
                response_timeout: Some(settings.response_timeout),
                startup_timeout: Some(settings.startup_timeout),
                ..Wishes::default()
            },
            runtime: Some(model.runtime.clone()),
            parallel_level: config.and_then(|config| config.parallel_level).unwrap_or(0),
        }
    }

    fn to_json(&self) -> Value {
        let mut members = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            members.extend(value.map(|value| (name.to_owned(), value)));
        };
        let wishes = &self.wishes;
        put("defaultVersion", Some(json!(self.default_version)));
        put("marName", Some(json!(self.mar_name)));
        put("minWorkers", wishes.workers.map(Value::from));
        put("maxWorkers", wishes.max_workers.map(Value::from));
        put("batchSize", wishes.batch_size.map(|size| size.get().into()));
        put(
            "maxBatchDelay",
            wishes.max_batch_delay.map(|delay| millis(delay).into()),
        );
        put(
            "responseTimeout",
            wishes.response_timeout.map(|limit| limit.as_secs().into()),
        );
        put(
            "startupTimeout",
            wishes.startup_timeout.map(|limit| limit.as_secs().into()),
        );
        put("runtimeType", self.runtime.clone().map(Value::from));
        let parallel_level = Some(self.parallel_level).filter(|&level| level > 0);
        put("parallelLevel", parallel_level.map(Value::from));
        put("url", self.url.clone().map(Value::from));
        put("handler", self.handler.clone().map(Value::from));
        Value::Object(members)
    }

    fn read(json: &Value, place: &str) -> Result<Self, String> {
        let members = Members {
            members: object(json, place)?,
            place,
        };
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let mar_name = members.text("marName")?;
        let parallel_level = members.number("parallelLevel")?;
        Ok(SnapshotVersion {
            default_version: members.flag("defaultVersion")?,
            mar_name: mar_name.ok_or_else(|| format!("{place}: marName is missing"))?,
            url: members.text("url")?,
            handler: members.text("handler")?,
            wishes: Wishes {
                workers: members.number("minWorkers")?.map(count),
                max_workers: members.number("maxWorkers")?.map(count),
                batch_size: members
                    .number("batchSize")?
                    .and_then(|size| NonZeroUsize::new(count(size))),
                max_batch_delay: members.number("maxBatchDelay")?.map(Duration::from_millis),
                response_timeout: members.number("responseTimeout")?.map(Duration::from_secs),
                startup_timeout: members.number("startupTimeout")?.map(Duration::from_secs),
                ..Wishes::default()
            },
            runtime: members.text("runtimeType")?,
            parallel_level: parallel_level
                .and_then(|level| u32::try_from(level).ok())
                .unwrap_or(0),
        })
    }
}

pub(super) struct Members<'a> {
    pub(super) members: &'a Map<String, Value>,
    pub(super) place: &'a str,
}

impl Members<'_> {
    /// Numbers below zero count as absent: TorchServe writes −10000 for a delay that nobody gave.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, String> {
        self.read(name, "a whole number", |value| {
            whole(value).map(|number| u64::try_from(number).ok())
        })
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, String> {
        self.read(name, "a text", |value| {
            value.as_str().map(|text| Some(text.to_owned()))
        })
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        let flag = self.read(name, "true or false", |value| value.as_bool().map(Some))?;
        Ok(flag.unwrap_or(false))
    }

    fn read<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<Option<T>>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.members.get(name).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        read(value).ok_or_else(|| {
            let found = quote(&value.to_string());
            format!("{}: {name}: expected {expected}, found {found}", self.place)
        })
    }
}

pub(super) fn object<'a>(value: &'a Value, place: &str) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| {
        let found = quote(&value.to_string());
        format!("{place}: expected a JSON object, found {found}")
    })
}

fn last_part(url: &str) -> &str {
    let path = match url.contains("://") {
        true => url.split(['?', '#']).next().unwrap_or(url),
        false => url,
    };
    let url = path.trim_end_matches('/');
    url.rsplit('/').next().unwrap_or(url)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
