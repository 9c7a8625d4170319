//! All that was found, for people and for scripts.

use std::path::PathBuf;

use serde_json::{Value, json};
use workbench::{Tone, paint};

use super::finding::{Finding, Subject, Verdict};
use super::installation::Installation;
use super::table;

/// What was found of an installation.
#[derive(Debug)]
pub struct Report {
    places: [(&'static str, &'static str, Option<PathBuf>); 4],
    /// The worst first.
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(installation: Installation, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.verdict);
        Report {
            places: [
                ("config", "configuration", installation.config_file),
                ("model_store", "model store", installation.model_store),
                (
                    "workflow_store",
                    "workflow store",
                    installation.workflow_store,
                ),
                ("python", "Python", installation.python),
            ],
            findings,
        }
    }

    /// Whether everything runs: nothing is missing and no setting is wrong.
    pub fn is_well(&self) -> bool {
        !self.findings.iter().any(|finding| finding.verdict.is_bad())
    }

    /// Where the installation's parts are, a table with the worst first, and a line that sums up; with escape codes if
    /// `colour`.
    pub fn text(&self, colour: bool) -> String {
        let mut text = String::new();
        for (_, title, place) in &self.places {
            let shown = place.as_ref().map(|place| place.display().to_string());
            let shown = shown.unwrap_or_else(|| "not found".to_owned());
            let title = paint(&format!("{title:<16}"), Tone::Dim, colour);
            text.push_str(&format!("{title}{}\n", paint(&shown, Tone::Strong, colour)));
        }
        text.push('\n');
        text.push_str(&table::text(&self.findings, colour));
        text.push('\n');
        let tone = if self.is_well() {
            Tone::Good
        } else {
            Tone::Bad
        };
        text.push_str(&paint(&self.summary(), tone, colour));
        text.push('\n');
        text
    }

    /// `{installation, settings, models, workflows, summary}`; docs/cli.md tells their members.
    pub fn document(&self) -> Value {
        let places = self.places.iter().map(|(name, _, place)| {
            let place = place.as_ref().map(|place| place.display().to_string());
            ((*name).to_owned(), Value::from(place))
        });
        let of = |subject: Subject| -> Vec<Value> {
            let of = self.findings.iter().filter(|it| it.subject == subject);
            of.map(Finding::document).collect()
        };
        let count = |verdict| {
            self.findings
                .iter()
                .filter(|it| it.verdict == verdict)
                .count()
        };
        json!({
            "installation": Value::Object(places.collect()),
            "settings": of(Subject::Setting),
            "models": of(Subject::Model),
            "workflows": of(Subject::Workflow),
            "summary": {
                "runs": self.is_well(),
                "native": count(Verdict::Native),
                "python": count(Verdict::Python),
                "missing": count(Verdict::Missing),
                "wrong": count(Verdict::Wrong),
                "unknown": count(Verdict::Unknown),
                "without_effect": count(Verdict::WithoutEffect),
                "honoured": count(Verdict::Honoured),
            },
        })
    }

    /// `Not everything runs: 2 of 4 models and 0 of 1 workflow do; 1 of 9 settings wrong, 1 unknown.`
    fn summary(&self) -> String {
        let of = |subject: Subject, word: &str| {
            let of = self.findings.iter().filter(|it| it.subject == subject);
            let (mut all, mut run) = (0, 0);
            for finding in of {
                all += 1;
                run += usize::from(!finding.verdict.is_bad());
            }
            let end = if all == 1 { "" } else { "s" };
            (format!("{run} of {all} {word}{end}"), all)
        };
        let (models, _) = of(Subject::Model, "model");
        let (workflows, _) = of(Subject::Workflow, "workflow");
        let (_, settings) = of(Subject::Setting, "setting");
        let count = |verdict| {
            self.findings
                .iter()
                .filter(|it| it.verdict == verdict)
                .count()
        };
        let (wrong, unknown) = (count(Verdict::Wrong), count(Verdict::Unknown));
        let settings = match (settings, wrong, unknown) {
            (0, ..) => "nothing is configured".to_owned(),
            (_, 0, 0) => "no setting is wrong".to_owned(),
            (settings, wrong, unknown) => {
                format!("{wrong} of {settings} settings wrong, {unknown} unknown")
            }
        };
        let verdict = match self.is_well() {
            true => "Everything runs",
            false => "Not everything runs",
        };
        format!("{verdict}: {models} and {workflows} do; {settings}.")
    }
}
