//! Specs that are wrong, each a file of `tests/broken`, and what a person is told about them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::*;

#[test]
fn every_broken_spec_says_what_to_mend() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of broken specs")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() >= 20, "few specs are left in {folder:?}");
    let mut text = String::new();
    for file in files {
        let name = file.file_name().expect("a file").to_string_lossy();
        let spec = fs::read_to_string(&file).expect("a spec");
        let checked = check(&spec, &Few, Options::default());
        assert!(!checked.problems.is_empty(), "{name} is right");
        for problem in &checked.problems {
            assert!(problem.place.line > 0, "{name}: no line: {problem}");
            let _ = writeln!(text, "{name}:{problem}");
        }
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}
