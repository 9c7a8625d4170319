//! Models that a workflow brings along: archives and folders inside the workflow's own folder, which go before those of the
//! model store. Nothing outside the folder is ever opened this way.

use std::path::{Component, Path, PathBuf};

use archive::WorkflowFiles;

use crate::error::Error;
use crate::source::has_scheme;

/// Where the model of that url lies in the workflow's folder. `None`: not there, so the model store is asked, whose words
/// for whatever is wrong with the url are as good.
///
/// # Errors
///
/// Says so where a link leads out of the folder.
pub fn find(files: &WorkflowFiles, url: &str) -> Result<Option<PathBuf>, Error> {
    let Some(folder) = &files.dir else {
        return Ok(None);
    };
    let path = Path::new(url);
    let is_name = |part: Component<'_>| matches!(part, Component::Normal(_));
    let goes_down = |part: Component<'_>| is_name(part) || part == Component::CurDir;
    if has_scheme(url) || !path.components().all(goes_down) || !path.components().any(is_name) {
        return Ok(None);
    }
    // What is opened is the real path, whatever becomes of links in the meantime.
    let Ok(real) = folder.join(path).canonicalize() else {
        return Ok(None);
    };
    let leads_out = || Error::NotInStore(format!("{url} leads out of the workflow's folder"));
    let folder = folder.canonicalize().map_err(|_| leads_out())?;
    if real.starts_with(&folder) && real != folder {
        Ok(Some(real))
    } else {
        Err(leads_out())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn models_are_found_inside_the_folder_and_nowhere_else() {
        let outside = tempfile::tempdir().expect("a folder");
        let folder = outside.path().join("flow");
        fs::create_dir_all(folder.join("models/reader")).expect("made");
        fs::write(folder.join("detector.mar"), "").expect("written");
        fs::write(outside.path().join("secret.mar"), "").expect("written");
        symlink(outside.path().join("secret.mar"), folder.join("out.mar")).expect("linked");
        symlink("..", folder.join("up")).expect("linked");
        symlink("detector.mar", folder.join("same.mar")).expect("linked");
        symlink(".", folder.join("self")).expect("linked");
        let mut files = WorkflowFiles::inline("w".into(), String::new());
        assert_eq!(find(&files, "detector.mar"), Ok(None), "it has no folder");
        files.dir = Some(folder.clone());
        let real = folder.canonicalize().expect("there");

        let check = |url: &str, expected: Result<Option<&str>, ()>| {
            let expected = expected.map(|inside| inside.map(|inside| real.join(inside)));
            assert_eq!(find(&files, url).map_err(drop), expected, "{url}");
        };
        check("detector.mar", Ok(Some("detector.mar")));
        check("./models/reader", Ok(Some("models/reader")));
        check("same.mar", Ok(Some("detector.mar")));
        // Left to the model store.
        for url in [
            "",
            ".",
            "absent.mar",
            "../secret.mar",
            "models/../../secret.mar",
            "/etc/passwd",
        ] {
            check(url, Ok(None));
        }
        check("file:///etc/passwd", Ok(None));
        check("out.mar", Err(()));
        check("up/secret.mar", Err(()));
        check("self", Err(()));
    }
}
