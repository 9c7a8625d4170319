//! `.tar.gz`: everything below one folder with the model's name, as readers of such archives strip the first segment.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::stream;
use crate::plan::{PackError, Plan};

pub(super) fn write(
    plan: &Plan,
    file: &mut File,
    progress: &mut dyn FnMut(u64),
) -> Result<(), PackError> {
    let failed = |error| PackError::io(plan.target(), error);
    let top = &plan.name;
    // No time and no file name in the gzip header: two runs are to agree.
    let packed = GzBuilder::new().mtime(0).write(
        BufWriter::with_capacity(256 << 10, file),
        Compression::new(6),
    );
    let mut archive = Builder::new(packed);
    let text = plan.manifest.to_json();
    let mut from = text.as_bytes();
    append(
        &mut archive,
        top,
        plan.manifest.place(),
        from.len() as u64,
        &mut from,
    )
    .map_err(failed)?;
    for (name, source) in &plan.files {
        stream(source, plan.target(), progress, |from| {
            append(&mut archive, top, name, source.size, from)
        })?;
    }
    archive
        .into_inner()
        .and_then(|packed| packed.finish())
        .and_then(|mut rest| rest.flush())
        .map_err(failed)
}

fn append(
    archive: &mut Builder<impl Write>,
    top: &str,
    name: &str,
    size: u64,
    from: &mut dyn Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    archive.append_data(&mut header, format!("{top}/{name}"), from)
}
