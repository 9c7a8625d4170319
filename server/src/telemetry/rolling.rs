//! A file that starts anew every day and whenever it is full. Days are those of UTC, as the times in its lines are.
//!
//! What was written so far is renamed to `<name>.<dd-MMM>.log`; [`Tidier`], on a thread of its own, then compresses it
//! and removes the oldest. A file that cannot be renamed just grows on.

mod shelf;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::SystemTime;

use tracing::{debug, warn};

use super::outbox::Sink;
use crate::utc;

/// The size at which a file is full, in bytes, as in TorchServe.
const FULL: u64 = 100 << 20;

/// How many rolled files of a log are kept.
const KEPT: usize = 5;

/// A log file that is being written.
pub(super) struct RollingFile {
    path: PathBuf,
    file: File,
    /// Bytes in the file.
    size: u64,
    /// The day of its last line, counted from 1970.
    day: u64,
    /// The size beyond which it is rolled.
    full: u64,
    tidier: Tidier,
}

impl RollingFile {
    /// Goes on with the file, or makes it, and the folder if need be.
    pub(super) fn open(path: &Path, tidier: Tidier) -> io::Result<Self> {
        Self::open_at(path, tidier, FULL, SystemTime::now())
    }

    fn open_at(path: &Path, tidier: Tidier, full: u64, now: SystemTime) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = open(path)?;
        let metadata = file.metadata()?;
        let size = metadata.len();
        let last = if size == 0 { now } else { metadata.modified()? };
        // What an earlier process left half done.
        tidier.tidy(path);
        Ok(RollingFile {
            path: path.to_owned(),
            file,
            size,
            day: utc::day(last),
            full,
            tidier,
        })
    }

    fn roll_if_due(&mut self, coming: usize, now: SystemTime) {
        let today = utc::day(now);
        // A clock that is set back does not make a new day.
        let day_is_over = today > self.day;
        if self.size == 0 || !(day_is_over || self.size + coming as u64 > self.full) {
            self.day = self.day.max(today);
            return;
        }
        if let Err(error) = self.roll() {
            warn!(
                "{}: cannot be rolled and grows on: {error}",
                self.path.display()
            );
            self.full += self.size;
        }
        self.day = self.day.max(today);
    }

    fn roll(&mut self) -> io::Result<()> {
        fs::rename(&self.path, shelf::next_name(&self.path, self.day)?)?;
        self.file = open(&self.path)?;
        self.size = 0;
        self.tidier.tidy(&self.path);
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

impl Sink for RollingFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn write(&mut self, lines: &[u8], now: SystemTime) -> io::Result<()> {
        self.roll_if_due(lines.len(), now);
        match self.file.write_all(lines) {
            Ok(()) => {
                self.size += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                // No torn line; if even that fails, a torn one it is.
                let _ = self.file.set_len(self.size);
                Err(error)
            }
        }
    }
}

/// Compresses and removes rolled files, on a thread that ends with the last handle.
#[derive(Clone)]
pub(super) struct Tidier(Option<SyncSender<PathBuf>>);

impl Tidier {
    /// Without a thread rolled files stay as they are, until a process that has one.
    pub(super) fn start() -> Self {
        // One place for each log is enough: whoever tidies finds all there is to tidy.
        let (sender, logs) = sync_channel::<PathBuf>(16);
        let tidy = move || {
            for log in logs {
                if let Err(error) = shelf::tidy(&log, KEPT) {
                    warn!("{}: rolled files cannot be tidied: {error}", log.display());
                }
            }
        };
        let started = thread::Builder::new().name("log-tidy".into()).spawn(tidy);
        Tidier(started.is_ok().then_some(sender))
    }

