//! Downloads wheels with the user's own pip, which knows about proxies, mirrors and certificates.
//!
//! pip keeps nothing of a download that broke off, so the unit of resuming is a wheel: one that is whole stays in
//! the store and is not fetched again.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::progress::Progress;
use super::wheels::Wheel;
use crate::run::show;

/// The first pip that understands the platform tags of these wheels.
const OLDEST: (u32, u32) = (20, 3);

pub struct Pip {
    python: &'static str,
}

impl Pip {
    pub fn find() -> Result<Self> {
        Self::find_in("python3")
    }

    fn find_in(python: &'static str) -> Result<Self> {
        let output = Command::new(python)
            .args(["-m", "pip", "--version"])
            .stdin(Stdio::null())
            .output();
        let Ok(output) = output else {
            bail!(
                "{python} was not found: install Python 3 with pip, or set LIBTORCH to a libtorch that you have"
            );
        };
        if !output.status.success() {
            bail!(
                "{python} has no pip: install it (python3-pip, say), or set LIBTORCH to a libtorch that you have"
            );
        }
        match version(&String::from_utf8_lossy(&output.stdout)) {
            Some(found) if found < OLDEST => bail!(
                "pip {}.{} is too old, {}.{} or newer is needed: `{python} -m pip install --upgrade pip`",
                found.0,
                found.1,
                OLDEST.0,
                OLDEST.1
            ),
            _ => Ok(Self { python }),
        }
    }

    /// Fetches one wheel into `store`; it is there, and its hash is right, when this succeeds.
    pub fn download(&self, wheel: &Wheel, store: &Path) -> Result<()> {
        let scratch = store.join("scratch");
        let requirement = store.join("requirements.txt");
        let cannot = || format!("cannot write into {}", store.display());
        let _ = fs::remove_dir_all(&scratch); // of a run that was killed
        fs::create_dir_all(&scratch).with_context(cannot)?;
        let line = format!(
            "{}=={} --hash=sha256:{}\n",
            wheel.package, wheel.version, wheel.sha256
        );
        fs::write(&requirement, line).with_context(cannot)?;
        // pip does not replace a file of that name without asking.
        let _ = fs::remove_file(store.join(wheel.file));

        let mut command = Command::new(self.python);
        command
            .args([
                "-m",
                "pip",
                "download",
                "--disable-pip-version-check",
                "--no-input",
                "--no-cache-dir",
                "--quiet",
            ])
            .args([
                "--no-deps",
                "--only-binary=:all:",
                "--require-hashes",
                "--requirement",
            ])
            .arg(&requirement)
            .args([
                "--python-version",
                "3.12",
                "--implementation",
                "cp",
                "--abi",
                "cp312",
                "--abi",
                "none",
            ])
            .args(["--platform", platform(wheel), "--dest"])
            .arg(store)
            // Half a gigabyte goes where the room was checked, not into a small /tmp.
            .env("TMPDIR", &scratch)
            .stdin(Stdio::null());
        let mut progress = Progress::new(format!("fetching {}", wheel.package));
        progress.expect(0, wheel.size);
        let said = run(&mut command, || progress.reached(size_below(&scratch)))?;
        if said.is_none() {
            progress.reached(wheel.size);
        }
        progress.finish();
        let _ = fs::remove_dir_all(&scratch);
        let _ = fs::remove_file(&requirement);

        if let Some(said) = said {
            bail!(explain(wheel, &said));
        }
        if !wheel.is_whole_in(store)? {
            bail!(
                "pip succeeded but {} is not whole in {}",
                wheel.file,
                store.display()
            );
        }
        Ok(())
    }
}

/// The platform tag in the file's name; of several, the first.
fn platform(wheel: &Wheel) -> &'static str {
    let tags = wheel
        .file
        .trim_end_matches(".whl")
        .rsplit('-')
        .next()
        .unwrap_or_default();
    tags.split('.').next().unwrap_or_default()
}

/// The bytes of all files below `folder`: how far pip is, whose own progress bar goes with its chatter.
fn size_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0; // pip moves and removes as it likes
    };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// Runs pip, calls `watch` a few times a second, and returns what pip said on failing.
fn run(command: &mut Command, mut watch: impl FnMut()) -> Result<Option<String>> {
    let shown = show(command);
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{shown}` could not be started"))?;
    let stderr = child.stderr.take().expect("piped above");
    let reader = thread::spawn(move || {
        let mut said = String::new();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = writeln!(io::stderr(), "{line}");
            said += &line;
            said.push('\n');
        }
        said
    });
    let status = loop {
        let ended = child
            .try_wait()
            .with_context(|| format!("`{shown}` was lost"))?;
        if let Some(status) = ended {
            break status;
        }
        watch();
        thread::sleep(Duration::from_millis(200));
    };
    let said = reader.join().unwrap_or_default();
    Ok((!status.success()).then_some(said))
}

/// One sentence for what pip said on its standard error.
fn explain(wheel: &Wheel, said: &str) -> String {
    let Wheel {
        package, version, ..
    } = wheel;
    if said.contains("DO NOT MATCH THE HASHES") {
        let got = said
            .lines()
            .find_map(|line| line.trim().strip_prefix("Got"));
        let got = got.map_or("another one", str::trim);
        return format!(
            "{package} {version} was served with a wrong hash (expected {}, got {got})",
            wheel.sha256
        );
    }
    let last = said
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("pip said nothing");
    format!("{package} {version} could not be downloaded; is the network there? ({last})")
}

/// `pip 23.2.1 from /usr/lib/...` is (23, 2).
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said
        .strip_prefix("pip ")?
        .split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::wheels::{CUDA_CUPTI, CUDA_RUNTIME, TORCH};
    use super::*;

    #[test]
    fn the_platform_is_read_from_the_name() {
        assert_eq!(platform(&TORCH), "manylinux_2_28_x86_64");
        assert_eq!(platform(&CUDA_RUNTIME), "manylinux2014_x86_64");
        assert_eq!(platform(&CUDA_CUPTI), "manylinux_2_25_x86_64");
    }

    #[test]
    fn the_version_of_pip_is_read() {
        assert_eq!(
            version("pip 23.2.1 from /usr/lib (python 3.11)"),
            Some((23, 2))
        );
        assert_eq!(version("pip 9.0 from x"), Some((9, 0)));
        assert_eq!(version("No module named pip"), None);
    }

    #[test]
    fn a_missing_python_is_one_sentence() {
        let error = Pip::find_in("no-such-python")
            .err()
            .expect("it does not exist");
        assert_eq!(
            error.to_string(),
            "no-such-python was not found: install Python 3 with pip, or set LIBTORCH to a libtorch that you have"
        );
    }

    fn check(said: &str, expected: &str) {
        assert_eq!(explain(&CUDA_CUPTI, said), expected);
    }

    #[test]
    fn what_pip_says_becomes_one_sentence() {
        check(
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you\n    \
             x==1 from y:\n        Expected sha256 4eb0\n             Got        beef\n\n",
            "nvidia-cuda-cupti 13.0.85 was served with a wrong hash (expected \
             4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8, got beef)",
        );
        check(
            "WARNING: Retrying\nERROR: No matching distribution found for nvidia-cuda-cupti==13.0.85\n",
            "nvidia-cuda-cupti 13.0.85 could not be downloaded; is the network there? (ERROR: No matching \
             distribution found for nvidia-cuda-cupti==13.0.85)",
        );
    }
}
