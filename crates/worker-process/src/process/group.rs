//! Control groups of the system, version 2: they bound what a worker and all that it starts take of memory together, which
//! a bound of the address space only guesses at.
//!
//! A group can be made where the system has given the daemon a part of the tree: where its own group is one that somebody
//! made for it within its unit (systemd's `Delegate=` and `DelegateSubgroup=`), beside that; or below its own, if that may
//! have processes and groups at once. Nothing is moved and no unit of systemd's is touched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tracing::debug;

/// The processes and threads of one worker.
const MOST_TASKS: u32 = 16_384;

/// How long the last processes of a group may take to be gone.
const EMPTYING: Duration = Duration::from_secs(2);

/// Between two attempts to remove one.
const PAUSE: Duration = Duration::from_millis(10);

/// Names of groups begin so, and go on with the daemon's process.
const PREFIX: &str = "torchrelay-worker-";

/// Suffixes of groups that are systemd's own.
const UNITS: [&str; 3] = ["service", "scope", "slice"];

/// The place where groups are made.
pub struct Groups {
    parent: PathBuf,
    made: AtomicU64,
}

/// One group. Dropping it ends what is in it, and removes it.
pub struct Group {
    path: PathBuf,
}

impl Groups {
    /// The daemon's place in the tree.
    ///
    /// # Errors
    ///
    /// Why there is none, in one line.
    pub fn find() -> Result<Self, String> {
        let own = own_group()?;
        let mut why = String::new();
        let is_unit = |name: &Path| {
            let suffix = name.extension().and_then(|suffix| suffix.to_str());
            suffix.is_some_and(|suffix| UNITS.contains(&suffix))
        };
        let beside = own.parent().filter(|_| !is_unit(&own));
        for parent in [Some(&*own), beside].into_iter().flatten() {
            match Groups::at(parent) {
                Ok(groups) => return Ok(groups),
                Err(error) if why.is_empty() => why = error,
                Err(_) => {}
            }
        }
        Err(why)
    }

    fn at(parent: &Path) -> Result<Self, String> {
        let shown = parent.display();
        let read = |name: &str| fs::read_to_string(parent.join(name)).unwrap_or_default();
        let has = |text: &str, name: &str| text.split_whitespace().any(|word| word == name);
        if !has(&read("cgroup.controllers"), "memory") {
            return Err(format!("{shown} has no controller of memory"));
        }
        if !has(&read("cgroup.subtree_control"), "memory") {
            let wanted = fs::write(parent.join("cgroup.subtree_control"), "+memory +pids");
            wanted.map_err(|error| format!("{shown}: {error}"))?;
        }
        let groups = Groups {
            parent: parent.to_owned(),
            made: AtomicU64::new(0),
        };
        groups.remove_orphans();
        // Whether groups can be made is known when one has been.
        let tried = groups.bounded(u64::MAX >> 1);
        tried.map_err(|error| format!("{shown}: {error}"))?;
        Ok(groups)
    }

