//! What a file of weights is, told by its content and never by its name.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use zip::ZipArchive;

/// The kinds of model file that reach a model server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A TorchScript module: code and weights in one zip.
    TorchScript,
    /// A model compiled ahead of time by AOTInductor, packed as `.pt2`.
    AotInductor,
    /// A program exported by `torch.export` and not compiled.
    ExportedProgram,
    /// A pickled state dictionary or eager module, in a zip: needs Python and the model's source.
    Eager,
    /// A bare pickle, as old versions of PyTorch wrote.
    LegacyPickle,
    /// Weights without a network.
    Safetensors,
    Onnx,
    Empty,
    Unknown,
}

impl Format {
    /// Looks at the file's first bytes and, if it is a zip, at the names of its entries.
    pub fn of(path: &Path) -> io::Result<Format> {
        let mut file = File::open(path)?;
        let mut head = [0; 16];
        let length = read_up_to(&mut file, &mut head)?;
        let head = &head[..length];
        if head.is_empty() {
            return Ok(Format::Empty);
        }
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            file.seek(SeekFrom::Start(0))?;
            return Ok(ZipArchive::new(file).map_or(Format::Unknown, |zip| of_zip(&zip)));
        }
        Ok(of_head(head))
    }
}

/// Entries lie below one folder, whose name is the file's own or `archive`.
fn of_zip<R: Read + Seek>(zip: &ZipArchive<R>) -> Format {
    let mut seen = Format::Unknown;
    for name in zip.file_names().flatten() {
        let name = name.as_ref();
        let inner = name.split_once('/').map_or(name, |(_, inner)| inner);
        if inner.contains("aotinductor/") {
            return Format::AotInductor;
        }
        if inner == "constants.pkl" || inner.starts_with("code/") {
            seen = Format::TorchScript;
        } else if seen == Format::Unknown {
            if inner.starts_with("models/") || name == "serialized_exported_program.json" {
                seen = Format::ExportedProgram;
            } else if inner == "data.pkl" {
                seen = Format::Eager;
            }
        }
    }
    seen
}

fn of_head(head: &[u8]) -> Format {
    // A pickle starts with its protocol; an ONNX file is a protobuf message that starts with the field `ir_version`; a
    // safetensors file with the length of a JSON header.
    if head.starts_with(b"\x80") && head.len() > 1 && (2..=5).contains(&head[1]) {
        Format::LegacyPickle
    } else if head.len() > 9 && head[8] == b'{' && head[4..8] == [0; 4] {
        Format::Safetensors
    } else if head.starts_with(b"\x08") && head.len() > 2 && matches!(head[2], 0x12 | 0x1a | 0x3a) {
        Format::Onnx
    } else {
        Format::Unknown
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::TorchScript => "a TorchScript module",
            Format::AotInductor => "an AOTInductor package",
            Format::ExportedProgram => "an exported program that was not compiled",
            Format::Eager => "a pickled state dictionary or eager module",
            Format::LegacyPickle => "a bare pickle",
            Format::Safetensors => "a safetensors file (weights without a network)",
            Format::Onnx => "an ONNX model",
            Format::Empty => "an empty file",
            Format::Unknown => "no model file that is known here",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn check_bytes(bytes: &[u8], expected: Format) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        assert_eq!(
            Format::of(file.path()).expect("read"),
            expected,
            "{bytes:?}"
        );
    }

    fn check_zip(names: &[&str], expected: Format) {
        let mut bytes = io::Cursor::new(Vec::new());
        let mut zip = ZipWriter::new(&mut bytes);
        for name in names {
            zip.start_file(*name, SimpleFileOptions::default())
                .expect("an entry");
            zip.write_all(b"x").expect("written");
        }
        zip.finish().expect("a zip");
        check_bytes(bytes.get_ref(), expected);
    }

    #[test]
    fn zips_are_told_apart_by_their_entries() {
        check_zip(
            &["m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"],
            Format::TorchScript,
        );
        check_zip(&["m/data.pkl", "m/data/0", "m/version"], Format::Eager);
        check_zip(
            &["m/data/aotinductor/model/x.so", "m/version"],
            Format::AotInductor,
        );
        check_zip(
            &["m/models/model.json", "m/version"],
            Format::ExportedProgram,
        );
        check_zip(&["readme.txt"], Format::Unknown);
    }

    #[test]
    fn other_files_are_told_apart_by_their_first_bytes() {
        check_bytes(b"", Format::Empty);
        check_bytes(b"\x80\x02}q\x00.", Format::LegacyPickle);
        check_bytes(
            b"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}       ",
            Format::Safetensors,
        );
        check_bytes(b"\x08\x07\x12\x07pytorch", Format::Onnx);
        check_bytes(b"hello", Format::Unknown);
        check_bytes(b"PK\x03\x04 but no zip", Format::Unknown);
    }
}
