//! Snapshots on a disk that stops anywhere: what a start finds then is the old snapshot or the new one, never half of one,
//! and the new one once it has been acknowledged.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use super::*;

/// A disk in memory that knows what a power cut may leave of it.
#[derive(Debug, Clone, Default)]
struct FakeDisk {
    /// Names to files, as every process sees them, and before that, as they were since the folder was last synced.
    names: Names,
    unsynced: Vec<Names>,
    files: Vec<Content>,
    /// How many operations are still carried out before one fails.
    operations: usize,
    /// Whether the ones after that fail, too, because nobody is there to ask for them.
    dies: bool,
}

type Names = BTreeMap<String, usize>;

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
}

impl FakeDisk {
    fn new() -> Self {
        FakeDisk {
            operations: usize::MAX,
            ..FakeDisk::default()
        }
    }

    fn operation(&mut self) -> io::Result<()> {
        match self.operations {
            0 => {
                self.operations = if self.dies { 0 } else { usize::MAX };
                Err(io::ErrorKind::StorageFull.into())
            }
            left => {
                self.operations = left.saturating_sub(1);
                Ok(())
            }
        }
    }

    fn renamed(&mut self, change: impl FnOnce(&mut Names)) {
        self.unsynced.push(self.names.clone());
        change(&mut self.names);
    }

    /// What may be there afterwards if the process is killed now, or if the power fails.
    fn outcomes(&self) -> Vec<FakeDisk> {
        let mut outcomes = vec![self.clone()];
        for names in self.unsynced.iter().chain([&self.names]) {
            for keep in [
                |_: &Content| 0,
                |content: &Content| content.now.len() / 2,
                |content: &Content| content.now.len(),
            ] {
                let left = |content: &Content| {
                    let end = keep(content).max(content.synced.len());
                    let now = content.now[..end].to_vec();
                    let synced = Vec::new();
                    Content { now, synced }
                };
                outcomes.push(FakeDisk {
                    names: names.clone(),
                    files: self.files.iter().map(left).collect(),
                    ..FakeDisk::new()
                });
            }
        }
        outcomes
    }

    fn hidden(&self) -> Vec<&String> {
        let names = self.names.keys();
        names.filter(|name| name.starts_with('.')).collect()
    }
}

impl Disk for FakeDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.files[self.names[name]].now.clone())
    }

    fn create(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let outcome = self.operation();
        // What fails in the middle leaves half of it.
        let end = if outcome.is_ok() {
            content.len()
        } else {
            content.len() / 2
        };
        self.files.push(Content {
            now: content[..end].to_vec(),
            synced: Vec::new(),
        });
        let file = self.files.len() - 1;
        self.renamed(|names| {
            names.insert(name.to_owned(), file);
        });
        outcome
    }

    fn sync_file(&mut self, name: &str) -> io::Result<()> {
        self.operation()?;
        let file = &mut self.files[self.names[name]];
        file.synced = file.now.clone();
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.operation()?;
        assert!(!self.names.contains_key(to), "{to} is replaced");
        self.renamed(|names| {
            let file = names.remove(from).expect("a file of that name");
            names.insert(to.to_owned(), file);
        });
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.operation()?;
        self.unsynced.clear();
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.operation()?;
        self.renamed(|names| {
            names.remove(name);
        });
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new("/snapshots").join(name)
    }
}

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

/// A snapshot whose models are one, of that name.
fn text(model: &str) -> impl FnOnce(&str) -> String {
    let text = format!("model_snapshot={{\"models\":{{\"{model}\":{{}}}}}}\n");
    move |_| text
}

/// The model of the snapshot that a start would read.
fn found(disk: &impl Disk) -> Option<String> {
    let name = newest(disk).expect("readable").name?;
    let text = String::from_utf8(disk.read(&name).expect("there")).expect("text");
    Some(
        text.split('"')
            .nth(3)
            .expect("a name of a model")
            .to_owned(),
    )
}

fn folder(kept: Option<usize>) -> Folder<FakeDisk> {
    Folder::new(FakeDisk::new(), kept.and_then(NonZeroUsize::new), None)
}

/// A folder with the snapshot `old`, where the next `operations` succeed.
fn with_old(kept: Option<usize>, operations: usize, dies: bool) -> Folder<FakeDisk> {
    let mut folder = folder(kept);
    folder
        .write(Kind::Startup, at(1), text("old"))
        .expect("written");
    folder.disk.operations = operations;
    folder.disk.dies = dies;
    folder
}

