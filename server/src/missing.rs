//! Workflows that a start could not register. The server says that it is not ready until somebody registers or unregisters
//! them; those of a snapshot stay in every snapshot as long, so that the next start tries them again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serving::Serving;

use crate::snapshot::{SnapshotWorkflow, SnapshotWorkflows};

/// The workflows that are missing. Clones share them: the start writes them, the keeper and the endpoints read them.
#[derive(Debug, Clone, Default)]
pub struct MissingWorkflows(Arc<Mutex<Vec<MissingWorkflow>>>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MissingWorkflow {
    /// Where somebody gave it one; its archive may call it otherwise.
    pub name: Option<String>,
    /// Without secrets; empty where the spec came with the registration.
    pub url: String,
    /// One line, which anybody may read.
    pub why: String,
    /// What a snapshot has of it.
    pub(crate) kept: Option<Kept>,
}

/// A version of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) version: String,
    pub(crate) state: SnapshotWorkflow,
}

impl MissingWorkflow {
    fn is_there(&self, serving: &Serving) -> bool {
        let version = self.kept.as_ref().map(|kept| kept.version.as_str());
        match &self.name {
            Some(name) => serving.workflow(name, version).is_ok(),
            None => serving
                .workflows()
                .iter()
                .any(|workflow| sources::shown(&workflow.url) == self.url),
        }
    }
}

impl MissingWorkflows {
    pub(crate) fn add(&self, workflow: MissingWorkflow) {
        self.lock().push(workflow);
    }

    /// Those that are not registered now.
    pub(crate) fn missing(&self, serving: &Serving) -> Vec<MissingWorkflow> {
        let missing = self.lock();
        let missing = missing.iter().filter(|it| !it.is_there(serving));
        missing.cloned().collect()
    }

    /// Takes a version out, or without one all of that name, and says whether there was any.
    pub(crate) fn forget(&self, name: &str, version: Option<&str>) -> bool {
        let is_meant = |it: &MissingWorkflow| {
            let of_version =
                |version: &str| it.kept.as_ref().is_none_or(|it| it.version == version);
            it.name.as_deref() == Some(name) && version.is_none_or(of_version)
        };
        let mut missing = self.lock();
        let before = missing.len();
        missing.retain(|it| !is_meant(it));
        missing.len() < before
    }

    /// Takes out what is registered; the rest as a snapshot holds it.
    pub(crate) fn settle(&self, serving: &Serving) -> SnapshotWorkflows {
        let mut missing = self.lock();
        missing.retain(|it| !it.is_there(serving));
        let mut workflows = SnapshotWorkflows::default();
        for it in missing.iter() {
            if let (Some(name), Some(kept)) = (&it.name, &it.kept) {
                let of_name = workflows.0.entry(name.clone()).or_default();
                of_name.insert(kept.version.clone(), kept.state.clone());
            }
        }
        workflows
    }

    fn lock(&self) -> MutexGuard<'_, Vec<MissingWorkflow>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
