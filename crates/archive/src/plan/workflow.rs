//! Packing a workflow: spec, handler and extra files, as TorchServe's `torch-workflow-archiver` packs them.

use std::path::{Path, PathBuf};

use super::{Files, PackError, Plan, PlannedManifest, files, is_sound};
use crate::ArchiveFormat;
use crate::date::created_on;
use crate::workflow::WorkflowManifest;

/// What is to be packed, as a user says it. Field by field this is `torch-workflow-archiver`'s command line, and a version.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkflowPackOptions {
    /// Letters, digits, `_`, `-` and `.`, a letter or digit first; also the archive's file name.
    pub workflow_name: String,
    /// The YAML of the graph. What it says is not read.
    pub spec_file: PathBuf,
    /// A Python file with the functions of a classic graph, which TorchServe alone can run.
    pub handler: Option<PathBuf>,
    /// As in [`PackOptions`](crate::PackOptions).
    pub extra_files: Option<String>,
    /// For the manifest's `workflowVersion`, which TorchServe does not know and leaves unread. Not empty.
    pub version: Option<String>,
    /// The folder the archive is written to. It must be there.
    pub export_path: PathBuf,
    /// Replace an archive that is already there.
    pub force: bool,
    /// As in [`PackOptions`](crate::PackOptions).
    pub created_at: Option<u64>,
}

impl Plan {
    /// Checks what a user asked to be packed into `<name>.war`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong. Nothing has been written by then.
    pub fn check_workflow(options: WorkflowPackOptions) -> Result<Self, PackError> {
        if !is_sound(&options.workflow_name) {
            let name = options.workflow_name;
            return Err(PackError::WorkflowName { name });
        }
        if options
            .version
            .as_ref()
            .is_some_and(|version| version.trim().is_empty())
        {
            return Err(PackError::Version);
        }
        let mut files = Files::default();
        let spec_file = files.add("--spec-file", &options.spec_file)?;
        let handler = files.add_option("--handler", &options.handler)?;
        if let Some(list) = &options.extra_files {
            files::add_extra(list, &mut files)?;
        }
        check_folder(&options.export_path)?;

        let newest = files.by_name.values().map(|source| source.modified).max();
        let created_at = options.created_at.or(newest);
        let name = options.workflow_name;
        let manifest = WorkflowManifest {
            created_on: created_on(created_at.unwrap_or(0)),
            archiver_version: env!("CARGO_PKG_VERSION").to_owned(),
            workflow_name: Some(name.clone()),
            workflow_version: options.version,
            spec_file,
            handler,
        };
        let plan = Plan {
            target: options.export_path.join(format!("{name}.war")),
            name,
            manifest: PlannedManifest::Workflow(manifest),
            files: files.by_name,
            dated: created_at.is_some(),
            format: ArchiveFormat::Zip,
            force: options.force,
        };
        plan.check_target()?;
        Ok(plan)
    }
}

/// As TorchServe's archiver has it for workflows, unlike for models.
fn check_folder(path: &Path) -> Result<(), PackError> {
    // An empty path is the working directory.
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    Err(PackError::Option {
        option: "--export-path",
        path: path.display().to_string(),
        detail: "there is no such folder".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{Limits, open_workflow, pack};

    struct Bench(tempfile::TempDir);

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join("s.yaml"), "dag: {}\n").expect("written");
            fs::write(folder.path().join("f.py"), "def f(data, context): ...\n").expect("written");
            fs::write(folder.path().join("notes.txt"), "n").expect("written");
            Bench(folder)
        }

        fn options(&self) -> WorkflowPackOptions {
            WorkflowPackOptions {
                workflow_name: "w".into(),
                spec_file: self.0.path().join("s.yaml"),
                export_path: self.0.path().to_owned(),
                ..WorkflowPackOptions::default()
            }
        }

        fn check_refused(&self, change: impl FnOnce(&mut WorkflowPackOptions), expected: &str) {
            let mut options = self.options();
            change(&mut options);
            let error = Plan::check_workflow(options).expect_err(expected);
            let shown = self.0.path().display().to_string();
            assert_eq!(error.to_string().replace(&shown, "@"), expected);
        }
    }

    #[test]
    fn what_is_packed_opens_and_says_the_same() {
        let bench = Bench::new();
        let options = WorkflowPackOptions {
            handler: Some(bench.0.path().join("f.py")),
            extra_files: Some(bench.0.path().join("notes.txt").display().to_string()),
            version: Some("2.1".into()),
            created_at: Some(1_795_296_203),
            ..bench.options()
        };
        let plan = Plan::check_workflow(options).expect("a plan");
        let path = pack(&plan, &mut |_| {}).expect("packed");
        assert_eq!(path, bench.0.path().join("w.war"));
        let into = bench.0.path().join("into");
        let files = open_workflow(&path, &into, &Limits::default(), None).expect("opened");
        let manifest = files.manifest.as_ref().expect("a manifest");
        assert_eq!((&*files.name, files.version.as_deref()), ("w", Some("2.1")));
        assert_eq!((&*files.spec_file, &*files.spec), ("s.yaml", "dag: {}\n"));
        assert_eq!(manifest.created_on, "21/11/2026 21:23:23");
        assert_eq!(manifest.handler.as_deref(), Some("f.py"));
        let dir = files.dir.clone().expect("a folder");
        let handler = files.handler.map(|handler| handler.path);
        assert_eq!(handler, Some(dir.join("f.py")));
        assert!(dir.join("notes.txt").is_file());
    }

    #[test]
    fn mistakes_are_named() {
        let bench = Bench::new();
        bench.check_refused(
            |options| options.workflow_name = "-w".into(),
            "workflow name \"-w\": expected letters, digits, _, - and ., starting with a letter or digit",
        );
        bench.check_refused(
            |options| options.spec_file = "absent.yaml".into(),
            "--spec-file absent.yaml: No such file or directory (os error 2)",
        );
        bench.check_refused(
            |options| options.handler = Some("/".into()),
            "--handler /: expected a file",
        );
        bench.check_refused(
            |options| options.export_path = "absent".into(),
            "--export-path absent: there is no such folder",
        );
        bench.check_refused(
            |options| options.version = Some(" ".into()),
            "version: expected text, found nothing",
        );
        fs::write(bench.0.path().join("w.war"), "").expect("written");
        bench.check_refused(|_| {}, "@/w.war: already there (--force replaces it)");
    }
}
