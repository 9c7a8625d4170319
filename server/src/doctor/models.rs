//! Each archive of the model store: unpacked, looked at as the daemon would, and removed again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ::isolation::Bounds;
use archive::{ArchiveError, Isolation, Limits, Unpacked};
use handlers::weights::Format;
use handlers::{Candidate, Cause, ModelContext, Runner, runner};
use serde_json::{Map, Value};
use servable::LoadError;
use serving::ModelStore;

use super::finding::{Finding, Subject, Verdict};
use super::installation::Installation;

/// What can be said of an archive, whatever it is called.
#[derive(Debug, Clone)]
pub(super) struct Health {
    pub(super) verdict: Verdict,
    pub(super) says: String,
    pub(super) todo: Option<String>,
    notes: Vec<String>,
    more: Map<String, Value>,
}

pub(super) struct Models<'a> {
    installation: &'a Installation,
    unpacked: &'a Path,
    /// By path, for the workflows that use them.
    known: BTreeMap<PathBuf, Health>,
}

impl<'a> Models<'a> {
    pub(super) fn new(installation: &'a Installation, unpacked: &'a Path) -> Self {
        Models {
            installation,
            unpacked,
            known: BTreeMap::new(),
        }
    }

    /// Everything that a start with `load_models=all` would load.
    pub(super) fn look(&mut self) -> Vec<Finding> {
        let Some(folder) = &self.installation.model_store else {
            return Vec::new();
        };
        let store = ModelStore::open(folder, self.unpacked, Limits::default());
        match store.and_then(|store| store.list()) {
            Ok(names) => names
                .into_iter()
                .map(|name| self.at(&folder.join(&name)).finding(&name))
                .collect(),
            Err(error) => {
                let says = error.source.to_string();
                vec![Finding::new(
                    Verdict::Wrong,
                    Subject::Setting,
                    "model_store",
                    says,
                )]
            }
        }
    }

    /// The archive or folder at a path, each of which is unpacked once.
    pub(super) fn at(&mut self, path: &Path) -> Health {
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let health = match archive::open(path, self.unpacked, &Limits::default()) {
            Ok(opened) => self.health(&opened),
            Err(error) => broken(path, &error),
        };
        self.known.insert(path.to_owned(), health.clone());
        health
    }

    fn health(&self, opened: &Unpacked) -> Health {
        let manifest = &opened.manifest().model;
        let config = &self.installation.review.config;
        let handler = manifest.handler.as_deref();
        let handler = handler.or(config.default_service_handler.as_deref());
        let handler = handler.unwrap_or_default();
        let mut health = self
            .judge(opened, handler)
            .unwrap_or_else(|error| broken(opened.source(), &error));
        let mut put = |name: &str, value: Value| health.more.insert(name.to_owned(), value);
        put("model", manifest.model_name.as_str().into());
        put("version", manifest.model_version.as_str().into());
        put("handler", handler.into());
        put("weights", manifest.serialized_file.as_deref().into());
        let warnings = opened.config().into_iter().flat_map(|it| &it.warnings);
        let file = manifest.config_file.as_deref().unwrap_or_default();
        let warnings = warnings.map(|warning| format!("{file}: {warning}"));
        health.notes.extend(warnings);
        health
    }

    /// # Errors
    /// A file that the manifest names and that is not there.
    fn judge(&self, opened: &Unpacked, handler: &str) -> Result<Health, ArchiveError> {
        let manifest = &opened.manifest().model;
        let file = |name: &Option<String>| name.as_ref().map(|it| opened.file(it)).transpose();
        let weights = file(&manifest.serialized_file)?;
        let model_file = file(&manifest.model_file)?;
        file(&manifest.requirements_file)?;
        let candidate = Candidate {
            dir: opened.dir(),
            handler,
            weights: weights.as_deref(),
            model_file: model_file.as_deref(),
        };
        let decided = runner(&candidate);
        let in_process = matches!(decided, Ok(Runner::Python(_))) || self.is_isolated(opened);
        let limits = opened.config().and_then(|config| config.get("limits"));
        let limits = limits.filter(|_| in_process).map(Bounds::from_yaml);
        if let Some(Err(why)) = limits {
            let error = LoadError::Invalid(format!("model-config.yaml: {why}"));
            return Ok(refused(&error, handler));
        }
        Ok(match decided {
            Ok(Runner::Native) => self.native(opened, handler),
            Ok(Runner::Python(cause)) => {
                let requirements = manifest.requirements_file.as_deref();
                let mut health = self.python(handler, &cause, requirements);
                let is_script = |file: &Path| Format::of(file).ok() == Some(Format::TorchScript);
                if matches!(cause, Cause::Handler(_)) && weights.as_deref().is_some_and(is_script) {
                    let note = "its network is a TorchScript module: behind a native handler it would run natively";
                    health.notes.push(note.to_owned());
                }
                health
            }
            Err(error) => refused(&error, handler),
        })
    }

