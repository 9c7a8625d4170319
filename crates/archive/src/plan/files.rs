//! `--extra-files`: paths, wildcards and folders. A folder's content lies at the archive's root, its subfolders keep
//! their shape; hidden folders and what Python and macOS leave behind are not packed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

use super::{Files, PackError};

const OPTION: &str = "--extra-files";

/// As a shell matches: a leading dot only where it is written.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

pub(super) fn add_extra(list: &str, files: &mut Files) -> Result<(), PackError> {
    for item in list.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        for path in expand(item)? {
            if path.is_dir() {
                add_folder(&path, "", &mut Vec::new(), files)?;
            } else {
                files.add(OPTION, &path)?;
            }
        }
    }
    Ok(())
}

/// The paths an item stands for, sorted. A name that is there is taken literally, brackets and all.
fn expand(item: &str) -> Result<Vec<PathBuf>, PackError> {
    if Path::new(item).exists() {
        return Ok(vec![PathBuf::from(item)]);
    }
    let failed = |detail: String| PackError::Option {
        option: OPTION,
        path: item.to_owned(),
        detail,
    };
    let found = glob::glob_with(item, MATCHING)
        .map_err(|error| failed(error.to_string()))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed(error.to_string()))?;
    if found.is_empty() {
        return Err(failed("there is no such file".to_owned()));
    }
    Ok(found)
}

/// `above`: the real paths of the folders around this one, so that a link back to one of them ends the walk.
fn add_folder(
    folder: &Path,
    prefix: &str,
    above: &mut Vec<PathBuf>,
    files: &mut Files,
) -> Result<(), PackError> {
    let failed = |error| PackError::io(folder, error);
    let real = folder.canonicalize().map_err(failed)?;
    if above.contains(&real) {
        let circle = io::Error::new(io::ErrorKind::InvalidInput, "a link leads back to it");
        return Err(failed(circle));
    }
    above.push(real);
    let mut children = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed)?;
    children.sort_by_key(fs::DirEntry::file_name);
    for child in children {
        let path = child.path();
        // Links are followed: the archive holds what they lead to.
        let metadata = fs::metadata(&path).map_err(|error| PackError::io(&path, error))?;
        let mut name = prefix.as_bytes().to_vec();
        name.extend_from_slice(child.file_name().as_encoded_bytes());
        if metadata.is_file() {
            files.add_as(&name, &path, &metadata)?;
        } else if metadata.is_dir() && !left_out(&child.file_name().to_string_lossy()) {
            let prefix = format!("{prefix}{}/", child.file_name().to_string_lossy());
            add_folder(&path, &prefix, above, files)?;
        }
    }
    above.pop();
    Ok(())
}

fn left_out(folder: &str) -> bool {
    folder.starts_with('.') || folder == "__pycache__" || folder == "__MACOSX"
}
