//! What `/proc` tells about a running process: its CPU time, its memory, its threads. Readings, no judgement.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub resident: u64,
    /// The most that ever was.
    pub peak: u64,
}

/// One thread's use of the machine since it began.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadUse {
    pub id: u32,
    /// As the kernel knows it: 15 bytes at most.
    pub name: String,
    pub user: f64,
    pub system: f64,
    /// How often it went to sleep by itself.
    pub sleeps: u64,
}

/// CPU seconds of a process so far: its own and the kernel's on its behalf.
pub fn cpu_seconds(process: u32) -> Result<f64> {
    let (user, system) = read(&format!("/proc/{process}/stat"), stat_seconds)?;
    Ok(user + system)
}

/// The same with all that descend from it and are there now.
pub fn tree_cpu_seconds(root: u32) -> Result<f64> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let id = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok());
        // A process may end while it is looked at.
        parents.extend(id.and_then(|id| Some((id, parent(id)?))));
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&above) = tree.get(next) {
        tree.extend(
            parents
                .iter()
                .filter(|(_, parent)| *parent == above)
                .map(|(id, _)| *id),
        );
        next += 1;
    }
    let used = tree.iter().filter_map(|id| cpu_seconds(*id).ok());
    Ok(used.sum())
}

fn parent(process: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

pub fn memory(process: u32) -> Result<Memory> {
    read(&format!("/proc/{process}/status"), |text| {
        Some(Memory {
            resident: 1024 * field(text, "VmRSS")?,
            peak: 1024 * field(text, "VmHWM")?,
        })
    })
}

/// The threads there are now.
pub fn threads(process: u32) -> Result<Vec<ThreadUse>> {
    let folder = format!("/proc/{process}/task");
    let mut threads = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.clone())? {
        // A thread may end while it is looked at.
        threads.extend(thread(&entry?.path()));
    }
    threads.sort_by_key(|thread| thread.id);
    Ok(threads)
}

fn thread(folder: &Path) -> Option<ThreadUse> {
    let text = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let (user, system) = stat_seconds(&text("stat")?)?;
    Some(ThreadUse {
        id: folder.file_name()?.to_str()?.parse().ok()?,
        name: text("comm")?.trim_end().to_owned(),
        user,
        system,
        sleeps: field(&text("status")?, "voluntary_ctxt_switches")?,
    })
}

fn read<T>(path: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    parse(&text).with_context(|| format!("{path} reads otherwise than expected"))
}

/// Seconds in the program and in the kernel, from a `stat` file.
fn stat_seconds(text: &str) -> Option<(f64, f64)> {
    // The name stands in parentheses and may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / ticks);
    Some((seconds()?, seconds()?))
}

/// The number behind `name:` in a `status` file.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_stands_behind_a_name_that_may_hold_anything() {
        let ticks = rustix::param::clock_ticks_per_second();
        let text = format!(
            "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 {} {} 0 0 20 0 1 0",
            3 * ticks,
            ticks
        );
        assert_eq!(stat_seconds(&text), Some((3.0, 1.0)));
        assert_eq!(stat_seconds("42"), None);
    }

    #[test]
    fn status_fields_are_found_by_their_whole_name() {
        let text = "VmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nnonvoluntary_ctxt_switches:\t9\n\
                    voluntary_ctxt_switches:\t7\n";
        assert_eq!(field(text, "VmRSS"), Some(1024));
        assert_eq!(field(text, "voluntary_ctxt_switches"), Some(7));
        assert_eq!(field(text, "Vm"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let id = std::process::id();
        assert!(cpu_seconds(id).is_ok());
        let parent = parent(id).expect("it was started");
        let alone = cpu_seconds(parent).expect("it runs");
        assert!(tree_cpu_seconds(parent).expect("Linux") >= alone);
        let memory = memory(id).expect("Linux");
        assert!(memory.resident > 0 && memory.peak >= memory.resident);
        assert!(!threads(id).expect("Linux").is_empty());
    }
}
