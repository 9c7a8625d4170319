//! What there is to serve in a folder: the folder itself, or what lies in it.

use std::fs;
use std::path::Path;

use archive::{MANIFEST, WORKFLOW_MANIFEST};

/// The url of the folder itself.
pub(super) const ITSELF: &str = ".";

pub(super) const NOTHING: &str = "nothing to serve is in it yet: expected a model's folder (MAR-INF/MANIFEST.json), a \
     workflow's folder (WAR-INF/MANIFEST.json or one .yaml), or a folder with several of them";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Model,
    Workflow,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Model => "model",
            Kind::Workflow => "workflow",
        }
    }

    /// The first part of the path at which it is asked.
    pub(super) fn place(self) -> &'static str {
        match self {
            Kind::Model => "predictions",
            Kind::Workflow => "wfpredict",
        }
    }
}

/// A model or a workflow, and where it lies in the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    pub(super) kind: Kind,
    /// [`ITSELF`], or the name of a folder or a spec in it.
    pub(super) url: String,
}

/// Everything that can be served of a folder: models first. A folder that is a model or a workflow is that alone, whatever
/// else lies in it.
pub(super) fn items(folder: &Path) -> Vec<Item> {
    let item = |kind, url: &str| Item {
        kind,
        url: url.to_owned(),
    };
    if let Some(kind) = kind_of(folder) {
        return vec![item(kind, ITSELF)];
    }
    let mut found: Vec<Item> = names(folder)
        .iter()
        .filter_map(|name| {
            let path = folder.join(name);
            let kind = if path.is_dir() {
                kind_of(&path)
            } else {
                is_spec(&path).then_some(Kind::Workflow)
            };
            Some(item(kind?, name))
        })
        .collect();
    found.sort();
    found
}

fn kind_of(folder: &Path) -> Option<Kind> {
    if folder.join(MANIFEST).is_file() {
        return Some(Kind::Model);
    }
    let specs = || {
        names(folder)
            .iter()
            .filter(|name| is_spec(&folder.join(name)))
            .count()
    };
    (folder.join(WORKFLOW_MANIFEST).is_file() || specs() == 1).then_some(Kind::Workflow)
}

/// What cannot be read has nothing in it; hidden things are nobody's business.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !name.starts_with('.')).collect()
}

fn is_spec(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    let known = ["yaml", "yml"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known));
    known && path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], expected: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        for name in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
            fs::write(path, "").expect("written");
        }
        let found: Vec<String> = items(folder.path())
            .iter()
            .map(|item| format!("{} {}", item.kind.word(), item.url))
            .collect();
        assert_eq!(found.join(", "), expected, "{files:?}");
    }

    #[test]
    fn a_folder_is_one_thing_or_holds_several() {
        check(&[], "");
        check(&["notes.txt", ".a.yaml", "x/notes.txt"], "");
        check(&["MAR-INF/MANIFEST.json", "model-config.yaml"], "model .");
        check(&["WAR-INF/MANIFEST.json", "a.yaml", "b.yaml"], "workflow .");
        check(
            &["flow.yaml", "detector/MAR-INF/MANIFEST.json"],
            "workflow .",
        );
        check(
            &[
                "b.yaml",
                "a.yml",
                "m/MAR-INF/MANIFEST.json",
                "w/flow.yaml",
                "two/a.yaml",
                "two/b.yaml",
            ],
            "model m, workflow a.yml, workflow b.yaml, workflow w",
        );
    }
}
