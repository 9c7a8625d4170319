//! What this machine can do: platform, device, room on the disk.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::parts::Part;
use super::wheels::Wheel;

/// What libtorch's wheel was built against.
const OLDEST_GLIBC: (u32, u32) = (2, 28);

pub fn check_platform() -> Result<()> {
    if !cfg!(all(
        target_os = "linux",
        target_arch = "x86_64",
        target_env = "gnu"
    )) {
        bail!(
            "libtorch is fetched for Linux on x86_64 with glibc only: set LIBTORCH to a libtorch for this machine"
        );
    }
    // Where getconf is missing the loader will tell, only later.
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let said = said
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    check_glibc(&said)
}

fn check_glibc(said: &str) -> Result<()> {
    match glibc(said) {
        Some(found) if found < OLDEST_GLIBC => bail!(
            "glibc {}.{} is too old for libtorch, {}.{} or newer is needed: set LIBTORCH to a libtorch for this machine",
            found.0,
            found.1,
            OLDEST_GLIBC.0,
            OLDEST_GLIBC.1
        ),
        _ => Ok(()),
    }
}

/// `glibc 2.36` is (2, 36).
fn glibc(said: &str) -> Option<(u32, u32)> {
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether the driver offers a device here.
pub fn has_nvidia_device() -> bool {
    ["/dev/nvidia0", "/dev/nvidiactl"]
        .iter()
        .any(|node| Path::new(node).exists())
}

/// Refuses before the download rather than in the middle of it.
pub fn check_room(folder: &Path, parts: &[&Part], wheels: &[&Wheel]) -> Result<()> {
    let disk = rustix::fs::statvfs(folder)
        .with_context(|| format!("cannot ask how full {} is", folder.display()))?;
    let needed = parts
        .iter()
        .map(|part| part.room)
        .chain(wheels.iter().map(|wheel| wheel.size))
        .sum();
    compare_room(folder, needed, disk.f_bavail * disk.f_frsize)
}

fn compare_room(folder: &Path, needed: u64, free: u64) -> Result<()> {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    if free < needed {
        bail!(
            "{} has {:.1} GB free, but {:.1} GB are needed: make room, or set XDG_CACHE_HOME to another disk",
            folder.display(),
            gigabytes(free),
            gigabytes(needed)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(result: Result<()>, expected: Result<(), &str>) {
        assert_eq!(
            result.map_err(|e| e.to_string()),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn an_old_glibc_is_refused_and_an_unknown_one_is_not() {
        check(check_glibc("glibc 2.28\n"), Ok(()));
        check(check_glibc(""), Ok(()));
        check(
            check_glibc("glibc 2.17\n"),
            Err(
                "glibc 2.17 is too old for libtorch, 2.28 or newer is needed: set LIBTORCH to a libtorch for this machine",
            ),
        );
    }

    #[test]
    fn a_full_disk_is_refused_with_both_numbers() {
        check(
            compare_room(Path::new("/c"), 1_600_000_000, 1_600_000_000),
            Ok(()),
        );
        check(
            compare_room(Path::new("/c"), 1_600_000_000, 240_000_000),
            Err(
                "/c has 0.2 GB free, but 1.6 GB are needed: make room, or set XDG_CACHE_HOME to another disk",
            ),
        );
    }
}
