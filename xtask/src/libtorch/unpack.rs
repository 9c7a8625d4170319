//! Takes the entries that some rules name out of a wheel, which is a zip archive.
//!
//! Not for foreign archives: a wheel comes here after its hash was compared. Paths are still checked, since a
//! rule for a folder takes the rest of the path from the wheel.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use zip::ZipArchive;

use super::progress::Progress;

/// An entry and where it goes; both end with `/` when all below a folder is meant.
pub struct Rule(pub &'static str, pub &'static str);

impl Rule {
    fn target(&self, entry: &str) -> Option<PathBuf> {
        let Rule(from, to) = self;
        match entry.strip_prefix(from)? {
            "" => Some(PathBuf::from(to)),
            rest if from.ends_with('/') => Some(Path::new(to).join(rest)),
            _ => None, // a longer name that begins like ours
        }
    }
}

struct Planned {
    index: usize,
    target: PathBuf,
    size: u64,
}

/// Writes the entries into `folder`. A rule without an entry, a size or checksum that differs is an error.
pub fn unpack(wheel: &Path, rules: &[Rule], folder: &Path, mut progress: Progress) -> Result<()> {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let file = File::open(wheel).with_context(|| format!("cannot open {}", wheel.display()))?;
    let mut archive =
        ZipArchive::new(BufReader::new(file)).with_context(|| format!("{name} is no wheel"))?;

    let plan = plan(&mut archive, rules).with_context(|| format!("{name} is not as expected"))?;
    progress.expect(plan.len(), plan.iter().map(|planned| planned.size).sum());
    for Planned {
        index,
        target,
        size,
    } in plan
    {
        let path = folder.join(&target);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        let mut output =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        // Reading to the end compares the checksum too.
        let written = archive
            .by_index(index)
            .map_err(io::Error::from)
            .and_then(|mut entry| io::copy(&mut entry, &mut progress.counting(&mut output)))
            .with_context(|| format!("cannot unpack {} of {name}", target.display()))?;
        ensure!(
            written == size,
            "{} of {name} has {written} bytes where the wheel's directory says {size}",
            target.display()
        );
        progress.file_done();
    }
    progress.finish();
    Ok(())
}

fn plan(archive: &mut ZipArchive<BufReader<File>>, rules: &[Rule]) -> Result<Vec<Planned>> {
    let mut planned = Vec::new();
    let mut used = vec![false; rules.len()];
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name()?;
        let found = rules
            .iter()
            .enumerate()
            .find_map(|(i, rule)| Some((i, rule.target(&name)?)));
        if let Some((rule, target)) = found {
            if !target
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
            {
                bail!("the entry {:?} leads out of its folder", name);
            }
            used[rule] = true;
            planned.push(Planned {
                index,
                target,
                size: entry.size(),
            });
        }
    }
    match rules.iter().zip(used).find(|(_, used)| !used) {
        None => Ok(planned),
        Some((Rule(from, _), _)) => bail!("it holds no {from}"),
    }
}

#[cfg(test)]
pub mod tests {
    use std::io::Write;

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    /// Writes a wheel with these entries and contents.
    pub fn wheel(path: &Path, entries: &[(&str, &str)]) {
        let mut zip = ZipWriter::new(File::create(path).expect("a file in a temporary folder"));
        for (name, content) in entries {
            zip.start_file(*name, SimpleFileOptions::default())
                .expect("a name");
            zip.write_all(content.as_bytes()).expect("room on the disk");
        }
        zip.finish().expect("room on the disk");
    }

    const RULES: &[Rule] = &[
        Rule("t/include/", "include/"),
        Rule("t/lib/a.so", "lib/a.so"),
    ];

    fn check(entries: &[(&str, &str)], expected: Result<&[(&str, &str)], &str>) {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let path = temp.path().join("t.whl");
        wheel(&path, entries);
        let folder = temp.path().join("out");
        let result = unpack(&path, RULES, &folder, Progress::silent());
        match expected {
            Ok(files) => {
                result.expect("a wheel as expected");
                for (file, content) in files {
                    assert_eq!(fs::read_to_string(folder.join(file)).expect(file), *content);
                }
                assert!(!folder.join("lib/a.so.2").exists() && !folder.join("t").exists());
            }
            Err(message) => {
                assert_eq!(format!("{:#}", result.expect_err(message)), message);
            }
        }
    }

    #[test]
    fn only_what_the_rules_name_is_unpacked() {
        check(
            &[
                ("t/include/x/y.h", "int y;"),
                ("t/lib/a.so", "library"),
                ("t/lib/a.so.2", "other"),
                ("t/other", ""),
            ],
            Ok(&[("include/x/y.h", "int y;"), ("lib/a.so", "library")]),
        );
    }

    #[test]
    fn a_wheel_without_an_expected_entry_is_refused() {
        check(
            &[("t/include/y.h", "")],
            Err("t.whl is not as expected: it holds no t/lib/a.so"),
        );
    }

    #[test]
    fn an_entry_stays_in_its_folder() {
        check(
            &[("t/include/../../y.h", ""), ("t/lib/a.so", "")],
            Err(
                "t.whl is not as expected: the entry \"t/include/../../y.h\" leads out of its folder",
            ),
        );
    }

    #[test]
    fn a_damaged_entry_is_refused() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let path = temp.path().join("t.whl");
        let mut zip = ZipWriter::new(File::create(&path).expect("a file in a temporary folder"));
        let stored =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for name in ["t/include/y.h", "t/lib/a.so"] {
            zip.start_file(name, stored).expect("a name");
            zip.write_all(b"some content").expect("room on the disk");
        }
        zip.finish().expect("room on the disk");
        let mut bytes = fs::read(&path).expect("just written");
        let at = bytes
            .windows(12)
            .position(|window| window == b"some content")
            .expect("stored as it is");
        bytes[at] = b'S';
        fs::write(&path, bytes).expect("room on the disk");

        let error = unpack(&path, RULES, &temp.path().join("out"), Progress::silent())
            .expect_err("the checksum differs");
        assert!(
            error
                .to_string()
                .starts_with("cannot unpack include/y.h of t.whl"),
            "{error:#}"
        );
    }
}
