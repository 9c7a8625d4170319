//! Makes a folder as a whole or not at all: it grows under another name, is stamped, then renamed.
//!
//! The stamp `.complete` is the last file written. It begins with the identity of what the folder was made from and
//! goes on with the sizes of its libraries, so that a repeat is answered by a few look-ups, and a cache that somebody
//! thinned out is made again.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const STAMP: &str = ".complete";

/// Whether `folder` was made from `identity` and still holds its libraries.
pub fn is_complete(folder: &Path, identity: &str) -> bool {
    let Ok(stamp) = fs::read_to_string(folder.join(STAMP)) else {
        return false;
    };
    let Some(libraries) = stamp.strip_prefix(identity) else {
        return false;
    };
    libraries.lines().all(|line| {
        let Some((size, path)) = line.split_once(' ') else {
            return false;
        };
        fs::metadata(folder.join(path)).is_ok_and(|found| size == found.len().to_string())
    })
}

/// Lets `fill` write into a fresh folder that then becomes `folder`, replacing what was there.
pub fn build(folder: &Path, identity: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut staging = folder.as_os_str().to_owned();
    staging.push(".staging");
    let staging = PathBuf::from(staging);

    clear(&staging)?; // what an interrupted run left
    fs::create_dir_all(&staging).with_context(|| format!("cannot create {}", staging.display()))?;
    fill(&staging)?;
    stamp(&staging, identity).with_context(|| format!("cannot stamp {}", staging.display()))?;
    clear(folder)?;
    fs::rename(&staging, folder).with_context(|| format!("cannot rename {}", staging.display()))
}

fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn stamp(folder: &Path, identity: &str) -> io::Result<()> {
    let mut text = identity.to_owned();
    for below in ["", "lib"] {
        let Ok(entries) = fs::read_dir(folder.join(below)) else {
            continue;
        };
        for entry in entries {
            let name = Path::new(below).join(entry?.file_name());
            if name.to_string_lossy().contains(".so") {
                text += &format!(
                    "{} {}\n",
                    fs::metadata(folder.join(&name))?.len(),
                    name.display()
                );
            }
        }
    }
    fs::write(folder.join(STAMP), text)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;
    use crate::libtorch::progress::Progress;
    use crate::libtorch::unpack::{Rule, tests::wheel, unpack};

    const ONE: &str = "one 1.0\n";

    /// A folder built from a small wheel.
    fn built(temp: &Path) -> PathBuf {
        let path = temp.join("t.whl");
        wheel(
            &path,
            &[("t/lib/a.so", "library"), ("t/include/a.h", "int a;")],
        );
        let folder = temp.join("home");
        let rules = &[
            Rule("t/lib/a.so", "lib/a.so"),
            Rule("t/include/", "include/"),
        ];
        build(&folder, ONE, |staging| {
            unpack(&path, rules, staging, Progress::silent())
        })
        .expect("a good wheel");
        folder
    }

    #[test]
    fn a_built_folder_is_complete_for_its_identity_alone() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let folder = built(temp.path());
        assert!(is_complete(&folder, ONE));
        assert!(!is_complete(&folder, "one 2.0\n"));
        assert!(!is_complete(&temp.path().join("elsewhere"), ONE));
        assert!(!temp.path().join("home.staging").exists());
    }

    #[test]
    fn a_folder_with_a_missing_or_cut_library_is_not_complete() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let folder = built(temp.path());
        fs::write(folder.join("lib/a.so"), "lib").expect("room on the disk");
        assert!(!is_complete(&folder, ONE));
        fs::remove_file(folder.join("lib/a.so")).expect("just written");
        assert!(!is_complete(&folder, ONE));
    }

    #[test]
    fn a_failed_build_leaves_the_old_folder_and_the_next_one_succeeds() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let folder = built(temp.path());
        let failed = build(&folder, "two\n", |staging| {
            fs::write(staging.join("half"), "")?;
            bail!("power cut")
        });
        assert_eq!(
            failed.expect_err("it was interrupted").to_string(),
            "power cut"
        );
        assert!(is_complete(&folder, ONE));

        build(&folder, "two\n", |_| Ok(())).expect("nothing to do");
        assert!(is_complete(&folder, "two\n"));
        assert!(!folder.join("half").exists() && !folder.join("lib").exists());
    }
}
