//! Parts that nobody will complete: too old, or too many. They are removed when the next archive is brought.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::info;

/// How long a part waits to be continued.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many parts wait at once; the newest stay.
const MOST: usize = 16;

/// Cleans the store. What fails is left for the next time.
pub(crate) async fn sweep(store: &Path) {
    let store = store.to_owned();
    // It panics nowhere.
    let _ = tokio::task::spawn_blocking(move || sweep_now(&store, SystemTime::now())).await;
}

fn sweep_now(store: &Path, now: SystemTime) {
    let (parts, notes) = leftovers(store);
    for (rank, part) in parts.iter().enumerate() {
        let old = now
            .duration_since(part.modified)
            .is_ok_and(|age| age > LIFETIME);
        if (old || rank >= MOST) && remove_unless_filled(&part.path) {
            info!("removed {}, which nobody completed", part.path.display());
            let _ = fs::remove_file(part.path.with_extension("note"));
        }
    }
    for note in notes {
        let orphan = !note.path.with_extension("part").exists() && !store.join(&note.file).exists();
        if orphan {
            let _ = fs::remove_file(&note.path);
        }
    }
}

struct Leftover {
    path: PathBuf,
    /// The name that the archive has, or was to have.
    file: String,
    modified: SystemTime,
}

/// Parts, the newest first; and notes.
fn leftovers(store: &Path) -> (Vec<Leftover>, Vec<Leftover>) {
    let (mut parts, mut notes) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(store).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some((file, kind)) = name.to_str().and_then(parse) else {
            continue;
        };
        let Ok(metadata) = entry.path().symlink_metadata() else {
            continue;
        };
        let leftover = Leftover {
            path: entry.path(),
            file: file.to_owned(),
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        };
        match kind {
            "part" => parts.push(leftover),
            _ => notes.push(leftover),
        }
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.modified));
    (parts, notes)
}

/// The file and the kind that a name of `.<file>.<mark>.part` or `.note` tells; nothing else is ours.
fn parse(name: &str) -> Option<(&str, &str)> {
    let (rest, kind) = name.strip_prefix('.')?.rsplit_once('.')?;
    let (file, mark) = rest.rsplit_once('.')?;
    let is_mark = mark.len() == 16 && mark.bytes().all(|byte| byte.is_ascii_hexdigit());
    (!file.is_empty() && is_mark && ["part", "note"].contains(&kind)).then_some((file, kind))
}

fn remove_unless_filled(part: &Path) -> bool {
    let Ok(file) = File::open(part) else {
        return false;
    };
    file.try_lock().is_ok() && fs::remove_file(part).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ours() {
        let check = |name: &str, expected| assert_eq!(parse(name), expected, "{name}");
        check(".m.mar.0123456789abcdef.part", Some(("m.mar", "part")));
        check(".m.mar.0123456789abcdef.note", Some(("m.mar", "note")));
        check("m.mar.0123456789abcdef.part", None);
        check(".m.mar.0123456789abcdef.mar", None);
        check(".m.mar.0123456789.part", None);
        check(".0123456789abcdef.part", None);
        check(".m.mar.part", None);
    }

    #[test]
    fn old_parts_go_and_parts_that_are_filled_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let part = |number: usize| format!(".m{number}.mar.0123456789abcdef.part");
        for number in 0..20 {
            let file = File::create(path(&part(number))).expect("made");
            let age = Duration::from_secs(3600 * number as u64);
            file.set_modified(SystemTime::now() - age).expect("dated");
        }
        for name in [
            ".m19.mar.0123456789abcdef.note",
            ".gone.mar.0123456789abcdef.note",
            ".kept.mar.0123456789abcdef.note",
            "kept.mar",
            ".other.part",
        ] {
            fs::write(path(name), "").expect("written");
        }
        let filled = File::open(path(&part(18))).expect("there");
        filled.lock().expect("free");

        sweep_now(folder.path(), SystemTime::now());
        let left: Vec<usize> = (0..20)
            .filter(|number| path(&part(*number)).exists())
            .collect();
        let newest: Vec<usize> = (0..MOST).chain([18]).collect();
        assert_eq!(left, newest);
        let exists = |name: &str| path(name).exists();
        assert!(!exists(".m19.mar.0123456789abcdef.note"));
        assert!(!exists(".gone.mar.0123456789abcdef.note"));
        assert!(
            exists(".kept.mar.0123456789abcdef.note")
                && exists("kept.mar")
                && exists(".other.part")
        );

        sweep_now(
            folder.path(),
            SystemTime::now() + LIFETIME - Duration::from_secs(3600 * 2 - 60),
        );
        assert!(path(&part(1)).exists() && !path(&part(2)).exists());
    }
}