    /// A group whose processes may take so many bytes together, and no swap.
    ///
    /// # Errors
    ///
    /// Where the system does not make one, or does not bound it.
    pub fn bounded(&self, memory: u64) -> io::Result<Group> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", process::id());
        let path = self.parent.join(name);
        fs::create_dir(&path)?;
        let group = Group { path };
        group.set("memory.max", memory)?;
        // Not every system has these, and without them the bound holds, only less neatly.
        for (name, value) in [
            ("memory.swap.max", 0),
            ("memory.oom.group", 1),
            ("pids.max", MOST_TASKS.into()),
        ] {
            if let Err(error) = group.set(name, value) {
                debug!("{error}");
            }
        }
        Ok(group)
    }

    /// Removes groups of daemons that are gone. One that has processes cannot be removed.
    fn remove_orphans(&self) {
        for entry in fs::read_dir(&self.parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let owner = name
                .to_str()
                .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
            if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

impl Group {
    /// Where a process writes itself to be in it.
    pub fn entrance(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Whether something in it was ended because all of it took more than it may.
    pub fn was_exhausted(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let mut counts = events.lines().filter_map(|line| line.split_once(' '));
        counts.any(|(name, count)| name == "oom_kill" && count.trim() != "0")
    }

    fn set(&self, name: &str, value: u64) -> io::Result<()> {
        let path = self.path.join(name);
        fs::write(&path, value.to_string())
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let end = Instant::now() + EMPTYING;
        loop {
            // Not every system has it.
            let _ = fs::write(self.path.join("cgroup.kill"), "1");
            match fs::remove_dir(&self.path) {
                Err(error)
                    if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < end =>
                {
                    thread::sleep(PAUSE);
                }
                Err(error) => return debug!("{}: {error}", self.path.display()),
                Ok(()) => return,
            }
        }
    }
}

/// The folder of the group that this process is in.
fn own_group() -> Result<PathBuf, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let place = mount(&read("/proc/self/mountinfo")?);
    let place = place.ok_or("no control groups of version 2 are mounted")?;
    let groups = read("/proc/self/cgroup")?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.ok_or("this process is in no control group of version 2")?;
    Ok(place.join(own.trim_start_matches('/')))
}

/// Where the tree is mounted: the fifth field of a line whose type is `cgroup2`.
fn mount(mounts: &str) -> Option<PathBuf> {
    let of_type = |line: &&str| {
        let kind = line.split_once(" - ").map(|(_, rest)| rest);
        kind.is_some_and(|kind| kind.starts_with("cgroup2 "))
    };
    let line = mounts.lines().find(of_type)?;
    line.split(' ').nth(4).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_group_is_made_where_the_tree_may_grow() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            fs::write(root.path().join(name), text).expect("written");
        };
        let check_refused = |expected: &str| {
            let why = Groups::at(root.path()).err().expect("refused");
            assert!(why.contains(expected), "{why}");
        };
        check_refused("has no controller of memory");
        write("cgroup.controllers", "cpu memory pids\n");
        write("cgroup.subtree_control", "cpu memory\n");
        let gone = format!("{PREFIX}{}-7", u32::MAX);
        fs::create_dir(root.path().join(&gone)).expect("a folder");
        let groups = Groups::at(root.path()).expect("a place");
        assert!(!root.path().join(gone).exists());

        let group = groups.bounded(1 << 30).expect("a group");
        let read = |name: &str| fs::read_to_string(group.path.join(name)).unwrap_or_default();
        assert_eq!(read("memory.max"), "1073741824");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("pids.max"), "16384");
        let said = |events: &str| {
            fs::write(group.path.join("memory.events"), events).expect("written");
            group.was_exhausted()
        };
        assert!(!said("max 3\noom 0\noom_kill 0\n"));
        assert!(said("max 3\noom 1\noom_kill 2\n"));
    }

    #[test]
    fn the_tree_is_found_among_mounts() {
        let mounts = "29 1 0:25 / /sys rw shared:7 - sysfs sysfs rw\n\
                      30 29 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount(mounts), Some("/sys/fs/cgroup".into()));
        assert_eq!(mount("29 1 0:25 / /sys rw - sysfs sysfs rw\n"), None);
    }

    #[test]
    fn what_is_in_a_group_ends_with_it() {
        let groups = match Groups::find() {
            Ok(groups) => groups,
            Err(why) => return eprintln!("skipped: no control groups here: {why}"),
        };
        let group = groups.bounded(256 << 20).expect("a group");
        let enter = "echo 0 > \"$0\" && exec sleep 3600";
        let mut child = Command::new("sh")
            .args(["-c", enter])
            .arg(group.entrance())
            .spawn()
            .expect("started");
        let path = group.path.clone();
        let end = Instant::now() + Duration::from_secs(30);
        while fs::read_to_string(group.entrance())
            .unwrap_or_default()
            .is_empty()
        {
            assert!(Instant::now() < end, "nobody entered");
            thread::sleep(PAUSE);
        }
        drop(group);
        // Where the system does not end groups, the worker's own end does.
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(!path.exists() || fs::remove_dir(&path).is_ok());
    }
}
