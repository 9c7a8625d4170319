//! Which workflows there are: a name to its versions, and one of them the default.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::workflow::Workflow;

/// A map behind a short lock, held for a look-up and never across an await.
#[derive(Default)]
pub(crate) struct Registered {
    workflows: Mutex<BTreeMap<String, Versions>>,
}

struct Versions {
    default: String,
    by_version: BTreeMap<String, Arc<Workflow>>,
}

impl Registered {
    /// Adds a version. The first one of a name becomes its default.
    pub(crate) fn insert(&self, workflow: Arc<Workflow>) -> Result<(), Error> {
        let mut workflows = self.lock();
        let versions = workflows
            .entry(workflow.name.clone())
            .or_insert_with(|| Versions {
                default: workflow.version.clone(),
                by_version: BTreeMap::new(),
            });
        if versions.by_version.contains_key(&workflow.version) {
            return Err(Error::WorkflowTaken(workflow.name.clone()));
        }
        versions
            .by_version
            .insert(workflow.version.clone(), workflow);
        Ok(())
    }

    /// Says so if this name and version are taken.
    pub(crate) fn check_free(&self, name: &str, version: &str) -> Result<(), Error> {
        match self.lock().get(name) {
            Some(versions) if versions.by_version.contains_key(version) => {
                Err(Error::WorkflowTaken(name.into()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The named version, or the default one.
    pub(crate) fn resolve(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Arc<Workflow>, Error> {
        let workflows = self.lock();
        let versions = workflows
            .get(name)
            .ok_or_else(|| Error::WorkflowNotFound(name.into()))?;
        let wanted = version.unwrap_or(&versions.default);
        let found = versions.by_version.get(wanted).map(Arc::clone);
        found.ok_or_else(|| no_version(name, wanted))
    }

    /// The default version of every workflow, by name.
    pub(crate) fn defaults(&self) -> Vec<Arc<Workflow>> {
        let workflows = self.lock();
        let defaults = workflows
            .values()
            .filter_map(|versions| versions.by_version.get(&versions.default));
        defaults.map(Arc::clone).collect()
    }

    /// Every version of a workflow, in the order of their names.
    pub(crate) fn versions(&self, name: &str) -> Result<Vec<Arc<Workflow>>, Error> {
        let workflows = self.lock();
        let versions = workflows
            .get(name)
            .ok_or_else(|| Error::WorkflowNotFound(name.into()))?;
        Ok(versions.by_version.values().map(Arc::clone).collect())
    }

    /// Makes a version the one that answers requests which name none.
    pub(crate) fn set_default(&self, name: &str, version: &str) -> Result<(), Error> {
        let mut workflows = self.lock();
        let versions = workflows
            .get_mut(name)
            .ok_or_else(|| Error::WorkflowNotFound(name.into()))?;
        if !versions.by_version.contains_key(version) {
            return Err(no_version(name, version));
        }
        versions.default = version.into();
        Ok(())
    }

    /// Takes a version out, the default one if none is named. The default one can only go last.
    pub(crate) fn remove(&self, name: &str, version: Option<&str>) -> Result<Arc<Workflow>, Error> {
        let mut workflows = self.lock();
        let versions = workflows
            .get_mut(name)
            .ok_or_else(|| Error::WorkflowNotFound(name.into()))?;
        let wanted = version.unwrap_or(&versions.default).to_owned();
        if wanted == versions.default && versions.by_version.len() > 1 {
            return Err(Error::DefaultWorkflowVersion(name.into()));
        }
        let removed = versions.by_version.remove(&wanted);
        let removed = removed.ok_or_else(|| no_version(name, &wanted))?;
        if versions.by_version.is_empty() {
            workflows.remove(name);
        }
        Ok(removed)
    }

    /// Takes everything out, so that no request finds a workflow any more.
    pub(crate) fn take_all(&self) -> Vec<Arc<Workflow>> {
        let workflows = std::mem::take(&mut *self.lock());
        let versions = workflows.into_values().map(|versions| versions.by_version);
        versions.flat_map(BTreeMap::into_values).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Versions>> {
        self.workflows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_version(name: &str, version: &str) -> Error {
    Error::WorkflowVersionNotFound {
        workflow: name.into(),
        version: version.into(),
    }
}
