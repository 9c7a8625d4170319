//! Which models there are: a name to its versions, and one of them the default.
//!
//! A map behind short locks, held for a look-up and never across an await. Whoever resolves a name holds the model for as
//! long as its request lasts; a model that is removed lives on until the last of them is done.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use archive::Unpacked;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use dashmap::mapref::one::Ref;
use servable::{Input, Signature, Takes};

use crate::error::Error;
use crate::ignored;
use crate::metrics::ModelMetrics;
use crate::pool::Pool;
use crate::settings::Settings;
use crate::source::Brought;
use crate::statistics::Statistics;

/// One registered version of a model.
pub struct Model {
    pub name: String,
    pub version: String,
    /// What the registration named: a file, a folder or an address.
    pub url: String,
    /// The handler that the registration named in place of the archive's.
    pub handler: Option<String>,
    pub settings: Settings,
    pub runtime: String,
    /// Whether it is a model of a workflow, with which it comes and goes.
    pub part: bool,
    /// Whether lists of models leave it out: it is the functions of a workflow's handler file.
    pub hidden: bool,
    /// Whether the configuration named it, rather than somebody through the management API.
    pub loaded_at_startup: bool,
    /// The bounds that were last asked for.
    pub scale: Mutex<Scale>,
    pub pool: Pool,
    /// What it takes and gives, as far as its archive says. See [`Model::signature`] for what loading it has shown.
    pub signature: Signature,
    /// Whether its answers may come in parts although nobody asks for that.
    pub in_parts: bool,
    /// Whether it can be asked to describe itself.
    pub describes_itself: bool,
    /// Whether it gets bytes from the nodes before it in a classic workflow, whatever their values are.
    pub takes_bytes: bool,
    /// Its inputs, where its archive says all of them.
    pub takes: Option<Takes>,
    /// The names of the classes that it tells apart, by their numbers; empty where it has none.
    pub labels: Vec<String>,
    /// For requests that name this version, and for those that name none.
    pub metrics: ModelMetrics,
    pub default_metrics: ModelMetrics,
    /// The copy of the archive in the store, if the registration brought one.
    pub brought: Mutex<Option<Brought>>,
    /// The unpacked archive. Last, so that workers are gone before their files are.
    pub files: Arc<Unpacked>,
}

/// How many workers a version is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    pub min: usize,
    pub max: usize,
}

impl Model {
    /// The parts of a request that it does not look at, and what is wrong with each, as far as its archive says what it takes.
    pub fn ignored(&self, input: &Input) -> Vec<(String, String)> {
        let takes = self.takes.as_ref();
        takes.map_or_else(Vec::new, |takes| ignored::ignored(takes, input))
    }

