//! Each workflow of the workflow store: its spec checked as registration does, and the models that it calls.

use std::path::{Path, PathBuf};

use archive::{ArchiveError, Limits, WorkflowFiles};
use dag::{Checked, Problem};
use serde_json::json;
use serving::workflow::own_model;
use serving::{ModelStore, WorkflowStore, has_scheme};

use super::finding::{Finding, Subject, Verdict};
use super::installation::Installation;
use super::models::{Health, Models};
use crate::wiring;

/// Of a model that registration brings from elsewhere.
const UNSEEN: &str = "not looked at, because it is brought from";

pub(super) struct Workflows<'a> {
    installation: &'a Installation,
    unpacked: &'a Path,
}

/// Something that a workflow calls.
struct Called {
    name: String,
    health: Health,
}

impl<'a> Workflows<'a> {
    pub(super) fn new(installation: &'a Installation, unpacked: &'a Path) -> Self {
        Workflows {
            installation,
            unpacked,
        }
    }

    pub(super) fn look(&self, models: &mut Models<'_>) -> Vec<Finding> {
        let Some(folder) = &self.installation.workflow_store else {
            return Vec::new();
        };
        let store = WorkflowStore::open(folder, self.unpacked, Limits::default());
        match store.and_then(|store| store.list()) {
            Ok(names) => names
                .iter()
                .filter_map(|name| self.one(name, &folder.join(name), models))
                .collect(),
            Err(error) => {
                let says = error.source.to_string();
                let key = "workflow_store";
                vec![Finding::new(Verdict::Wrong, Subject::Setting, key, says)]
            }
        }
    }

    /// `None` for YAML in a store that is first of all a model store, and that is no workflow.
    fn one(&self, name: &str, path: &Path, models: &mut Models<'_>) -> Option<Finding> {
        // TorchServe wants a name in the manifest, which registration may give.
        let files = archive::open_workflow(path, self.unpacked, &Limits::default(), None);
        let files = match files {
            Ok(files) => files,
            Err(error) => return Some(broken(name, path, &error)),
        };
        let alone = path.is_file() && files.dir.is_none();
        let shared = self.installation.workflow_store == self.installation.model_store;
        if alone && shared && !is_spec(&files.spec) {
            return None;
        }
        let natives = wiring::functions(&self.installation.review.config);
        let Checked {
            graph, problems, ..
        } = serving::workflow::check(&files, &natives);
        let Some(graph) = graph else {
            let errors = problems.iter().filter(|problem| problem.is_error());
            return Some(wrong(name, &files, &errors.collect::<Vec<_>>()));
        };
        let called: Vec<Called> = graph
            .used_models()
            .map(|model| {
                let health = match model.functions.is_empty() {
                    true => self.model(&model.url, &files, models),
                    false => self.functions(model),
                };
                Called {
                    name: model.name.clone(),
                    health,
                }
            })
            .collect();
        Some(self.finding(name, &files, &called, &problems, &graph))
    }

    fn finding(
        &self,
        name: &str,
        files: &WorkflowFiles,
        called: &[Called],
        problems: &[Problem],
        graph: &dag::Graph,
    ) -> Finding {
        let worst = called.iter().map(|called| called.health.verdict).min();
        let verdict = worst.unwrap_or(Verdict::Native);
        let of = |verdict: Verdict| {
            let of = called.iter().filter(move |it| it.health.verdict == verdict);
            of.map(|it| format!("{} ({})", it.name, it.health.says))
        };
        let nodes = match graph.nodes.len() {
            1 => "1 node".to_owned(),
            nodes => format!("{nodes} nodes"),
        };
        let says = match verdict {
            Verdict::Missing | Verdict::Python => of(verdict).collect::<Vec<_>>().join("; "),
            Verdict::Wrong
            | Verdict::Unknown
            | Verdict::WithoutEffect
            | Verdict::Native
            | Verdict::Honoured => nodes,
        };
        let mut finding = Finding::new(verdict, Subject::Workflow, name, says);
        let worst = called.iter().find(|it| it.health.verdict == verdict);
        finding.todo = worst.and_then(|it| it.health.todo.clone());
        finding.notes = problems
            .iter()
            .map(|problem| format!("{}:{problem}", files.spec_file))
            .collect();
        // Nobody can say that these run.
        let unseen = called
            .iter()
            .filter(|it| it.health.says.starts_with(UNSEEN));
        let unseen = unseen.map(|it| format!("{}: {}", it.name, it.health.says));
        finding.notes.extend(unseen);
        let models: Vec<_> = called
            .iter()
            .map(|it| {
                json!({"name": it.name, "verdict": it.health.verdict.name(), "says": it.health.says})
            })
            .collect();
        finding
            .with("workflow", files.name.as_str())
            .with("models", models)
    }

    /// A model that the workflow brings along, or one of the model store.
    fn model(&self, url: &str, files: &WorkflowFiles, models: &mut Models<'_>) -> Health {
        if has_scheme(url) {
            return Health::new(Verdict::Native, format!("{UNSEEN} {url}"));
        }
        let inside = match own_model(files, url) {
            Ok(inside) => inside,
            Err(error) => return Health::new(Verdict::Missing, error.to_string()),
        };
        match inside.or_else(|| self.in_store(url)) {
            Some(path) => models.at(&path),
            None => {
                let says = format!("{url} is not in the model store");
                let mut health = Health::new(Verdict::Missing, says);
                health.todo = Some(format!("put {url} into the model store"));
                health
            }
        }
    }

    fn in_store(&self, url: &str) -> Option<PathBuf> {
        let folder = self.installation.model_store.as_ref()?;
        let store = ModelStore::open(folder, self.unpacked, Limits::default()).ok()?;
        store.contains(url).then(|| folder.join(url))
    }

    fn functions(&self, model: &dag::Model) -> Health {
        let says = match model.functions.as_slice() {
            [only] => format!("the function {only} in Python"),
            several => format!("the functions {} in Python", several.join(", ")),
        };
        match &self.installation.python {
            Some(_) => Health::new(Verdict::Python, says),
            None => {
                let mut health =
                    Health::new(Verdict::Missing, format!("{says}; there is no interpreter"));
                health.todo =
                    Some("install Python 3, or name an interpreter with --python FILE".to_owned());
                health
            }
        }
    }
}

/// A spec with mistakes: the first one, and the others as notes.
fn wrong(name: &str, files: &WorkflowFiles, errors: &[&Problem]) -> Finding {
    let mut lines = errors
        .iter()
        .map(|problem| format!("{}:{problem}", files.spec_file));
    let says = lines.next().unwrap_or_default();
    let mut finding = Finding::new(Verdict::Missing, Subject::Workflow, name, says)
        .todo(format!(
            "torchrelay lint {name} shows each mistake in its line"
        ))
        .with("workflow", files.name.as_str());
    finding.notes = lines.collect();
    finding
}

fn broken(name: &str, path: &Path, error: &ArchiveError) -> Finding {
    let text = error.to_string();
    let shown = format!("{}: ", path.display());
    let says = text.strip_prefix(&shown).unwrap_or(&text);
    Finding::new(Verdict::Missing, Subject::Workflow, name, says)
        .todo("mend it and pack it anew (torchrelay-archiver workflow)")
}

/// Whether YAML that lies in a model store is about a workflow at all.
fn is_spec(text: &str) -> bool {
    let document: Option<archive::Yaml> = serde_yaml::from_str(text).ok();
    document.is_none_or(|document| {
        ["dag", "nodes", "workflow"]
            .iter()
            .any(|key| document.get(key).is_some())
    })
}
