//! Which pictures there are to answer for, and what else lies beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::files::Files;

/// What a folder's pictures end in; a file that is named itself may end in anything.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "bmp", "webp", "gif"];
/// How many of the files that are passed over are named.
const FEW: usize = 3;

/// Pictures whose answers would have the same names, which begin with `stem`: the first that can be answered is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Namesakes {
    pub(super) stem: String,
    /// In the order of their names; at least one.
    pub(super) paths: Vec<PathBuf>,
}

/// The pictures in the order of their names, and the names of what is none.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) pictures: Vec<Namesakes>,
    /// Files that end in something else.
    others: Vec<String>,
    /// Links to nothing, and what else is no file.
    nowhere: Vec<String>,
}

impl Found {
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let paths = self.pictures.iter().flat_map(|picture| &picture.paths);
        paths.map(PathBuf::as_path)
    }

    pub(super) fn count(&self) -> usize {
        self.paths().count()
    }

    /// How many files of the folder were passed over, and why; `None` where all are pictures.
    pub(super) fn passed_over(&self) -> Option<String> {
        let count = self.others.len() + self.nowhere.len();
        let reasons = [
            (&self.others, format!("not {}", endings())),
            (&self.nowhere, "no file is there".to_owned()),
        ];
        let reasons = reasons.iter().filter(|(names, _)| !names.is_empty());
        let reasons: Vec<_> = reasons
            .map(|(names, why)| format!("{} ({why})", few(names)))
            .collect();
        let noun = if count == 1 { "file" } else { "files" };
        (count > 0).then(|| format!("{count} {noun} passed over: {}", reasons.join("; ")))
    }
}

/// `.jpg, .png or .gif`
fn endings() -> String {
    let dotted = ENDINGS.map(|ending| format!(".{ending}"));
    match dotted.split_last() {
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The first names, and how many more there are.
fn few(names: &[String]) -> String {
    let shown = names[..names.len().min(FEW)].join(", ");
    match names.len().saturating_sub(FEW) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The picture at a path, or those of the folder there (not of folders in it, and no answers of an earlier run).
pub(super) fn find(path: &Path, files: &Files) -> anyhow::Result<Found> {
    let metadata = fs::metadata(path).with_context(|| path.display().to_string())?;
    if !metadata.is_dir() {
        return Ok(Found {
            pictures: by_stem(vec![path.to_owned()]),
            ..Found::default()
        });
    }
    let (mut paths, mut found) = (Vec::new(), Found::default());
    for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
        let path = entry.with_context(|| path.display().to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || files.is_answer(&name) || path.is_dir() {
            continue;
        }
        let ending = path.extension().unwrap_or_default();
        let is_picture = ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known));
        if !path.is_file() {
            found.nowhere.push(name.into_owned());
        } else if is_picture {
            paths.push(path);
        } else {
            found.others.push(name.into_owned());
        }
    }
    paths.sort();
    found.pictures = by_stem(paths);
    let is_answer = |name: &String| {
        let mut stems = found.pictures.iter().map(|picture| &picture.stem);
        stems.any(|stem| files.is_answer_of(stem, name))
    };
    found.others.retain(|name| !is_answer(name));
    found.others.sort();
    found.nowhere.sort();
    if found.pictures.is_empty() {
        let passed = found.passed_over();
        let passed = passed.unwrap_or_else(endings);
        bail!("{}: there are no pictures in it ({passed})", path.display());
    }
    Ok(found)
}

/// Pictures by the names of their answers, in the order in which they come.
fn by_stem(paths: Vec<PathBuf>) -> Vec<Namesakes> {
    let mut pictures: Vec<Namesakes> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for path in paths {
        let stem = path.file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy().into_owned();
        match places.get(&stem) {
            Some(&place) => pictures[place].paths.push(path),
            None => {
                places.insert(stem.clone(), pictures.len());
                pictures.push(Namesakes {
                    stem,
                    paths: vec![path],
                });
            }
        }
    }
    pictures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_folder_stands_for_its_pictures() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "b.PNG",
            "a.jpg",
            "a.png",
            ".c.png",
            "notes.txt",
            "raw",
            "scan.tif",
            "z.tif",
            "b.pseudo.png",
            "b.json",
            "in/d.png",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
            fs::write(path, "").expect("written");
        }
        std::os::unix::fs::symlink("gone", folder.path().join("away.jpg")).expect("linked");
        let files = Files::named(folder.path(), &[".pseudo.png", ".json"]);
        let found = find(folder.path(), &files).expect("found");
        let shown: Vec<_> = found
            .pictures
            .iter()
            .map(|picture| {
                let names = picture.paths.iter().map(|path| path.file_name());
                let names = names.map(|name| name.unwrap_or_default().to_string_lossy());
                format!("{}: {}", picture.stem, names.collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(shown, ["a: a.jpg a.png", "b: b.PNG"]);
        assert_eq!(
            found.passed_over().as_deref(),
            Some(
                "5 files passed over: notes.txt, raw, scan.tif and 1 more (not .jpg, .jpeg, .png, .bmp, .webp or .gif); \
                 away.jpg (no file is there)"
            )
        );
        let one = find(&folder.path().join("notes.txt"), &files).expect("found");
        assert_eq!(
            (one.pictures[0].stem.as_str(), one.passed_over()),
            ("notes", None)
        );
        let error = find(&folder.path().join("none"), &files).expect_err("refused");
        assert!(
            format!("{error:#}").contains("none: No such file"),
            "{error:#}"
        );
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.tif"), "").expect("written");
        let error = find(folder.path(), &files).expect_err("refused");
        let expected = "there are no pictures in it (1 file passed over: a.tif (not .jpg, .jpeg, .png, .bmp, .webp or .gif))";
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}
