//! Where the parts of an installation are: its configuration, its stores, an interpreter for handlers in Python.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::args::{self, Args};
use crate::config::{Config, Env, Review};

/// Where a folder's configuration is looked for.
const FILES: [&str; 3] = [
    "config.properties",
    "config/config.properties",
    "conf/config.properties",
];

/// What model stores are called whose name only the command line of TorchServe had.
const MODEL_STORES: [&str; 4] = ["model_store", "model-store", "models", "."];
const WORKFLOW_STORES: [&str; 3] = ["workflow_store", "workflow-store", "workflows"];

#[derive(Debug)]
pub(super) struct Installation {
    pub(super) config_file: Option<PathBuf>,
    pub(super) review: Review,
    /// `None`: nobody says where it is, or it is not there, which is among the review's troubles.
    pub(super) model_store: Option<PathBuf>,
    pub(super) workflow_store: Option<PathBuf>,
    pub(super) python: Option<PathBuf>,
}

impl Installation {
    /// A folder, or a configuration file in the folder from which its relative paths are taken.
    pub(super) fn find(
        path: &Path,
        args: &args::Doctor,
        env: &Env<'_>,
        cwd: &Path,
    ) -> anyhow::Result<Self> {
        // Without the dots that somebody typed, for whoever reads it.
        let whole: PathBuf = cwd.join(path).components().collect();
        let metadata = fs::metadata(&whole).with_context(|| path.display().to_string())?;
        let (folder, file) = if metadata.is_dir() {
            let file = FILES.iter().map(Path::new);
            let file = file.into_iter().find(|file| whole.join(file).is_file());
            (whole, file.map(Path::to_owned))
        } else if metadata.is_file() {
            let folder = whole.parent().unwrap_or(cwd).to_owned();
            (folder, whole.file_name().map(PathBuf::from))
        } else {
            bail!("{}: neither a folder nor a file", path.display());
        };
        let flag = |typed: &Option<PathBuf>| typed.as_ref().map(|typed| cwd.join(typed));
        let mut start = Args {
            ts_config: file.as_ref().map(|file| file.display().to_string()),
            model_store: flag(&args.model_store).map(text),
            workflow_store: flag(&args.workflow_store).map(text),
            no_config_snapshots: true,
            named_config_only: true,
            ..Args::default()
        };
        let mut review = Config::review(&start, env, &folder);
        // The command line of a start says what its configuration does not, and nobody has written that down.
        let guess = |known: bool, names: &[&str]| {
            let names = names.iter().map(|name| folder.join(name));
            let mut names = names.filter(|_| !known);
            names.find(|store| store.is_dir() && has_archives(store))
        };
        let known = |flag: &Option<String>, key| flag.is_some() || review.says(key).is_some();
        let model_store = guess(known(&start.model_store, "model_store"), &MODEL_STORES);
        let workflow_store = guess(
            known(&start.workflow_store, "workflow_store"),
            &WORKFLOW_STORES,
        );
        if model_store.is_some() || workflow_store.is_some() {
            start.model_store = model_store.map(text).or(start.model_store);
            start.workflow_store = workflow_store.map(text).or(start.workflow_store);
            review = Config::review(&start, env, &folder);
        }
        let there = |store: &PathBuf| store.is_dir().then(|| store.clone());
        Ok(Installation {
            model_store: there(&review.config.model_store),
            workflow_store: there(&review.config.workflow_store),
            config_file: file.map(|file| folder.join(file)),
            python: {
                let set = &review.config.python_executable;
                interpreter(args.python.as_ref().unwrap_or(set), env, cwd)
            },
            review,
        })
    }

    /// Whether what archives ask for is installed for them.
    pub(super) fn installs_requirements(&self) -> bool {
        self.review.config.install_py_dep_per_model
    }
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

/// Whether there is anything of a store in a folder.
fn has_archives(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.any(|name| {
        [".mar", ".war", ".tar.gz", ".tgz", ".yaml", ".yml"]
            .iter()
            .any(|end| name.ends_with(end))
    })
}

/// A file that can be executed: as it is where its name has a slash, otherwise on the path.
fn interpreter(name: &Path, env: &Env<'_>, cwd: &Path) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        let executable = |metadata: fs::Metadata| metadata.permissions().mode() & 0o111 != 0;
        path.is_file() && fs::metadata(path).is_ok_and(executable)
    };
    if name.components().count() > 1 {
        return Some(cwd.join(name)).filter(is_program);
    }
    let path = env("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(is_program)
}
