//! `.mar`: a zip, deflated or stored; entries over 4 GiB take the 64-bit form.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::stream;
use crate::plan::{ArchiveFormat, PackError, Plan};

/// Sizes from here on get the 64-bit form. Below 4 GiB by what deflate may add to bytes that do not compress.
const LARGE: u64 = (4 << 30) - (16 << 20);

pub(super) fn write(
    plan: &Plan,
    file: &mut File,
    progress: &mut dyn FnMut(u64),
) -> Result<(), PackError> {
    let failed = |error: io::Error| PackError::io(plan.target(), error);
    let options = options(plan.format);
    let mut archive = ZipWriter::new(BufWriter::with_capacity(256 << 10, file));
    archive
        .start_file(plan.manifest.place(), options)
        .map_err(|error| failed(error.into()))?;
    archive
        .write_all(plan.manifest.to_json().as_bytes())
        .map_err(failed)?;
    for (name, source) in &plan.files {
        let options = options.large_file(source.size >= LARGE);
        archive
            .start_file(name.as_str(), options)
            .map_err(|error| failed(error.into()))?;
        stream(source, plan.target(), progress, |from| {
            io::copy(from, &mut archive).map(drop)
        })?;
    }
    let mut rest = archive.finish().map_err(|error| failed(error.into()))?;
    rest.flush().map_err(failed)
}

/// What all entries share. The time is the zip format's first, because a real one would tell two runs apart.
fn options(format: ArchiveFormat) -> SimpleFileOptions {
    let method = if format == ArchiveFormat::ZipStore {
        CompressionMethod::Stored
    } else {
        CompressionMethod::Deflated
    };
    SimpleFileOptions::default()
        .compression_method(method)
        .compression_level((format != ArchiveFormat::ZipStore).then_some(6))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
}
