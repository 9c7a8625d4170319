//! In the daemon: one version of a model whose servables are processes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use servable::{Abort, Device, Input, LoadError, Loader, Ports, Servable, Signature, Takes};
use worker_process::Bounds;

use crate::servable::IsolatedServable;
use crate::start::start;

/// What a model's processes are started with.
#[derive(Debug, Clone)]
pub struct Isolation {
    /// The model's name, for the log.
    pub model: String,
    /// The program whose arguments have it call [`serve`](crate::serve).
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// Where it works.
    pub folder: PathBuf,
    /// What the child's loader is made of.
    pub description: String,
    pub bounds: Bounds,
}

/// Loads a model into as many processes as are asked for. What can be known of it without loading it, the engine's own loader
/// says, which never loads anything here.
pub struct IsolatedLoader {
    engine: Arc<dyn Loader>,
    isolation: Isolation,
    /// What the first process has shown.
    learned: Arc<OnceLock<Ports>>,
}

impl IsolatedLoader {
    /// Around the loader that `isolation`'s description makes in a child.
    pub fn new(engine: Arc<dyn Loader>, isolation: Isolation) -> Self {
        IsolatedLoader {
            engine,
            isolation,
            learned: Arc::default(),
        }
    }
}

impl Loader for IsolatedLoader {
    fn load(&self, device: Device) -> Result<Box<dyn Servable>, LoadError> {
        self.load_abortable(device, &Abort::default())
    }

    fn load_abortable(
        &self,
        device: Device,
        abort: &Abort,
    ) -> Result<Box<dyn Servable>, LoadError> {
        let worker = start(&self.isolation, device, abort)?;
        // Fails where another worker has come first.
        let _ = self.learned.set(worker.ports.clone());
        Ok(Box::new(IsolatedServable::new(
            worker,
            self.isolation.bounds,
        )))
    }

    fn bucket(&self, input: &Input) -> u64 {
        self.engine.bucket(input)
    }

    fn signature(&self) -> Signature {
        let mut signature = self.engine.signature();
        if let Some(ports) = self.learned.get() {
            signature.ports.clone_from(ports);
        }
        signature
    }

    fn takes(&self) -> Option<Takes> {
        self.engine.takes()
    }

    fn labels(&self) -> Vec<String> {
        self.engine.labels()
    }

    fn answers_in_parts(&self) -> bool {
        self.engine.answers_in_parts()
    }

    fn merges(&self) -> bool {
        self.engine.merges()
    }
}
