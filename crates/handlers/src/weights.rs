//! What a file of weights is, told by its content and never by its name, and whether the daemon serves that kind.
//!
//! It reads no weights and needs no engine, so that whoever packs or looks over a model says of its file what the
//! daemon would say. Called by the engine's loader and by the archiver.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use servable::LoadError;
use zip::ZipArchive;

/// The file to load: `weights`, which lies below the unpacked archive's folder `dir`, once its content was looked at.
/// `None` stands for a manifest that names no file.
///
/// # Errors
///
/// One line: no file, none that can be read, or one that is no TorchScript module.
pub fn check<'a>(dir: &Path, weights: Option<&'a Path>) -> Result<&'a Path, LoadError> {
    let weights = weights.ok_or_else(|| LoadError::Invalid(none_named(dir)))?;
    let file = weights.strip_prefix(dir).unwrap_or(weights).display();
    let format =
        Format::of(weights).map_err(|error| LoadError::Invalid(format!("{file}: {error}")))?;
    match format {
        Format::TorchScript => Ok(weights),
        Format::AotInductor => Err(LoadError::Unsupported(format!(
            "{file} is {format}, which is not supported yet"
        ))),
        Format::Eager | Format::LegacyPickle => Err(LoadError::Unsupported(format!(
            "{file} is {format}, which takes Python to load; save the model with torch.jit.trace or torch.jit.script"
        ))),
        Format::ExportedProgram | Format::Safetensors | Format::Onnx => {
            Err(LoadError::Unsupported(format!(
                "{file} is {format}; save the model as TorchScript, with torch.jit.trace or torch.jit.script"
            )))
        }
        Format::Empty | Format::Unknown => Err(LoadError::Invalid(format!(
            "{file} is {format}; expected a TorchScript module"
        ))),
    }
}

/// Without a manifest nothing names a file, which is another mistake: most often a `.tar.gz` that was packed without a
/// folder around it, so that stripping the first segment of every name took `MAR-INF` away.
fn none_named(dir: &Path) -> String {
    if dir.join("MAR-INF/MANIFEST.json").is_file() {
        return "the manifest names no serializedFile, so there is no network to load".to_owned();
    }
    "no MAR-INF/MANIFEST.json was found, so the archive names no serializedFile (in a .tar.gz, everything is expected below one folder)"
        .to_owned()
}

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
    use crate::testing::zip_of;

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
        check_bytes(&zip_of(names), expected);
    }

    /// What is said of a folder with these files, of which `w.pt` is the weights if it is there.
    fn check_said(files: &[(&str, &[u8])], expected: Result<(), &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
            std::fs::write(path, content).expect("written");
        }
        let weights = folder.path().join("w.pt");
        let found = check(folder.path(), weights.is_file().then_some(&weights));
        let found = found.map(drop).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn only_a_torchscript_module_is_served() {
        let module = zip_of(&["w/data.pkl", "w/code/__torch__.py", "w/constants.pkl"]);
        check_said(&[("w.pt", &module)], Ok(()));
        let unknown = "w.pt is no model file that is known here; expected a TorchScript module";
        check_said(&[("w.pt", &module[..module.len() / 2])], Err(unknown));
        check_said(&[("w.pt", b"\x89PNG\r\n\x1a\n")], Err(unknown));
        check_said(
            &[("w.pt", &zip_of(&["w/data.pkl"]))],
            Err(
                "w.pt is a pickled state dictionary or eager module, which takes Python to load; \
                 save the model with torch.jit.trace or torch.jit.script",
            ),
        );
        check_said(
            &[("w.pt", &zip_of(&["w/data/aotinductor/model/x.so"]))],
            Err("w.pt is an AOTInductor package, which is not supported yet"),
        );
    }

    #[test]
    fn weights_that_nobody_names_are_told_from_a_manifest_that_is_not_there() {
        check_said(
            &[("MAR-INF/MANIFEST.json", b"{}")],
            Err("the manifest names no serializedFile, so there is no network to load"),
        );
        check_said(
            &[("MANIFEST.json", b"{}")],
            Err(
                "no MAR-INF/MANIFEST.json was found, so the archive names no serializedFile \
                 (in a .tar.gz, everything is expected below one folder)",
            ),
        );
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