    /// A native handler reads its settings and files when it is made, which is all that can go wrong before weights load.
    fn native(&self, opened: &Unpacked, handler: &str) -> Health {
        let config_file = opened.config_file();
        let context = ModelContext {
            dir: opened.dir(),
            settings: opened.config().and_then(|config| config.handler()),
            config_file: config_file.as_deref(),
            limit_max_image_pixels: self.installation.review.config.limit_max_image_pixels,
        };
        match handlers::by_name(handler, &context) {
            Ok(_) => {
                let name = if handler.is_empty() {
                    "base_handler"
                } else {
                    handler
                };
                let own = if self.is_isolated(opened) {
                    ", in a process of its own"
                } else {
                    ""
                };
                Health::new(
                    Verdict::Native,
                    format!("{name}, a TorchScript module{own}"),
                )
            }
            Err(error) => refused(&error, handler),
        }
    }

    /// As the wiring has it.
    fn is_isolated(&self, opened: &Unpacked) -> bool {
        let asked = opened.config().and_then(|config| config.isolation);
        let always = self.installation.review.config.isolation;
        always == Isolation::Process || asked == Some(Isolation::Process)
    }

    fn python(&self, handler: &str, cause: &Cause, requirements: Option<&str>) -> Health {
        let name = if handler.is_empty() {
            "base_handler"
        } else {
            handler
        };
        let (what, file) = match cause {
            Cause::Handler(file) => (
                format!("its handler is {}", file.display()),
                Some(file.display().to_string()),
            ),
            Cause::Default(name) => (format!("its handler is the worker's own {name}"), None),
            Cause::Eager(source) => (
                format!("{name} around the eager model of {}", source.display()),
                None,
            ),
            Cause::Weights(format) => (format!("{name} around {format}"), None),
        };
        let what = match requirements {
            Some(requirements) => format!("{what}, it needs what {requirements} asks for"),
            None => what,
        };
        let mut health = match &self.installation.python {
            Some(python) => {
                let mut health = Health::new(Verdict::Python, what);
                health.todo = requirements
                    .filter(|_| !self.installation.installs_requirements())
                    .map(|requirements| {
                        format!(
                            "have it installed for {} (pip install -r {requirements}), or set install_py_dep_per_model=true",
                            python.display()
                        )
                    });
                health
            }
            None => {
                let mut health =
                    Health::new(Verdict::Missing, format!("{what}; there is no interpreter"));
                health.todo =
                    Some("install Python 3, or name an interpreter with --python FILE".to_owned());
                health
            }
        };
        let mut put = |name: &str, value: Value| health.more.insert(name.to_owned(), value);
        put("handler_file", file.into());
        put("requirements", requirements.into());
        health
    }
}

impl Health {
    pub(super) fn new(verdict: Verdict, says: impl Into<String>) -> Self {
        Health {
            verdict,
            says: says.into(),
            todo: None,
            notes: Vec::new(),
            more: Map::new(),
        }
    }

    fn finding(self, name: &str) -> Finding {
        Finding {
            verdict: self.verdict,
            subject: Subject::Model,
            name: name.to_owned(),
            says: self.says,
            todo: self.todo,
            notes: self.notes,
            more: self.more,
        }
    }
}

/// What the engines refuse, with their advice as what to do.
fn refused(error: &LoadError, handler: &str) -> Health {
    if archive::is_default_handler(handler) && !handlers::NAMES.contains(&handler) {
        let says = format!("{handler} is a handler of TorchServe that is not here");
        let mut health = Health::new(Verdict::Missing, says);
        health.todo = Some("bring a handler along as a file of the archive".to_owned());
        return health;
    }
    let text = error.to_string();
    let (says, advice) = match text.split_once("; ") {
        Some((says, advice)) => (says, advice),
        None => (
            text.as_str(),
            "pack it anew: torchrelay-archiver verify says whether it is sound",
        ),
    };
    let mut health = Health::new(Verdict::Missing, says);
    health.todo = Some(advice.to_owned());
    health
}

/// An archive that cannot be opened, or that lacks what it names.
fn broken(path: &Path, error: &ArchiveError) -> Health {
    let text = error.to_string();
    let shown = format!("{}: ", path.display());
    let says = text.strip_prefix(&shown).unwrap_or(&text);
    let mut health = Health::new(Verdict::Missing, says);
    health.todo = Some(
        match error {
            ArchiveError::Io { .. } | ArchiveError::NotFound { .. } => {
                "let this user read it, and see that the disk has room"
            }
            ArchiveError::UnknownFormat { .. } | ArchiveError::Damaged { .. } => {
                "copy it again from where it was packed, or pack it anew (torchrelay-archiver model)"
            }
            ArchiveError::Refused { .. } | ArchiveError::Limit { .. } => {
                "pack it anew without that (torchrelay-archiver model)"
            }
            ArchiveError::Manifest { .. }
            | ArchiveError::Workflow { .. }
            | ArchiveError::Config { .. }
            | ArchiveError::File { .. } => "mend it and pack it anew (torchrelay-archiver model)",
        }
        .to_owned(),
    );
    health
}
