//! A folder instead of an archive file: what a model store can serve in place.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::stream;
use crate::plan::{PackError, Plan};

pub(super) fn write(
    plan: &Plan,
    parent: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(), PackError> {
    let target = plan.target();
    let failed = |error| PackError::io(target, error);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".packing-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    // A folder of its own for both: the new model, and the one it replaces until the new one is in its place.
    let work = builder.tempdir_in(parent).map_err(failed)?;
    let (new, old) = (work.path().join("new"), work.path().join("old"));

    let manifest = create(&new, plan.manifest.place())?;
    io::copy(&mut plan.manifest.to_json().as_bytes(), &mut &manifest).map_err(failed)?;
    for (name, source) in &plan.files {
        let mut file = create(&new, name)?;
        stream(source, target, progress, |from| {
            io::copy(from, &mut file).map(drop)
        })?;
    }

    plan.check_target()?;
    let replaces = fs::symlink_metadata(target).is_ok();
    if replaces {
        fs::rename(target, &old).map_err(failed)?;
    }
    fs::rename(&new, target).map_err(|error| {
        if replaces {
            // The old model goes back; if even that fails, the first error is the one to tell.
            let _ = fs::rename(&old, target);
        }
        failed(error)
    })
}

fn create(root: &Path, name: &str) -> Result<File, PackError> {
    let path = root.join(name);
    let failed = |error| PackError::io(&path, error);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    File::create_new(&path).map_err(failed)
}
