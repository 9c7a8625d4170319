//! What a model's requirements file asks for.

use std::path::PathBuf;

use servable::LoadError;

use crate::engine::Shared;
use crate::settings::ModelFiles;

/// What was provided.
#[derive(Debug, Default)]
pub(crate) struct Provided {
    pub(crate) interpreter: Option<PathBuf>,
    pub(crate) environment: Option<PathBuf>,
    pub(crate) packages: Option<PathBuf>,
}

pub(crate) fn provide(_shared: &Shared, _files: &ModelFiles) -> Result<Provided, LoadError> {
    Ok(Provided::default())
}
