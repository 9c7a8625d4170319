//! Whether files are as they were: their paths, sizes and times of change.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What was there, in the order of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files(Vec<(PathBuf, u64, Option<SystemTime>)>);

/// More than a model has; a whole disk is not looked through.
const MOST: usize = 20_000;

impl Files {
    /// Everything at and below these paths but what is hidden, what editors leave beside a file while it is open, and
    /// whatever lies behind a linked folder. What cannot be read is not there.
    pub(super) fn below(roots: &[PathBuf]) -> Files {
        let mut found = Vec::new();
        for root in roots {
            visit(root, &mut found);
        }
        found.sort();
        Files(found)
    }
}

fn visit(path: &Path, found: &mut Vec<(PathBuf, u64, Option<SystemTime>)>) {
    let Ok(metadata) = fs::metadata(path) else {
        return;
    };
    if found.len() >= MOST {
        return;
    }
    if !metadata.is_dir() {
        found.push((path.to_owned(), metadata.len(), metadata.modified().ok()));
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let is_linked_folder = entry.path().is_dir() && entry.path().is_symlink();
        if !is_passing(&entry.file_name().to_string_lossy()) && !is_linked_folder {
            visit(&entry.path(), found);
        }
    }
}

fn is_passing(name: &str) -> bool {
    name.starts_with('.')
        || name.ends_with('~')
        || name.starts_with('#')
        || [".swp", ".swx", ".tmp", ".part"].iter().any(|end| name.ends_with(end))
        || name == "__pycache__"
        // Where vim tries whether it may write.
        || name == "4913"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_seen_and_what_passes_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        let look = || Files::below(&[folder.path().to_owned()]);
        write("flow.yaml", "a");
        let first = look();
        assert_eq!(first, look());
        for name in [
            ".flow.yaml.swp",
            "flow.yaml~",
            "__pycache__/a.pyc",
            ".git/HEAD",
            "4913",
        ] {
            write(name, "a");
        }
        assert_eq!(first, look());
        write("flow.yaml", "ab");
        let second = look();
        assert_ne!(first, second);
        write("models/m.pt", "a");
        let third = look();
        assert_ne!(second, third);
        fs::remove_file(folder.path().join("models/m.pt")).expect("removed");
        assert_eq!(second, look());
    }
}
