//! What the workers of all models share.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex::bytes::Regex;
use servable::LoadError;
use tracing::{info, warn};
use worker_process::Groups;

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
    /// The number of the next worker of one process, and of the next of several.
    next: AtomicU32,
    next_distributed: AtomicU32,
    /// Looked for when the first worker is bounded.
    groups: OnceLock<Option<Groups>>,
    /// The model that has the debugger.
    debugged: Mutex<Option<String>>,
}

/// Where the processes of one worker listen.
pub(crate) struct Sockets {
    /// The number at the end of the first path.
    pub(crate) number: u32,
    pub(crate) first: PathBuf,
    /// The first counts on by the rank.
    pub(crate) others: Vec<PathBuf>,
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
            next_distributed: AtomicU32::new(settings.first_distributed),
            settings,
            package,
            denied,
            next: AtomicU32::new(0),
            groups: OnceLock::new(),
            debugged: Mutex::default(),
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
    /// The paths of sockets that do not exist yet, one for each process of a worker. They end in a dot and a number, as
    /// workers want it.
    pub(crate) fn new_sockets(&self, processes: u32, is_distributed: bool) -> Sockets {
        let (next, prefix) = match is_distributed {
            true => (&self.next_distributed, "d"),
            false => (&self.next, "s"),
        };
        let number = next.fetch_add(processes, Ordering::Relaxed);
        let path = |rank: u32| {
            let number = number.wrapping_add(rank);
            self.settings.folder.join(format!("{prefix}.{number}"))
        };
        Sockets {
            number,
            first: path(0),
            others: (1..processes).map(path).collect(),
        }
    }

    /// The groups that bound the memory of workers, if the system lets us have some.
    pub(crate) fn groups(&self) -> Option<&Groups> {
        let found = self.groups.get_or_init(|| match Groups::find() {
            Ok(groups) => Some(groups),
            Err(why) => {
                info!("memory of workers is bounded by their address space, not by control groups: {why}");
                None
            }
        });
        found.as_ref()
    }

    /// The port of the debugger, if the model is the one that has it: the first that asks.
    pub(crate) fn debugger_for(&self, model: &str) -> Option<u16> {
        let port = self.settings.debugger?;
        let mut debugged = self.debugged.lock().unwrap_or_else(PoisonError::into_inner);
        let debugged = debugged.get_or_insert_with(|| model.to_owned());
        if debugged == model {
            return Some(port);
        }
        warn!("model {model} runs without the debugger, which model {debugged} has");
        None
    }

    /// Whether a variable of the daemon's is not for workers.
    pub(crate) fn withholds(&self, name: &OsStr) -> bool {
        self.denied
            .as_ref()
            .is_some_and(|denied| denied.is_match(name.as_bytes()))
    }
}
