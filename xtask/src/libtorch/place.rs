//! Where the prepared folder lies, and the link to it.

use std::env;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Our folder in the user's cache, or the link's own folder when there is no cache one may write to.
pub fn choose(link: &Path) -> Result<PathBuf> {
    if let Some(cache) = user_cache(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        if is_writable(&cache) {
            return Ok(cache);
        }
        println!(
            "libtorch: {} cannot be written, so the files stay in target/",
            cache.display()
        );
    }
    let beside = link.with_file_name("torchrelay");
    if is_writable(&beside) {
        Ok(beside)
    } else {
        bail!("{} cannot be written", beside.display())
    }
}

/// By the XDG base directory specification a relative path counts as unset.
fn user_cache(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let base = xdg
        .and_then(absolute)
        .or_else(|| Some(home.and_then(absolute)?.join(".cache")))?;
    Some(base.join("torchrelay"))
}

fn is_writable(folder: &Path) -> bool {
    let lock = || {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("lock"))
    };
    fs::create_dir_all(folder).and_then(|()| lock()).is_ok()
}

/// Makes `link` lead to `home`. A link is replaced; a real folder is somebody's and stays.
pub fn link(home: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|target| target == home) {
        return Ok(());
    }
    match fs::symlink_metadata(link) {
        Ok(found) if !found.is_symlink() => bail!(
            "{} is not a link that this command made: remove it, or set LIBTORCH to the libtorch you mean",
            link.display()
        ),
        _ => {}
    }
    // A rename replaces the old link at once, so a build beside us never finds none.
    let fresh = link.with_extension("new");
    let _ = fs::remove_file(&fresh);
    link.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| symlink(home, &fresh))
        .and_then(|()| fs::rename(&fresh, link))
        .with_context(|| format!("cannot link {} to {}", link.display(), home.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_cache(xdg: Option<&str>, home: Option<&str>, expected: Option<&str>) {
        let found = user_cache(xdg.map(OsString::from), home.map(OsString::from));
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn the_cache_follows_the_xdg_rules() {
        check_cache(Some("/c"), Some("/home/a"), Some("/c/torchrelay"));
        check_cache(None, Some("/home/a"), Some("/home/a/.cache/torchrelay"));
        check_cache(
            Some("relative"),
            Some("/home/a"),
            Some("/home/a/.cache/torchrelay"),
        );
        check_cache(None, None, None);
    }

    #[test]
    fn an_old_link_is_replaced_and_a_folder_is_not() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let (home, at) = (
            temp.path().join("home"),
            temp.path().join("target/libtorch"),
        );
        for target in ["gone", "home"] {
            link(&temp.path().join(target), &at).expect("nothing in the way");
        }
        assert_eq!(fs::read_link(&at).expect("a link"), home);
        link(&home, &at).expect("there already");

        let folder = temp.path().join("folder");
        fs::create_dir(&folder).expect("room on the disk");
        let error = link(&home, &folder).expect_err("somebody's folder");
        assert!(
            error
                .to_string()
                .contains("is not a link that this command made"),
            "{error}"
        );
    }
}
