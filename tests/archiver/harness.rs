//! A folder with a small model in it, and the archiver run there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use archive::{Limits, Unpacked};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// What a run of the archiver gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    /// `w.pt`, `config.yaml`, `index_to_name.json`, `mine.py`, and a folder `extra` with a subfolder and a cache.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bench = Bench { folder };
        bench.write("w.pt", &module(&"weights ".repeat(1000)));
        bench.write("config.yaml", b"minWorkers: 2\nhandler:\n  topk: 3\n");
        bench.write("index_to_name.json", br#"{"0": "cat"}"#);
        bench.write("mine.py", b"def handle(data, context): return data\n");
        bench.write("extra/x.txt", b"x");
        bench.write("extra/sub/y.txt", b"y");
        bench.write("extra/__pycache__/z.pyc", b"z");
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// Runs the archiver in the folder; arguments are separated by spaces.
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_torchrelay-archiver"))
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .env_remove("SOURCE_DATE_EPOCH")
            .output()
            .expect("the archiver starts");
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Runs the archiver, which is to succeed, and gives what it printed.
    pub(crate) fn succeed(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (Some(0), ""),
            "{arguments}"
        );
        ran.stdout
    }

    /// Runs the archiver, which is to succeed with one warning.
    pub(crate) fn warn(&self, arguments: &str, expected: &str) {
        let ran = self.run(arguments);
        let expected = format!("warning: {expected}\n");
        assert_eq!((ran.code, ran.stderr), (Some(0), expected), "{arguments}");
    }

    /// Runs the archiver, which is to fail with one line.
    pub(crate) fn fail(&self, arguments: &str, expected: &str) {
        let ran = self.run(arguments);
        let expected = Ran {
            code: Some(1),
            stdout: String::new(),
            stderr: format!("error: {expected}\n"),
        };
        assert_eq!(ran, expected, "{arguments}");
    }

    pub(crate) fn open(&self, name: &str) -> Unpacked {
        archive::open(&self.path(name), &self.path("into"), &Limits::default()).expect(name)
    }
}

/// What passes for a TorchScript module as long as nobody loads it, with this text as it is somewhere inside.
pub(crate) fn module(weights: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in [
        ("w/code/__torch__.py", "class M(Module):"),
        ("w/constants.pkl", "pickle"),
        ("w/data/0", weights),
    ] {
        zip.start_file(name, stored).expect("memory");
        zip.write_all(content.as_bytes()).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

/// All files below a folder but the manifest, by name.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for child in fs::read_dir(folder).expect("a folder") {
            let child = child.expect("an entry");
            let name = format!("{prefix}{}", child.file_name().to_string_lossy());
            if child.path().is_dir() {
                walk(&child.path(), &format!("{name}/"), found);
            } else {
                found.insert(name, fs::read(child.path()).expect("readable"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, "", &mut found);
    found.remove(archive::MANIFEST);
    found
}

/// Format names as the command line has them, and what is written for a model `m`.
pub(crate) const FORMATS: [(&str, &str); 4] = [
    ("default", "m.mar"),
    ("zip-store", "m.mar"),
    ("tgz", "m.tar.gz"),
    ("no-archive", "m"),
];

/// Flags that pack the whole bench as model `m`.
pub(crate) const MODEL: &str = "--model-name m --version 1.0 --serialized-file w.pt \
    --handler image_classifier --config-file config.yaml --extra-files index_to_name.json,extra";
