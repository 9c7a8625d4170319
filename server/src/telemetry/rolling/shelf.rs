//! Rolled files: their names, their compression, and how many of them are kept.
//!
//! A name holds the day of the last line without the year, as TorchServe's do, and a number where that day had several:
//! `ts_log.21-Nov.log.gz`, `ts_log.21-Nov.1.log.gz`. Which one is older is asked of the file's time, not of its name.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::utc;

/// The name under which a log of that day is to be put aside.
pub(super) fn next_name(log: &Path, day: u64) -> io::Result<PathBuf> {
    let day = utc::day_and_month(day);
    let numbers = rolled(log)?
        .into_iter()
        .filter(|rolled| rolled.day == day)
        .map(|rolled| rolled.number);
    let name = match numbers.max() {
        None => format!("{}.{day}.log", stem(log)),
        Some(last) => format!("{}.{day}.{}.log", stem(log), last + 1),
    };
    Ok(log.with_file_name(name))
}

/// Compresses what was rolled of `log` and is not compressed yet, and removes all but the newest `kept`.
pub(super) fn tidy(log: &Path, kept: usize) -> io::Result<()> {
    for rolled in rolled(log)? {
        if !rolled.compressed {
            compress(&rolled.path)?;
        }
    }
    let mut by_age = Vec::new();
    for rolled in rolled(log)? {
        let modified = fs::metadata(&rolled.path)?.modified()?;
        by_age.push((modified, rolled.number, rolled.path));
    }
    by_age.sort();
    for (_, _, path) in by_age.iter().rev().skip(kept) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Replaces a file by its compressed self, which keeps its time. A crash leaves at most a `.part` behind, which the next
/// attempt overwrites.
fn compress(path: &Path) -> io::Result<()> {
    let with_end = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let (part, whole) = (with_end(".gz.part"), with_end(".gz"));
    let from = File::open(path)?;
    let modified = from.metadata()?.modified()?;
    let compressed = BufWriter::new(File::create(&part)?);
    let mut encoder = GzEncoder::new(compressed, Compression::default());
    io::copy(&mut BufReader::new(from), &mut encoder)?;
    let mut compressed = encoder.finish()?;
    compressed.flush()?;
    compressed.get_ref().set_modified(modified)?;
    fs::rename(&part, &whole)?;
    fs::remove_file(path)
}

/// One file that was put aside.
#[derive(Debug, PartialEq, Eq)]
struct Rolled {
    path: PathBuf,
    /// As `21-Nov`.
    day: String,
    number: u64,
    compressed: bool,
}

/// Everything that was rolled of `log`, in no order.
fn rolled(log: &Path) -> io::Result<Vec<Rolled>> {
    let folder = match log.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let stem = stem(log);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some((day, number, compressed)) = parse(&stem, &name) {
            found.push(Rolled {
                day: day.to_owned(),
                number,
                compressed,
                path,
            });
        }
    }
    Ok(found)
}

/// Day, number and whether it is compressed, if the name is one of ours.
fn parse<'a>(stem: &str, name: &'a str) -> Option<(&'a str, u64, bool)> {
    let rest = name.strip_prefix(stem)?.strip_prefix('.')?;
    let (rest, compressed) = match rest.strip_suffix(".log.gz") {
        Some(rest) => (rest, true),
        None => (rest.strip_suffix(".log")?, false),
    };
    let (day, number) = match rest.split_once('.') {
        Some((day, number)) => (day, number.parse().ok()?),
        None => (rest, 0),
    };
    let (of_month, month) = day.split_once('-')?;
    let is_day = of_month.len() == 2 && of_month.bytes().all(|byte| byte.is_ascii_digit());
    (is_day && utc::MONTHS.contains(&month)).then_some((day, number, compressed))
}

fn stem(log: &Path) -> String {
    let stem = log.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::{Duration, UNIX_EPOCH};

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn names_of_rolled_files_are_told_from_others() {
        let check = |name: &str, expected: Option<(&str, u64, bool)>| {
            assert_eq!(parse("ts_log", name), expected, "{name}");
        };
        check("ts_log.21-Nov.log", Some(("21-Nov", 0, false)));
        check("ts_log.21-Nov.log.gz", Some(("21-Nov", 0, true)));
        check("ts_log.01-Jan.12.log.gz", Some(("01-Jan", 12, true)));
        for other in [
            "ts_log.log",
            "ts_log.21-Nov.log.gz.part",
            "ts_log.21-Nov.old.log",
            "ts_log.1-Nov.log",
            "ts_log.21-Foo.log",
            "ts_log_2.21-Nov.log",
            "access_log.21-Nov.log",
            "ts_log.backup.log",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn tidying_compresses_and_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("ts_log.log");
        let others = ["ts_log.log", "ts_log.mine.log", "access_log.20-Nov.log"];
        for name in others {
            fs::write(folder.path().join(name), name).unwrap();
        }
        // The last one is from the turn of the year: its name says nothing of its age.
        let days = ["31-Dec", "20-Nov", "21-Nov", "22-Nov"];
        for (age, day) in days.iter().enumerate() {
            let path = folder.path().join(format!("ts_log.{day}.log"));
            fs::write(&path, day).unwrap();
            let time = UNIX_EPOCH + Duration::from_secs(1000 + age as u64);
            File::open(&path).unwrap().set_modified(time).unwrap();
        }
        tidy(&log, 2).unwrap();
        // Nothing changes any more.
        tidy(&log, 2).unwrap();
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "access_log.20-Nov.log",
                "ts_log.21-Nov.log.gz",
                "ts_log.22-Nov.log.gz",
                "ts_log.log",
                "ts_log.mine.log",
            ]
        );
        let file = File::open(folder.path().join("ts_log.21-Nov.log.gz")).unwrap();
        let mut text = String::new();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "21-Nov");
        let next = next_name(&log, 20_778).unwrap();
        assert_eq!(next, folder.path().join("ts_log.21-Nov.1.log"));
    }
}
