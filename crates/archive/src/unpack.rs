//! Opening an archive: from a path of unknown content to a folder of checked files.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::reader::{Source, check_regular};
use crate::tree::{self, Tree};
use crate::{
    ArchiveError, Format, Limits, MANIFEST, Manifest, ModelConfig, default_model_name, name,
};

/// Bytes of a manifest or a model configuration; both are read whole.
pub(crate) const TEXT: usize = 4 << 20;

/// An open archive. Dropping it removes the unpacked folder (a folder that was served in place stays).
#[derive(Debug)]
pub struct Unpacked {
    source: PathBuf,
    format: Format,
    /// Removed on drop; absent when the source itself is a folder.
    owned: Option<TempDir>,
    dir: PathBuf,
    sha256: Option<String>,
    manifest: Manifest,
    has_manifest: bool,
    config: Option<ModelConfig>,
}

/// Opens the archive at `path`, a file or a folder. A file is unpacked into a new folder below `into` (made if absent);
/// until everything is checked, that folder's name starts with `.unpacking-`. A folder is served where it is.
///
/// # Errors
///
/// Whatever [`ArchiveError`] says. After an error nothing is left below `into`, and nothing was written elsewhere.
pub fn open(path: &Path, into: &Path, limits: &Limits) -> Result<Unpacked, ArchiveError> {
    let failed = |error| ArchiveError::io(path, error);
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        // Absolute, so that a later change of the working directory does not matter.
        let dir = tree::unwrap(path.canonicalize().map_err(failed)?)?;
        return Contents::read(path, &dir).map(|contents| contents.into_unpacked(path, dir));
    }
    check_regular(path, &metadata)?;
    let (source, staging) = stage(path, into, limits)?;
    let contents = Contents::read(path, &tree::unwrap(staging.path().to_owned())?)?;
    let home = settle(staging, into, &source)?;
    let dir = tree::unwrap(home.path().to_owned())?;
    let mut unpacked = contents.into_unpacked(path, dir);
    unpacked.format = source.format;
    unpacked.sha256 = Some(source.sha256);
    unpacked.owned = Some(home);
    Ok(unpacked)
}

/// Unpacks a file into a new folder below `into`, whose name says that it is not checked yet.
pub(crate) fn stage(
    path: &Path,
    into: &Path,
    limits: &Limits,
) -> Result<(Source, TempDir), ArchiveError> {
    let mut source = Source::open(path)?;
    fs::create_dir_all(into).map_err(|error| ArchiveError::io(into, error))?;
    let staging = temp_folder(into, ".unpacking-")?;
    source.walk(limits, &mut Tree::new(staging.path()))?;
    Ok((source, staging))
}

/// Gives what was checked its name.
pub(crate) fn settle(
    staging: TempDir,
    into: &Path,
    source: &Source,
) -> Result<TempDir, ArchiveError> {
    let home = temp_folder(into, &format!("{}-", &source.sha256[..16]))?;
    fs::rename(staging.path(), home.path())
        .map_err(|error| ArchiveError::io(home.path(), error))?;
    // The staging folder is gone: its guard has nothing left to guard.
    let _ = staging.keep();
    Ok(home)
}

impl Unpacked {
    /// The folder with the model's files: TorchServe's `model_dir`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The manifest, or the defaults where the archive has none.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether [`Unpacked::manifest`] was read from the archive.
    pub fn has_manifest(&self) -> bool {
        self.has_manifest
    }

    /// The model configuration, if the manifest names one.
    pub fn config(&self) -> Option<&ModelConfig> {
        self.config.as_ref()
    }

    /// The file that [`config`](Unpacked::config) was read from.
    pub fn config_file(&self) -> Option<PathBuf> {
        let name = self.manifest().model.config_file.as_deref()?;
        self.file(name).ok()
    }

