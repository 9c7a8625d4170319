//! Zip archives (`.mar`). The central directory says what is inside; its sizes are not believed, and checksums are
//! checked as the bytes pass.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Read, Seek};

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;

use crate::gate::Gate;
use crate::reader::Walk;
use crate::{ArchiveError, Limits, Refusal, name};

/// Type bits of a Unix mode, in the upper half of an entry's external attributes.
const TYPE: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

pub(crate) fn walk(file: &File, limits: &Limits, walk: &mut Walk<'_>) -> Result<(), ArchiveError> {
    let left = Cell::new(u64::MAX);
    let gate = Gate::new(file, &left);
    let mut archive = open(BufReader::new(gate), &left, limits, walk)?;
    for index in 0..archive.len() {
        entry(&mut archive, index, walk)?;
    }
    Ok(())
}

fn entry(
    archive: &mut ZipArchive<impl Read + Seek>,
    index: usize,
    walk: &mut Walk<'_>,
) -> Result<(), ArchiveError> {
    let about = archive
        .by_index_data(index)
        .map_err(|error| walk.damaged(error))?;
    let raw = about.name_raw().to_vec();
    if about.encrypted() {
        return Err(walk.refused(&raw, Refusal::Encrypted));
    }
    let folder = match (about.external_attributes() >> 16) & TYPE {
        LINK => return Err(walk.refused(&raw, Refusal::Link)),
        FOLDER => true,
        // Not every packer tells; then the slash at the end does.
        0 | REGULAR => raw.ends_with(b"/"),
        _ => return Err(walk.refused(&raw, Refusal::Special)),
    };
    let Some(name) = name::normal(&raw).map_err(|why| walk.refused(&raw, why))? else {
        return Ok(());
    };
    walk.take(&name, folder)?;
    if folder {
        return walk.visitor.folder(&name);
    }
    let mut data = archive
        .by_index(index)
        .map_err(|error| walk.damaged(format_args!("entry {name:?}: {error}")))?;
    let (packed, size) = (data.compressed_size(), data.size());
    walk.visitor
        .file(&name, Some(packed), size, &mut data, &mut walk.meter)
}

/// Reads the directory at the zip's end through `left`, the allowance of `file`, and lifts the allowance.
fn open<R: Read + Seek>(
    file: R,
    left: &Cell<u64>,
    limits: &Limits,
    walk: &Walk<'_>,
) -> Result<ZipArchive<R>, ArchiveError> {
    // The parser keeps the directory in memory. Honest entries take about a hundred bytes there.
    left.set(limits.entries.saturating_mul(2048).saturating_add(4 << 20));
    // The first entry is where the file starts (that is how the format was found), so no searching for an offset.
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let mut archive = ZipArchive::with_config(config, file).map_err(|error| {
        if lacks_its_end(&error) {
            walk.damaged("cut short, or not a zip")
        } else {
            walk.damaged(error)
        }
    })?;
    left.set(u64::MAX);
    if archive.len() as u64 > limits.entries {
        return Err(ArchiveError::Limit {
            archive: walk.archive.to_owned(),
            what: format!("more than {} entries", limits.entries),
        });
    }
    if archive.has_duplicate_names() {
        // Which one, the parser no longer tells.
        return Err(walk.damaged("the zip directory has a name twice"));
    }
    // Entries over the same bytes are how a small file claims to be endless.
    if archive
        .has_overlapping_files()
        .map_err(|error| walk.damaged(error))?
    {
        return Err(walk.damaged("entries overlap"));
    }
    Ok(archive)
}

/// Whether the end record, which the parser looks for first, is not there or is there in part.
fn lacks_its_end(error: &ZipError) -> bool {
    matches!(error, ZipError::InvalidArchive(detail)
        if detail.contains("EOCD") || detail.contains("Unexpected end"))
}
