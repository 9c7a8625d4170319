//! Which pictures there are to answer for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::files::Files;

/// What a folder's pictures end in; a file that is named itself may end in anything.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "bmp", "webp", "gif"];

/// A picture, and what the names of its answers begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) path: PathBuf,
    pub(super) stem: String,
}

/// The pictures in the order of their names, and those that cannot be taken, with the reason.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) pictures: Vec<Picture>,
    pub(super) refused: Vec<(PathBuf, String)>,
}

impl Found {
    /// Of all pictures, those that cannot be taken among them.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let taken = self.pictures.iter().map(|picture| picture.path.as_path());
        taken.chain(self.refused.iter().map(|(path, _)| path.as_path()))
    }
}

/// The picture at a path, or those of the folder there (not of folders in it, and no answers of an earlier run).
pub(super) fn find(path: &Path, files: &Files) -> anyhow::Result<Found> {
    let metadata = fs::metadata(path).with_context(|| path.display().to_string())?;
    if !metadata.is_dir() {
        return Ok(sorted_out(vec![path.to_owned()]));
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
        let entry = entry.with_context(|| path.display().to_string())?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ending = Path::new(name.as_ref()).extension().unwrap_or_default();
        let is_picture = ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known));
        if is_picture && !name.starts_with('.') && !files.is_answer(&name) && entry.path().is_file()
        {
            paths.push(entry.path());
        }
    }
    if paths.is_empty() {
        let endings = ENDINGS.join(", ");
        bail!(
            "{}: there are no pictures in it (.{})",
            path.display(),
            endings.replace(", ", ", .")
        );
    }
    paths.sort();
    Ok(sorted_out(paths))
}

/// Two pictures whose answers would have the same names: the first is taken.
fn sorted_out(paths: Vec<PathBuf>) -> Found {
    let mut found = Found::default();
    let mut stems: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in paths {
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if let Some(first) = stems.get(&stem) {
            let why = format!("its answers would replace those of {}", first.display());
            found.refused.push((path, why));
            continue;
        }
        stems.insert(stem.clone(), path.clone());
        found.pictures.push(Picture { path, stem });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_pictures() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "b.PNG",
            "a.jpg",
            "a.png",
            ".c.png",
            "notes.txt",
            "b.pseudo.png",
            "in/d.png",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
            fs::write(path, "").expect("written");
        }
        let files = Files::named(folder.path(), &[".pseudo.png"]);
        let found = find(folder.path(), &files).expect("found");
        let stems: Vec<_> = found
            .pictures
            .iter()
            .map(|picture| picture.stem.as_str())
            .collect();
        assert_eq!(stems, ["a", "b"]);
        let (refused, why) = &found.refused[0];
        assert!(refused.ends_with("a.png"), "{refused:?}");
        assert!(
            why.starts_with("its answers would replace those of") && why.ends_with("a.jpg"),
            "{why}"
        );
        let one = find(&folder.path().join("notes.txt"), &files).expect("found");
        assert_eq!(one.pictures[0].stem, "notes");
        let error = find(&folder.path().join("none"), &files).expect_err("refused");
        assert!(
            format!("{error:#}").contains("none: No such file"),
            "{error:#}"
        );
    }
}
