//! A path to the specs that it stands for.

use std::fs;
use std::path::{Path, PathBuf};

use archive::{ArchiveError, Limits, MANIFEST, WORKFLOW_MANIFEST, WorkflowFiles};
use dag::{Checked, Options, Python};
use functions::Functions;
use tempfile::TempDir;

use crate::error::Error;

/// Functions in Python of a folder without a manifest. They belong to its one spec.
const HANDLER_FILE: &str = "handler.py";

/// The text of a spec, and what it is called in messages.
#[derive(Debug)]
pub(crate) struct Source {
    /// The path of the spec; of one in an archive, the archive's path and the spec's name in it.
    pub(crate) file: String,
    pub(crate) text: String,
    files: WorkflowFiles,
    /// Last, so that nobody looks for files that are gone.
    _unpacked: TempDir,
}

impl Source {
    /// The folder of the workflow's own files; a spec alone has none.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.files.dir.as_deref()
    }

    /// What the spec comes to, with the functions of the handler file beside it.
    pub(crate) fn check(&self) -> Checked {
        let handler = self.files.handler.as_ref();
        let options = Options {
            python: handler.map(|handler| Python {
                file: &handler.name,
                functions: &handler.functions,
            }),
            ..Options::default()
        };
        dag::check(&self.text, &Functions::default(), options)
    }
}

/// The spec of a file or of a workflow's folder.
pub(crate) fn one(path: &Path) -> Result<Source, Error> {
    // Says more plainly than the archive's reader that nothing is there.
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    fs::metadata(path).map_err(failed)?;
    let unpacked = tempfile::tempdir().map_err(failed)?;
    // Neither spec nor manifest need say a name to be checked.
    let opened =
        archive::open_workflow(path, unpacked.path(), &Limits::default(), Some("workflow"));
    let files = opened.map_err(|error| {
        if matches!(error, ArchiveError::Io { .. }) {
            Error::Usage(error.to_string())
        } else {
            Error::Archive(error)
        }
    })?;
    let file = if is_spec(path) {
        path.to_owned()
    } else {
        path.join(&files.spec_file)
    };
    Ok(Source {
        file: file.display().to_string(),
        text: files.spec.clone(),
        files,
        _unpacked: unpacked,
    })
}

/// Every workflow at a path: a file, a workflow's folder, or a folder of specs, archives and workflows' folders.
pub(crate) fn all(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_workflow = path.join(WORKFLOW_MANIFEST).is_file()
        || path.join(HANDLER_FILE).is_file() && has_one_spec(path);
    if !path.is_dir() || is_workflow {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    for entry in fs::read_dir(path).map_err(failed)? {
        let child = entry.map_err(failed)?.path();
        let hidden = child
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_workflow = if child.is_dir() {
            child.join(WORKFLOW_MANIFEST).is_file() || has_one_spec(&child)
        } else {
            is_spec(&child) || has_extension(&child, &["war"])
        };
        if !hidden && is_workflow {
            found.push(child);
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(Error::Usage(format!(
            "{}: no workflow is in there: expected .yaml or .war files, or folders with {WORKFLOW_MANIFEST}",
            path.display()
        )));
    }
    Ok(found)
}

/// Whether a folder without a manifest is a workflow all the same. A model's folder has YAML of its own.
fn has_one_spec(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let specs = entries.filter(|entry| is_spec(&entry.path())).count();
    specs == 1 && !folder.join(MANIFEST).is_file()
}

fn is_spec(path: &Path) -> bool {
    has_extension(path, &["yaml", "yml"]) && path.is_file()
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    let extension = path.extension().unwrap_or_default();
    known
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_workflows() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "b.yaml",
            "a.yml",
            "c.war",
            ".hidden.yaml",
            "notes.txt",
            "packed/WAR-INF/MANIFEST.json",
            "plain/flow.yaml",
            "model/MAR-INF/MANIFEST.json",
            "model/model-config.yaml",
            "several/a.yaml",
            "several/b.yaml",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
            fs::write(path, "dag: {}").expect("written");
        }
        let found = all(folder.path()).expect("found");
        let names: Vec<_> = found
            .iter()
            .map(|path| path.file_name().expect("a name").to_string_lossy())
            .collect();
        assert_eq!(names, ["a.yml", "b.yaml", "c.war", "packed", "plain"]);
        let plain = one(&folder.path().join("plain")).expect("opened");
        assert!(plain.file.ends_with("plain/flow.yaml"), "{}", plain.file);
        assert_eq!(plain.text, "dag: {}");
        let functions = folder.path().join("plain/handler.py");
        fs::write(functions, "def f(data, context): pass").expect("written");
        let folder = folder.path().join("plain");
        assert_eq!(all(&folder).expect("found"), [folder]);
    }

    #[test]
    fn what_is_no_workflow_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.war"), "no archive").expect("written");
        let check = |path: &Path, code: u8, expected: &str| {
            let error = all(path)
                .and_then(|found| one(&found[0]))
                .expect_err("refused");
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.exit_code(), code, "{error}");
        };
        check(
            &folder.path().join("none.yaml"),
            2,
            "none.yaml: No such file",
        );
        check(&folder.path().join("a.war"), 1, "not a workflow");
        let empty = tempfile::tempdir().expect("a folder");
        check(empty.path(), 2, "no workflow is in there");
    }
}
