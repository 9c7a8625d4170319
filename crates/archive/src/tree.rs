//! Entries to files: the visitor that unpacks into a folder it trusts nobody else to write to.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::ArchiveError;
use crate::limits::Meter;
use crate::reader::Visitor;

/// Writes entries below a folder. Names arrive checked and unique, no link is ever made, and files are created only
/// where there is none, so nothing can be written anywhere else.
pub(crate) struct Tree<'a> {
    root: &'a Path,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(root: &'a Path) -> Self {
        Tree { root }
    }
}

impl Visitor for Tree<'_> {
    fn folder(&mut self, name: &str) -> Result<(), ArchiveError> {
        make(&self.root.join(name))
    }

    fn file(
        &mut self,
        name: &str,
        _packed: Option<u64>,
        _size: u64,
        data: &mut dyn Read,
        meter: &mut Meter<'_>,
    ) -> Result<(), ArchiveError> {
        let path = self.root.join(name);
        if let Some(parent) = path.parent() {
            make(parent)?;
        }
        meter.write(name, data, &path).map(drop)
    }
}

fn make(folder: &Path) -> Result<(), ArchiveError> {
    fs::create_dir_all(folder).map_err(|error| ArchiveError::io(folder, error))
}

/// Where the model's files start: `folder`, or its only child when that is a folder too (archives of a folder, copies
/// of copies). A folder with a manifest is never passed over.
pub(crate) fn unwrap(folder: PathBuf) -> Result<PathBuf, ArchiveError> {
    let failed = |error| ArchiveError::io(&folder, error);
    let mut children = fs::read_dir(&folder).map_err(failed)?;
    let Some(first) = children.next().transpose().map_err(failed)? else {
        return Ok(folder);
    };
    if children.next().is_some()
        || ["MAR-INF", "WAR-INF"]
            .iter()
            .any(|info| first.file_name() == *info)
        || !first.path().is_dir()
    {
        return Ok(folder);
    }
    Ok(first.path())
}