    fn tidy(&self, log: &Path) {
        if let Some(sender) = &self.0
            && let Err(error) = sender.try_send(log.to_owned())
        {
            // The next roll finds it.
            debug!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, UNIX_EPOCH};

    use super::*;

    /// 2026-11-21T00:00:00.
    const DAY: u64 = 1_795_219_200;

    /// Writes at these seconds after the beginning of that day, ten bytes each, to a file that is full at 25 bytes.
    /// Expected: the files, and what is in them.
    fn check(seconds: &[u64], expected: &[(&str, &str)]) {
        let folder = tempfile::tempdir().unwrap();
        let at = |second: &u64| UNIX_EPOCH + Duration::from_secs(DAY + second);
        let path = folder.path().join("ts_log.log");
        let start = at(seconds.first().unwrap());
        let mut file = RollingFile::open_at(&path, Tidier(None), 25, start).unwrap();
        for (number, second) in seconds.iter().enumerate() {
            let line = format!("line {number:04}\n");
            file.write(line.as_bytes(), at(second)).unwrap();
        }
        let mut found: Vec<(String, String)> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let text = fs::read_to_string(entry.path()).unwrap();
                let numbers: Vec<&str> = text.lines().map(|line| &line[8..]).collect();
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, numbers.join(" "))
            })
            .collect();
        found.sort();
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(name, numbers)| (name.as_str(), numbers.as_str()))
            .collect();
        assert_eq!(found, expected, "{seconds:?}");
    }

    #[test]
    fn a_file_rolls_when_it_is_full_and_when_its_day_is_over() {
        const NEXT: u64 = 24 * 3600;
        check(&[0, 1], &[("ts_log.log", "0 1")]);
        check(
            &[0, 1, 2],
            &[("ts_log.21-Nov.log", "0 1"), ("ts_log.log", "2")],
        );
        check(
            &[0, 1, 2, 3, 4],
            &[
                ("ts_log.21-Nov.1.log", "2 3"),
                ("ts_log.21-Nov.log", "0 1"),
                ("ts_log.log", "4"),
            ],
        );
        check(
            &[NEXT - 1, NEXT, NEXT + 1],
            &[("ts_log.21-Nov.log", "0"), ("ts_log.log", "1 2")],
        );
        check(
            &[0, NEXT * 9, NEXT * 10],
            &[
                ("ts_log.21-Nov.log", "0"),
                ("ts_log.30-Nov.log", "1"),
                ("ts_log.log", "2"),
            ],
        );
        // A clock that is set back.
        check(&[NEXT, 0], &[("ts_log.log", "0 1")]);
    }

    #[test]
    fn what_is_put_aside_is_compressed_in_the_background() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ts_log.log");
        let at = |second: u64| UNIX_EPOCH + Duration::from_secs(DAY + second);
        let mut file = RollingFile::open_at(&path, Tidier::start(), 5, at(0)).unwrap();
        for line in ["a\n", "b\n", "c\n", "d\n"] {
            file.write(line.as_bytes(), at(0)).unwrap();
        }
        let compressed = folder.path().join("ts_log.21-Nov.log.gz");
        let patience = Instant::now() + Duration::from_secs(60);
        while !compressed.exists() || folder.path().join("ts_log.21-Nov.log").exists() {
            assert!(Instant::now() < patience, "it is not compressed");
            thread::yield_now();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "c\nd\n");
    }

    #[test]
    fn a_file_of_an_earlier_process_goes_on_or_rolls() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/ts_log.log");
        let start = |second: u64, line: &str| {
            let now = UNIX_EPOCH + Duration::from_secs(DAY + second);
            let mut file = RollingFile::open_at(&path, Tidier(None), 1000, now).unwrap();
            file.write(line.as_bytes(), now).unwrap();
            file.file.set_modified(now).unwrap();
        };
        start(0, "a\n");
        start(5, "b\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n");
        start(24 * 3600, "c\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "c\n");
        let rolled = folder.path().join("logs/ts_log.21-Nov.log");
        assert_eq!(fs::read_to_string(rolled).unwrap(), "a\nb\n");
    }
}
