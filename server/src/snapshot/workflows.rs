//! The workflows of a snapshot: from what is registered to JSON, and back to registrations.
//!
//! They stand as the member `workflows` beside the models, where TorchServe, whose snapshots know no workflows, does not
//! look. A workflow is written as it was asked for: its url, or its spec where that came with the request.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use serving::Serving;
use serving::workflow::{Workflow, WorkflowRegistration};

use super::models::{Members, object};

/// Beside `models`.
pub(super) const MEMBER: &str = "workflows";

/// Workflow name to version to how it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotWorkflows(pub BTreeMap<String, BTreeMap<String, SnapshotWorkflow>>);

/// One version of a workflow. It has a url or a spec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotWorkflow {
    /// Whether it answers requests that name no version.
    pub default_version: bool,
    pub url: Option<String>,
    /// The text itself.
    pub spec: Option<String>,
    pub response_timeout: Option<Duration>,
    pub startup_timeout: Option<Duration>,
}

impl SnapshotWorkflows {
    /// What is registered now.
    pub(crate) fn of(serving: &Serving) -> Self {
        let mut workflows = BTreeMap::new();
        for default in serving.workflows() {
            // Gone since: then it is no part of the snapshot.
            let Ok(versions) = serving.workflow_versions(&default.name) else {
                continue;
            };
            let versions = versions.iter().map(|workflow| {
                let is_default = workflow.version == default.version;
                let state = SnapshotWorkflow::of(workflow, is_default);
                (workflow.version.clone(), state)
            });
            workflows.insert(default.name.clone(), versions.collect());
        }
        SnapshotWorkflows(workflows)
    }

    /// Adds the versions of `others` that are not in here. A name keeps the default version it has.
    pub(crate) fn merge(&mut self, others: &SnapshotWorkflows) {
        for (name, versions) in &others.0 {
            let own = self.0.entry(name.clone()).or_default();
            let has_default = own.values().any(|version| version.default_version);
            for (version, state) in versions {
                own.entry(version.clone())
                    .or_insert_with(|| SnapshotWorkflow {
                        default_version: state.default_version && !has_default,
                        ..state.clone()
                    });
            }
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let workflows = self.0.iter().map(|(name, versions)| {
            let versions = versions
                .iter()
                .map(|(version, state)| (version.clone(), state.to_json()));
            (name.clone(), Value::Object(versions.collect()))
        });
        Value::Object(workflows.collect())
    }

    /// Reads the member of a snapshot's value, `None` where it has none. An error says what is wrong in it.
    pub fn read(json: &Value) -> Result<Option<Self>, String> {
        let Some(workflows) = json.get(MEMBER).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let mut read = BTreeMap::new();
        for (name, versions) in object(workflows, MEMBER)? {
            let mut of_name = BTreeMap::new();
            for (version, state) in object(versions, name)? {
                let place = format!("workflow {name} {version}");
                of_name.insert(version.clone(), SnapshotWorkflow::read(state, &place)?);
            }
            read.insert(name.clone(), of_name);
        }
        Ok(Some(SnapshotWorkflows(read)))
    }
}

impl SnapshotWorkflow {
    fn of(workflow: &Workflow, default_version: bool) -> Self {
        let asked = &workflow.registration;
        SnapshotWorkflow {
            default_version,
            url: asked.url.clone().filter(|_| asked.spec.is_none()),
            spec: asked.spec.clone(),
            response_timeout: asked.response_timeout,
            startup_timeout: asked.startup_timeout,
        }
    }

    /// The registration that brings it back.
    pub(super) fn registration(&self, name: &str, version: &str) -> WorkflowRegistration {
        WorkflowRegistration {
            url: self.url.clone(),
            spec: self.spec.clone(),
            name: Some(name.to_owned()),
            version: Some(version.to_owned()),
            response_timeout: self.response_timeout,
            startup_timeout: self.startup_timeout,
            at_startup: true,
            ..WorkflowRegistration::default()
        }
    }

    fn to_json(&self) -> Value {
        let mut members = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            members.extend(value.map(|value| (name.to_owned(), value)));
        };
        let seconds = |limit: Option<Duration>| limit.map(|limit| json!(limit.as_secs()));
        put("defaultVersion", Some(json!(self.default_version)));
        put("url", self.url.clone().map(Value::from));
        put("spec", self.spec.clone().map(Value::from));
        put("responseTimeout", seconds(self.response_timeout));
        put("startupTimeout", seconds(self.startup_timeout));
        Value::Object(members)
    }

    fn read(json: &Value, place: &str) -> Result<Self, String> {
        let members = Members {
            members: object(json, place)?,
            place,
        };
        let (url, spec) = (members.text("url")?, members.text("spec")?);
        if url.is_none() && spec.is_none() {
            return Err(format!("{place}: url and spec are missing"));
        }
        let seconds = |name: &str| Ok::<_, String>(members.number(name)?.map(Duration::from_secs));
        Ok(SnapshotWorkflow {
            default_version: members.flag("defaultVersion")?,
            url,
            spec,
            response_timeout: seconds("responseTimeout")?,
            startup_timeout: seconds("startupTimeout")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(url: &str, default_version: bool) -> SnapshotWorkflow {
        SnapshotWorkflow {
            default_version,
            url: Some(url.into()),
            ..SnapshotWorkflow::default()
        }
    }

    fn workflows(versions: &[(&str, &str, SnapshotWorkflow)]) -> SnapshotWorkflows {
        let mut all = SnapshotWorkflows::default();
        for (name, version, state) in versions {
            let of_name = all.0.entry((*name).to_owned()).or_default();
            of_name.insert((*version).to_owned(), state.clone());
        }
        all
    }

    #[test]
    fn what_is_written_is_read_again() {
        let inline = SnapshotWorkflow {
            spec: Some("dag:\n  a: []\n".into()),
            response_timeout: Some(Duration::from_secs(7)),
            ..SnapshotWorkflow::default()
        };
        let all = workflows(&[("w", "1.0", version("w.war", true)), ("w", "2", inline)]);
        let json = json!({ "models": {}, "workflows": all.to_json() });
        assert_eq!(SnapshotWorkflows::read(&json), Ok(Some(all)));
        // A snapshot of TorchServe.
        assert_eq!(SnapshotWorkflows::read(&json!({ "models": {} })), Ok(None));
    }

    #[test]
    fn mistakes_name_the_member() {
        let check = |json: Value, expected: &str| {
            let error = SnapshotWorkflows::read(&json!({ "workflows": json }));
            assert_eq!(error, Err(expected.to_owned()));
        };
        check(json!([]), "workflows: expected a JSON object, found `[]`");
        check(
            json!({ "w": { "1": {} } }),
            "workflow w 1: url and spec are missing",
        );
        check(
            json!({ "w": { "1": { "url": 5 } } }),
            "workflow w 1: url: expected a text, found `5`",
        );
    }

    #[test]
    fn what_could_not_be_restored_is_kept_until_it_is() {
        let left_out = workflows(&[
            ("w", "1", version("a", true)),
            ("x", "1", version("b", true)),
        ]);
        let mut now = workflows(&[("w", "2", version("c", true))]);
        now.merge(&left_out);
        let expected = workflows(&[
            ("w", "1", version("a", false)),
            ("w", "2", version("c", true)),
            ("x", "1", version("b", true)),
        ]);
        assert_eq!(now, expected);
    }
}
