//! Looking into an archive without unpacking it.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use crate::limits::Meter;
use crate::reader::{Source, Visitor, check_regular};
use crate::unpack::TEXT;
use crate::{ArchiveError, Format, Limits, MANIFEST, Manifest, ModelConfig, open, unpack};

/// What is in an archive.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    pub format: Format,
    /// Bytes of the archive file; of a folder, the sum of its files.
    pub size: u64,
    /// Lower-case hexadecimal SHA-256 of the archive file; a folder has none.
    pub sha256: Option<String>,
    /// In the archive's order, a folder's sorted by name.
    pub entries: Vec<Entry>,
    /// The manifest, or the defaults where there is none.
    pub manifest: Manifest,
    /// Whether the manifest was read from the archive.
    pub has_manifest: bool,
    /// The model configuration, if the manifest names one.
    pub config: Option<ModelConfig>,
}

/// One file or folder of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the model's files: what a tar has above them is stripped.
    pub name: String,
    pub folder: bool,
    /// Bytes, as the archive says; 0 for a folder.
    pub size: u64,
    /// Bytes in the archive, where the format tells.
    pub packed: Option<u64>,
}

/// Lists an archive. Nothing is written; a zip's files are not even inflated, apart from manifest and configuration.
///
/// # Errors
///
/// As [`open`], for as much of the archive as is looked at.
pub fn inspect(path: &Path, limits: &Limits) -> Result<Listing, ArchiveError> {
    let metadata = fs::metadata(path).map_err(|error| ArchiveError::io(path, error))?;
    if metadata.is_dir() {
        return folder(path, limits);
    }
    check_regular(path, &metadata)?;
    let mut source = Source::open(path)?;
    let mut lister = Lister::new(MANIFEST);
    source.walk(limits, &mut lister)?;
    let archive = source.shown.clone();

    // An archive of a folder: its files start one level down, as they do when it is opened.
    let wrapper = wrapper(&lister.entries);
    let text = lister.kept.remove(&format!("{wrapper}{MANIFEST}"));
    let has_manifest = text.is_some();
    let model_name = unpack::stem(path);
    let manifest = match text {
        None => Manifest::absent(model_name),
        Some(text) => {
            Manifest::from_json(&text, model_name).map_err(|detail| ArchiveError::Manifest {
                archive: archive.clone(),
                detail,
            })?
        }
    };
    let mut config = None;
    if let Some(file) = &manifest.model.config_file {
        // Only now is its name known, and it may have passed already.
        let name = format!("{wrapper}{file}");
        let mut lister = Lister::new(&name);
        source.walk(limits, &mut lister)?;
        let text = lister
            .kept
            .remove(&name)
            .ok_or_else(|| ArchiveError::File {
                archive: archive.clone(),
                name: file.clone(),
                detail: "there is no such file in the archive",
            })?;
        let read = ModelConfig::from_yaml(&text).map_err(|detail| ArchiveError::Config {
            archive,
            file: file.clone(),
            detail,
        })?;
        config = Some(read);
    }
    let entries = below(lister.entries, &wrapper);
    Ok(Listing {
        format: source.format,
        size: source.size,
        sha256: Some(source.sha256),
        entries,
        manifest,
        has_manifest,
        config,
    })
}

/// The entries below the top folder, without its name.
pub(crate) fn below(mut entries: Vec<Entry>, wrapper: &str) -> Vec<Entry> {
    entries.retain_mut(|entry| {
        entry.name.drain(..wrapper.len().min(entry.name.len()));
        !entry.name.is_empty()
    });
    entries
}

/// The top folder's name and a slash, if everything lies below one folder that is not the manifest's.
pub(crate) fn wrapper(entries: &[Entry]) -> String {
    let top = |entry: &Entry| {
        let (top, below) = entry.name.split_once('/').unwrap_or((&entry.name, ""));
        (top.to_owned(), entry.folder || !below.is_empty())
    };
    let Some(first) = entries.first().map(top) else {
        return String::new();
    };
    let alone = first.1
        && !["MAR-INF", "WAR-INF"].contains(&first.0.as_str())
        && entries.iter().all(|entry| top(entry) == first);
    if alone {
        format!("{}/", first.0)
    } else {
        String::new()
    }
}

fn folder(path: &Path, limits: &Limits) -> Result<Listing, ArchiveError> {
    // A folder is served in place, so opening it unpacks nothing.
    let opened = open(path, path, limits)?;
    let mut entries = Vec::new();
    walk_folder(opened.dir(), "", limits, path, &mut entries)?;
    Ok(Listing {
        format: Format::Folder,
        size: entries.iter().map(|entry| entry.size).sum(),
        sha256: None,
        entries,
        manifest: opened.manifest().clone(),
        has_manifest: opened.has_manifest(),
        config: opened.config().cloned(),
    })
}

pub(crate) fn walk_folder(
    folder: &Path,
    prefix: &str,
    limits: &Limits,
    archive: &Path,
    entries: &mut Vec<Entry>,
) -> Result<(), ArchiveError> {
    let failed = |error| ArchiveError::io(folder, error);
    let mut children = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed)?;
    children.sort_by_key(fs::DirEntry::file_name);
    for child in children {
        if entries.len() as u64 >= limits.entries {
            return Err(ArchiveError::Limit {
                archive: archive.display().to_string(),
                what: format!("more than {} entries", limits.entries),
            });
        }
        let name = format!("{prefix}{}", child.file_name().to_string_lossy());
        // Links are followed to files (weights are often linked), not into folders, which might lead in circles.
        let kind = child.file_type().map_err(failed)?;
        let size = fs::metadata(child.path()).map_or(0, |metadata| metadata.len());
        entries.push(Entry {
            name: name.clone(),
            folder: kind.is_dir(),
            size: if kind.is_dir() { 0 } else { size },
            packed: None,
        });
        if kind.is_dir() {
            let prefix = format!("{name}/");
            walk_folder(&child.path(), &prefix, limits, archive, entries)?;
        }
    }
    Ok(())
}

/// Collects entries, and the content of the wanted one.
pub(crate) struct Lister<'a> {
    wanted: &'a str,
    pub(crate) entries: Vec<Entry>,
    pub(crate) kept: HashMap<String, Vec<u8>>,
}

impl<'a> Lister<'a> {
    pub(crate) fn new(wanted: &'a str) -> Self {
        Lister {
            wanted,
            entries: Vec::new(),
            kept: HashMap::new(),
        }
    }

    /// Whether a file is the wanted one, at the root or one folder below it.
    fn wants(&self, name: &str) -> bool {
        let below = name.split_once('/').map_or(name, |(_, below)| below);
        self.wanted == name || self.wanted == below
    }
}

impl Visitor for Lister<'_> {
    fn folder(&mut self, name: &str) -> Result<(), ArchiveError> {
        self.entries.push(Entry {
            name: name.to_owned(),
            folder: true,
            size: 0,
            packed: None,
        });
        Ok(())
    }

    fn file(
        &mut self,
        name: &str,
        packed: Option<u64>,
        size: u64,
        data: &mut dyn Read,
        meter: &mut Meter<'_>,
    ) -> Result<(), ArchiveError> {
        if self.wants(name) {
            let content = meter.read(name, data, TEXT)?;
            self.kept.insert(name.to_owned(), content);
        }
        self.entries.push(Entry {
            name: name.to_owned(),
            folder: false,
            size,
            packed,
        });
        Ok(())
    }
}
