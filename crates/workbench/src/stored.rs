//! Models that a spec names and that are not where the daemon would look for them, as far as that is known here.

use std::fs;
use std::path::{Path, PathBuf};

use dag::{Graph, Problem, Severity};

use crate::sources::Source;

/// What the files of models end in.
const ENDINGS: [&str; 4] = [".mar", ".model", ".tar.gz", ".tgz"];

/// The folders in which the models of a workflow may lie.
pub(crate) struct Stored<'a> {
    own: Option<&'a Path>,
    store: PathBuf,
}

impl<'a> Stored<'a> {
    /// `store` as it was given, else the folder around the workflow, if there are models in it. `None` where nobody knows.
    pub(crate) fn of(path: &Path, source: &'a Source, store: Option<&Path>) -> Option<Self> {
        let around = path.parent().unwrap_or(Path::new(""));
        let around = match around.as_os_str().is_empty() {
            true => Path::new("."),
            false => around,
        };
        let store = match store {
            Some(store) => store,
            None if has_models(around) => around,
            None => return None,
        };
        Some(Stored {
            own: source.dir(),
            store: store.to_owned(),
        })
    }

    /// A warning for each model that is in none of them. Of addresses nothing is known.
    pub(crate) fn missing(&self, graph: &Graph) -> Vec<Problem> {
        let is_there = |url: &str| {
            let folders = self.own.into_iter().chain([self.store.as_path()]);
            folders.into_iter().any(|folder| folder.join(url).exists())
        };
        // Functions of the handler file are where that is.
        let models = graph
            .used_models()
            .filter(|model| model.functions.is_empty());
        let absent = models.filter(|model| !model.url.contains("://") && !is_there(&model.url));
        let problem = |model: &dag::Model| Problem {
            severity: Severity::Warning,
            place: model.place,
            node: Some(model.name.clone()),
            field: Some("url".into()),
            message: format!("there is no `{}` in {}", model.url, self.store.display()),
        };
        absent.map(problem).collect()
    }
}

fn has_models(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.any(|name| {
        let name = name.to_string_lossy().to_ascii_lowercase();
        ENDINGS.iter().any(|ending| name.ends_with(ending))
    })
}
