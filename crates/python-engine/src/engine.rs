//! What the workers of all models share.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use regex::bytes::Regex;
use servable::LoadError;

use crate::loader::PythonLoader;
use crate::package::Package;
use crate::settings::{ModelFiles, Settings, SettingsError};

/// The longest path of a socket, by the system's `sockaddr_un`.
const MOST_PATH: usize = 107;

/// The engine of handlers in Python. Cheap to clone; one for each daemon.
#[derive(Clone)]
pub struct PythonEngine(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) package: Package,
    denied: Option<Regex>,
    sockets: AtomicU64,
}

impl PythonEngine {
    /// Writes the worker package into the settings' folder. No interpreter is started until a model loads.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be written or its path is too long for sockets, and for a pattern that is none.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let folder = |source| SettingsError::Folder {
            path: settings.folder.clone(),
            source,
        };
        let denied = match settings.denied_variables.as_deref() {
            None | Some("") => None,
            Some(pattern) => {
                let whole = format!("^(?:{pattern})$");
                Some(Regex::new(&whole).map_err(|source| SettingsError::Pattern {
                    pattern: pattern.to_owned(),
                    source,
                })?)
            }
        };
        let package = Package::write(&settings.folder).map_err(folder)?;
        let mut settings = settings;
        settings.folder =
            settings
                .folder
                .canonicalize()
                .map_err(|source| SettingsError::Folder {
                    path: settings.folder.clone(),
                    source,
                })?;
        let shared = Shared {
            settings,
            package,
            denied,
            sockets: AtomicU64::new(0),
        };
        let longest = shared.settings.folder.join(format!("s.{}", u32::MAX));
        if longest.as_os_str().len() > MOST_PATH {
            return Err(SettingsError::LongFolder {
                path: shared.settings.folder,
                most: MOST_PATH,
            });
        }
        Ok(PythonEngine(Arc::new(shared)))
    }

    /// A loader for one version of a model, once what can be checked without running its handler has been: that the handler
    /// is there, and that its requirements, if they are wanted, are installed. May block for as long as that takes.
    ///
    /// # Errors
    ///
    /// Where the archive is at fault; each names the handler, file or requirement.
    pub fn loader(&self, files: ModelFiles) -> Result<PythonLoader, LoadError> {
        PythonLoader::new(Arc::clone(&self.0), files)
    }
}

impl Shared {
    /// The path of a socket that does not exist yet. It ends in a dot and a number, as workers want it.
    pub(crate) fn new_socket(&self) -> PathBuf {
        let number = self.sockets.fetch_add(1, Ordering::Relaxed);
        self.settings.folder.join(format!("s.{number}"))
    }

    /// Whether a variable of the daemon's is not for workers.
    pub(crate) fn withholds(&self, name: &OsStr) -> bool {
        self.denied
            .as_ref()
            .is_some_and(|denied| denied.is_match(name.as_bytes()))
    }
}
