//! Versions of a snapshot that could not be registered again. They stay in every snapshot, so that the next start tries
//! them again, and the server says that it is not ready, until somebody registers or unregisters them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serving::Registry;

use super::{SnapshotModels, SnapshotVersion};

/// The versions that are left out. Clones share them: the restoring writes them, the keeper and the endpoints read them.
#[derive(Debug, Clone, Default)]
pub struct LeftOut(Arc<Mutex<Vec<LeftVersion>>>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftVersion {
    pub model: String,
    pub version: String,
    /// One line, which anybody may read.
    pub why: String,
    state: SnapshotVersion,
}

impl LeftOut {
    pub(crate) fn add(&self, model: &str, version: &str, state: SnapshotVersion, why: String) {
        self.lock().push(LeftVersion {
            model: model.to_owned(),
            version: version.to_owned(),
            why,
            state,
        });
    }

    /// Those that are not registered now.
    pub fn missing(&self, registry: &Registry) -> Vec<LeftVersion> {
        let is_missing =
            |left: &&LeftVersion| registry.resolve(&left.model, Some(&left.version)).is_err();
        self.lock().iter().filter(is_missing).cloned().collect()
    }

    /// Takes a version out, or without one all of that model, and says whether there was any.
    pub fn forget(&self, model: &str, version: Option<&str>) -> bool {
        let is_meant = |left: &LeftVersion| {
            left.model == model && version.is_none_or(|version| left.version == version)
        };
        let mut versions = self.lock();
        let before = versions.len();
        versions.retain(|left| !is_meant(left));
        versions.len() < before
    }

    /// Takes out the versions that are registered.
    pub(super) fn settle(&self, registered: &SnapshotModels) {
        let is_registered = |left: &LeftVersion| {
            let versions = registered.0.get(&left.model);
            versions.is_some_and(|versions| versions.contains_key(&left.version))
        };
        self.lock().retain(|left| !is_registered(left));
    }

    /// As a snapshot holds them.
    pub(super) fn models(&self) -> SnapshotModels {
        let mut models = SnapshotModels::default();
        for left in self.lock().iter() {
            let of_name = models.0.entry(left.model.clone()).or_default();
            of_name.insert(left.version.clone(), left.state.clone());
        }
        models
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LeftVersion>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