    /// The bounds that were last asked for.
    pub fn scale(&self) -> Scale {
        *self.scale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it takes and gives, as far as is known by now.
    pub fn signature(&self) -> Signature {
        self.pool.signature()
    }

    /// What has become of its requests since it was registered.
    pub fn statistics(&self) -> Statistics {
        self.pool.statistics()
    }

    /// Whether different requests may share a batch: see [`Pool::merges`].
    pub fn merges(&self) -> bool {
        self.pool.merges()
    }

    /// Where its archive is, or was, in the store. Unlike the url it holds no secrets.
    pub(crate) fn place(&self) -> String {
        let brought = self.brought.lock().unwrap_or_else(PoisonError::into_inner);
        brought
            .as_ref()
            .map_or_else(|| self.url.clone(), |brought| brought.name().to_owned())
    }

    /// The copy that its registration brought: whoever takes it removes or keeps it.
    pub(crate) fn take_brought(&self) -> Option<Brought> {
        let mut brought = self.brought.lock().unwrap_or_else(PoisonError::into_inner);
        brought.take()
    }
}

#[derive(Default)]
pub struct Registry {
    models: DashMap<String, Versions>,
}

struct Versions {
    default: String,
    by_version: BTreeMap<String, Arc<Model>>,
}

impl Registry {
    /// Adds a version. The first one of a name becomes its default.
    pub fn insert(&self, model: Arc<Model>) -> Result<(), Error> {
        match self.models.entry(model.name.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Versions {
                    default: model.version.clone(),
                    by_version: BTreeMap::from([(model.version.clone(), model)]),
                });
            }
            Entry::Occupied(mut entry) => {
                let versions = &mut entry.get_mut().by_version;
                if versions.contains_key(&model.version) {
                    return Err(already_registered(&model.name, &model.version));
                }
                versions.insert(model.version.clone(), model);
            }
        }
        Ok(())
    }

    /// Puts a version in place of the one of its name that is there, and gives that one back.
    pub fn replace(&self, model: Arc<Model>) -> Option<Arc<Model>> {
        let mut versions = self
            .models
            .entry(model.name.clone())
            .or_insert_with(|| Versions {
                default: model.version.clone(),
                by_version: BTreeMap::new(),
            });
        versions.by_version.insert(model.version.clone(), model)
    }

    /// Says so if this name and version are taken; a cheap question before the costly work of loading.
    pub fn check_free(&self, name: &str, version: &str) -> Result<(), Error> {
        match self.models.get(name) {
            Some(versions) if versions.by_version.contains_key(version) => {
                Err(already_registered(name, version))
            }
            _ => Ok(()),
        }
    }

    /// The named version, or the default one.
    pub fn resolve(&self, name: &str, version: Option<&str>) -> Result<Arc<Model>, Error> {
        let versions = self.find(name)?;
        let wanted = version.unwrap_or(&versions.default);
        versions
            .by_version
            .get(wanted)
            .map(Arc::clone)
            .ok_or_else(|| no_version(name, wanted))
    }

    fn find(&self, name: &str) -> Result<Ref<'_, String, Versions>, Error> {
        self.models
            .get(name)
            .ok_or_else(|| Error::ModelNotFound(name.into()))
    }

    /// The default version of every model that lists show, by name.
    pub fn listed(&self) -> Vec<Arc<Model>> {
        let mut models = self.defaults();
        models.retain(|model| !model.hidden);
        models
    }

    /// The default version of every model, by name.
    pub fn defaults(&self) -> Vec<Arc<Model>> {
        let mut models: Vec<Arc<Model>> = self
            .models
            .iter()
            .filter_map(|versions| versions.by_version.get(&versions.default).map(Arc::clone))
            .collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        models
    }

    /// Every version of a model, in the order of their names.
    pub fn versions(&self, name: &str) -> Result<Vec<Arc<Model>>, Error> {
        let versions = self.find(name)?;
        Ok(versions.by_version.values().map(Arc::clone).collect())
    }

    /// Makes a version the one that answers requests which name none.
    pub fn set_default(&self, name: &str, version: &str) -> Result<(), Error> {
        let mut versions = self
            .models
            .get_mut(name)
            .ok_or_else(|| Error::ModelNotFound(name.into()))?;
        if !versions.by_version.contains_key(version) {
            return Err(no_version(name, version));
        }
        versions.default = version.into();
        Ok(())
    }

    /// Takes a version out, the default one if none is named. The default one can only go last.
    pub fn remove(&self, name: &str, version: Option<&str>) -> Result<Arc<Model>, Error> {
        let Entry::Occupied(mut entry) = self.models.entry(name.to_owned()) else {
            return Err(Error::ModelNotFound(name.into()));
        };
        let versions = entry.get_mut();
        let wanted = version.unwrap_or(&versions.default).to_owned();
        if wanted == versions.default && versions.by_version.len() > 1 {
            return Err(Error::DefaultVersion(name.into()));
        }
        let removed = versions
            .by_version
            .remove(&wanted)
            .ok_or_else(|| no_version(name, &wanted))?;
        if versions.by_version.is_empty() {
            entry.remove();
        }
        Ok(removed)
    }

    /// Takes every version out, so that no request finds one any more.
    pub fn take_all(&self) -> Vec<Arc<Model>> {
        let names: Vec<String> = self
            .models
            .iter()
            .map(|versions| versions.key().clone())
            .collect();
        names
            .iter()
            .filter_map(|name| self.models.remove(name))
            .flat_map(|(_, versions)| versions.by_version.into_values())
            .collect()
    }
}

fn no_version(name: &str, version: &str) -> Error {
    Error::VersionNotFound {
        model: name.into(),
        version: version.into(),
    }
}

fn already_registered(name: &str, version: &str) -> Error {
    Error::AlreadyRegistered {
        model: name.into(),
        version: version.into(),
    }
}