#[test]
fn wherever_it_stops_the_old_one_or_the_new_one_is_found() {
    // Creating, syncing, renaming, syncing the folder, and removing the old one.
    const STEPS: usize = 5;
    let mut seen = Vec::new();
    for kept in [None, Some(1)] {
        for steps in 0..=STEPS {
            let mut folder = with_old(kept, steps, true);
            let written = folder.write(Kind::Snapshot, at(2), text("new"));
            for outcome in folder.disk.outcomes() {
                let model = found(&outcome).expect("one of the two");
                assert!(
                    model == "old" || model == "new",
                    "{model} after {steps} steps"
                );
                if written.is_ok() {
                    assert_eq!(
                        model, "new",
                        "acknowledged after {steps} steps: {outcome:?}"
                    );
                }
                seen.push((steps, model));
            }
        }
    }
    // The test tells the two apart, and goes through the moment at which either may be found.
    let saw = |steps: usize, model: &str| seen.contains(&(steps, model.to_owned()));
    assert!(saw(2, "old") && !saw(2, "new"));
    assert!(saw(3, "old") && saw(3, "new"));
    assert!(!saw(4, "old") && saw(4, "new"));
}

#[test]
fn a_step_that_fails_leaves_the_old_one_and_nothing_else() {
    for steps in 0..3 {
        let mut folder = with_old(None, steps, false);
        let error = folder
            .write(Kind::Snapshot, at(2), text("new"))
            .expect_err("no space");
        assert_eq!(
            error.to_string(),
            "snapshot /snapshots/19700101000000002-snapshot.cfg cannot be written: no storage space"
        );
        assert_eq!(found(&folder.disk).as_deref(), Some("old"));
        assert_eq!(folder.disk.hidden(), [""; 0]);
        folder
            .write(Kind::Snapshot, at(3), text("newer"))
            .expect("space again");
        assert_eq!(found(&folder.disk).as_deref(), Some("newer"));
    }
}

#[test]
fn what_a_killed_server_was_writing_is_removed_and_nothing_else() {
    let mut folder = with_old(None, 1, true);
    folder
        .write(Kind::Snapshot, at(2), text("new"))
        .expect_err("stopped");
    assert_eq!(
        folder.disk.hidden(),
        [".19700101000000002-snapshot.cfg.new"]
    );
    folder.disk.operations = usize::MAX;
    folder
        .disk
        .create(".notes.new", b"")
        .expect("a file of somebody else");
    folder.remove_unfinished();
    assert_eq!(folder.disk.hidden(), [".notes.new"]);
    assert_eq!(found(&folder.disk).as_deref(), Some("old"));
}

#[test]
fn a_broken_one_is_passed_over_and_named() {
    let mut folder = with_old(None, usize::MAX, false);
    for (name, content) in [
        (
            "19700101000000005-snapshot.cfg",
            "model_snapshot={\"models\":{\"x",
        ),
        ("19700101000000006-shutdown.cfg", ""),
        ("20300101000000000-notes.cfg", "not ours"),
    ] {
        folder
            .disk
            .create(name, content.as_bytes())
            .expect("written");
    }
    let expected = Newest {
        name: Some("19700101000000001-startup.cfg".to_owned()),
        broken: vec![
            (
                "19700101000000006-shutdown.cfg".to_owned(),
                "there is no model_snapshot in it".to_owned(),
            ),
            (
                "19700101000000005-snapshot.cfg".to_owned(),
                "model_snapshot: not valid JSON: EOF while parsing a string at line 1 column 13"
                    .to_owned(),
            ),
        ],
    };
    assert_eq!(newest(&folder.disk).expect("readable"), expected);
    // The next one is newer than they are, although the clock is behind them.
    let name = folder
        .write(Kind::Snapshot, at(2), text("new"))
        .expect("written");
    assert_eq!(name, "19700101000000007-snapshot.cfg");
    assert_eq!(found(&folder.disk).as_deref(), Some("new"));
    assert_eq!(
        newest(&FakeDisk::new()).expect("readable"),
        Newest::default()
    );
}

#[test]
fn the_newest_stay_and_the_one_in_use() {
    let check = |kept: usize, in_use: Option<&str>, expected: &[u64]| {
        let kept = NonZeroUsize::new(kept);
        let mut folder = Folder::new(FakeDisk::new(), kept, in_use.map(Path::new));
        folder.disk.create("notes.txt", b"").expect("written");
        for millis in 1..=5 {
            folder
                .write(Kind::Snapshot, at(millis), text("m"))
                .expect("written");
        }
        let names = folder.disk.names.keys().filter(|name| *name != "notes.txt");
        let expected = expected
            .iter()
            .map(|millis| format!("1970010100000000{millis}-snapshot.cfg"));
        assert!(
            names.eq(&expected.collect::<Vec<_>>()),
            "{:?}",
            folder.disk.names
        );
        assert!(folder.disk.names.contains_key("notes.txt"));
    };
    check(0, None, &[1, 2, 3, 4, 5]);
    check(1, None, &[5]);
    check(2, None, &[4, 5]);
    check(9, None, &[1, 2, 3, 4, 5]);
    check(
        2,
        Some("elsewhere/19700101000000002-snapshot.cfg"),
        &[2, 4, 5],
    );
}
