//! Gzip-compressed tar archives. The first segment of every name is stripped: packers put everything below one folder.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Read};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use crate::gate::Gate;
use crate::reader::Walk;
use crate::{ArchiveError, Refusal, name};

/// Bytes that may pass between two files: headers, extended headers, padding. The tar reader keeps some of them in
/// memory, so they are bounded apart from the files' own.
const BETWEEN: u64 = 1 << 20;

pub(crate) fn walk(file: &File, walk: &mut Walk<'_>) -> Result<(), ArchiveError> {
    let left = Cell::new(BETWEEN);
    let inflated = MultiGzDecoder::new(BufReader::with_capacity(64 << 10, file));
    let gate = Gate::new(inflated, &left);
    let mut archive = tar::Archive::new(gate);
    let mut entries = archive.entries().map_err(|error| walk.damaged(error))?;
    loop {
        left.set(BETWEEN);
        let next = entries.next();
        walk.meter.bytes(BETWEEN - left.get())?;
        let Some(next) = next else { break };
        left.set(u64::MAX);
        entry(next.map_err(|error| walk.damaged(error))?, walk)?;
    }
    // What follows the end mark is padding; the gzip checksum comes after it.
    left.set(BETWEEN);
    walk.meter
        .skip("the end", &mut archive.into_inner())
        .map(drop)
}

fn entry(mut entry: tar::Entry<'_, impl Read>, walk: &mut Walk<'_>) -> Result<(), ArchiveError> {
    let raw = entry.path_bytes().into_owned();
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        // Says something about all entries that follow, as git's archives do.
        return walk.meter.entry();
    }
    if kind == EntryType::Symlink || kind == EntryType::Link {
        return Err(walk.refused(&raw, Refusal::Link));
    }
    if !matches!(
        kind,
        EntryType::Directory | EntryType::Regular | EntryType::Continuous
    ) {
        return Err(walk.refused(&raw, Refusal::Special));
    }
    // Old tars mark a folder by the slash alone.
    let folder = kind == EntryType::Directory || raw.ends_with(b"/");
    let refused = |why| walk.refused(&raw, why);
    // Checked whole, then stripped: an absolute name must not pass because its first segment is gone.
    name::normal(&raw).map_err(refused)?;
    let stripped = strip_first(&raw);
    let name = if stripped.is_empty() {
        None
    } else {
        name::normal(stripped).map_err(refused)?
    };
    let Some(name) = name else {
        walk.meter.entry()?;
        return if folder {
            Ok(())
        } else {
            Err(walk.refused(&raw, Refusal::EmptyName))
        };
    };
    walk.take(&name, folder)?;
    if folder {
        return walk.visitor.folder(&name);
    }
    let size = entry.size();
    walk.visitor
        .file(&name, None, size, &mut entry, &mut walk.meter)?;
    // A visitor need not read on, but the tar must pass; the reader's own skipping would not be counted.
    walk.meter.skip(&name, &mut entry).map(drop)
}

/// What follows the first slashes; a name without one is kept.
fn strip_first(raw: &[u8]) -> &[u8] {
    let Some(slash) = raw.iter().position(|&byte| byte == b'/') else {
        return raw;
    };
    let below = &raw[slash..];
    let start = below.iter().position(|&byte| byte != b'/');
    start.map_or(&[], |start| &below[start..])
}
