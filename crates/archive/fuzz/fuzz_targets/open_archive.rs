//! Any bytes at all, opened as an archive: no panic, no file outside the folder that was given, nothing left behind.

#![no_main]

use std::fs;
use std::path::Path;

use archive::{Limits, inspect, open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let root = tempfile::tempdir().expect("a temporary folder");
    let file = root.path().join("m.mar");
    fs::write(&file, data).expect("the archive");
    let into = root.path().join("a/b/into");
    let limits = Limits {
        entries: 50,
        file_size: 1 << 20,
        total_size: 2 << 20,
        ratio: 100,
    };
    let _ = inspect(&file, &limits);
    if let Ok(unpacked) = open(&file, &into, &limits) {
        assert!(unpacked.dir().starts_with(&into));
        assert!(size(unpacked.dir()) <= limits.total_size);
        assert_eq!(names(&into).len(), 1, "one folder for one archive");
    }
    let refused_early = !into.exists();
    assert!(
        refused_early || names(&into).is_empty(),
        "something was left behind"
    );
    // Whatever `..` leads to from the place of unpacking has only what was put there.
    let mut expected = vec!["m.mar"];
    if !refused_early {
        expected.insert(0, "a");
        assert_eq!(names(&root.path().join("a")), ["b"]);
        assert_eq!(names(&root.path().join("a/b")), ["into"]);
    }
    assert_eq!(names(root.path()), expected);
});

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|child| {
            child
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// Bytes of all files below. Links are an error: none may be made.
fn size(folder: &Path) -> u64 {
    fs::read_dir(folder)
        .expect("a folder")
        .map(|child| {
            let child = child.expect("an entry");
            let metadata = fs::symlink_metadata(child.path()).expect("metadata");
            assert!(!metadata.is_symlink(), "a link was made");
            if metadata.is_dir() {
                size(&child.path())
            } else {
                metadata.len()
            }
        })
        .sum()
}