    /// The path that was opened.
    pub fn source(&self) -> &Path {
        &self.source
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Lower-case hexadecimal SHA-256 of the archive file; a folder has none.
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// The path of a file that the manifest (or a handler) names, which exists and lies in [`Unpacked::dir`].
    ///
    /// # Errors
    ///
    /// [`ArchiveError::File`] for an absolute name, one with `..`, and one that is no file.
    pub fn file(&self, name: &str) -> Result<PathBuf, ArchiveError> {
        confined(&self.source, &self.dir, name)
    }
}

/// What was read out of an unpacked folder.
struct Contents {
    manifest: Option<Manifest>,
    model_name: String,
    config: Option<ModelConfig>,
}

impl Contents {
    fn read(source: &Path, dir: &Path) -> Result<Self, ArchiveError> {
        let model_name = stem(source);
        let manifest = read_manifest(source, dir, &model_name)?;
        let named = manifest
            .as_ref()
            .and_then(|manifest| manifest.model.config_file.as_deref());
        let config = match named {
            Some(file) => Some(read_config(source, dir, file)?),
            None => None,
        };
        Ok(Contents {
            manifest,
            model_name,
            config,
        })
    }

    fn into_unpacked(self, source: &Path, dir: PathBuf) -> Unpacked {
        let has_manifest = self.manifest.is_some();
        let manifest = self
            .manifest
            .unwrap_or_else(|| Manifest::absent(self.model_name));
        Unpacked {
            source: source.to_owned(),
            format: Format::Folder,
            owned: None,
            dir,
            sha256: None,
            manifest,
            has_manifest,
            config: self.config,
        }
    }
}

fn read_manifest(
    source: &Path,
    dir: &Path,
    model_name: &str,
) -> Result<Option<Manifest>, ArchiveError> {
    let path = dir.join(MANIFEST);
    let failed = |detail: String| ArchiveError::Manifest {
        archive: source.display().to_string(),
        detail,
    };
    let text = match read_text(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    Manifest::from_json(&text, model_name.to_owned())
        .map(Some)
        .map_err(failed)
}

fn read_config(source: &Path, dir: &Path, file: &str) -> Result<ModelConfig, ArchiveError> {
    let path = confined(source, dir, file)?;
    read_text(&path)
        .map_err(|error| error.to_string())
        .and_then(|text| ModelConfig::from_yaml(&text))
        .map_err(|detail| ArchiveError::Config {
            archive: source.display().to_string(),
            file: file.to_owned(),
            detail,
        })
}

/// A manifest or a model configuration, whole; more than [`TEXT`] bytes are an error.
pub(crate) fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(path)?
        .take(TEXT as u64 + 1)
        .read_to_end(&mut text)?;
    if text.len() > TEXT {
        let detail = format!("more than {TEXT} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, detail));
    }
    Ok(text)
}

pub(crate) fn confined(source: &Path, dir: &Path, name: &str) -> Result<PathBuf, ArchiveError> {
    let failed = |detail| ArchiveError::File {
        archive: source.display().to_string(),
        name: name.to_owned(),
        detail,
    };
    let inside = name::normal(name.as_bytes())
        .map_err(|_| failed("the name leads outside the archive"))?
        .ok_or_else(|| failed("the name is no file"))?;
    let path = dir.join(inside);
    if !path.is_file() {
        return Err(failed("there is no such file in the archive"));
    }
    Ok(path)
}

/// The model name for an archive that names none. `.` and the like have no file name; their real path has.
pub(crate) fn stem(source: &Path) -> String {
    let real = source.canonicalize();
    let named = if source.file_name().is_some() {
        source
    } else {
        real.as_deref().unwrap_or(source)
    };
    let name = named.file_name().unwrap_or_default();
    default_model_name(&name.to_string_lossy())
}

pub(crate) fn temp_folder(into: &Path, prefix: &str) -> Result<TempDir, ArchiveError> {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(into)
        .map_err(|error| ArchiveError::io(into, error))
}

#[cfg(test)]
mod tests;
