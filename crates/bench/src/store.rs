//! A model store of our own: archives packed as the archiver packs them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use archive::{PackOptions, Plan};

/// What becomes one archive.
#[derive(Debug, Clone)]
pub(crate) struct Packed<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) handler: &'a str,
    pub(crate) weights: &'a Path,
    /// Its `model-config.yaml`.
    pub(crate) config: &'a str,
}

/// Packs into `<folder>/<name>.mar`, over whatever is there, and returns that.
pub(crate) fn pack(folder: &Path, packed: &Packed<'_>) -> Result<PathBuf> {
    let stage = folder.join("stage");
    let config = stage.join("model-config.yaml");
    fs::create_dir_all(&stage)
        .and_then(|()| fs::write(&config, packed.config))
        .with_context(|| format!("cannot write {}", config.display()))?;
    let plan = Plan::check(PackOptions {
        model_name: packed.name.into(),
        version: packed.version.into(),
        handler: packed.handler.into(),
        serialized_file: Some(packed.weights.to_owned()),
        config_file: Some(config),
        export_path: folder.to_owned(),
        force: true,
        ..PackOptions::default()
    })?;
    let path = archive::pack(&plan, &mut |_| {})?;
    fs::remove_dir_all(&stage).with_context(|| format!("cannot remove {}", stage.display()))?;
    Ok(path)
}
