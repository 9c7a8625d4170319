//! A variable in the environment of a process and of all that it starts, by which they are found wherever they have gone, and
//! whichever daemon it was that started them.

use std::fmt::{self, Display};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::connection::is_dead;

pub(super) const VARIABLE: &str = "TORCHRELAY_WORKER_ID";

/// How often what is left is looked for: it may start more while it is being ended.
const ROUNDS: usize = 20;

/// Between two looks at a process that is just becoming another.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Mark {
    value: String,
    /// When the first process that has it was started, in the system's ticks.
    since: u64,
}

/// Whether a process is marked.
enum Found {
    Marked,
    Other,
    /// Its environment is not there: it is between two programs.
    Unknown,
}

impl Mark {
    /// One that no other process of this machine has or had.
    pub(super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let nanos = now.unwrap_or_default().as_nanos();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Mark {
            value: format!("{}-{count}-{nanos}", Daemon::own()),
            since: 0,
        }
    }

    /// The first process that has it is that one.
    pub(super) fn began(&mut self, process: u32) {
        self.since = Stat::of(process).map_or(0, |stat| stat.started);
    }

    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// Kills every process that has it, and returns when none is found. Zombies are left to their parents.
    pub(super) fn end_all(&self) {
        end_all(&|value| value == self.value, self.since);
    }
}

/// Kills what workers of daemons that are gone have started and what outlived them, as a process in a session of its own does
/// when its daemon is killed. Returns whether there was any.
pub fn end_orphans() -> bool {
    let is_orphan = |value: &str| {
        let daemon = value.split('-').next().and_then(Daemon::read);
        daemon.is_some_and(|daemon| daemon.is_gone())
    };
    // What is between two programs may be anybody's.
    end_all(&is_orphan, u64::MAX)
}

/// Kills every process whose mark is `wanted`, and returns when none is found: whether there was any. `since` is when the first
/// may have started.
fn end_all(wanted: &dyn Fn(&str) -> bool, since: u64) -> bool {
    for round in 0..ROUNDS {
        if round > 1 {
            thread::sleep(PAUSE);
        }
        if !end_some(wanted, since) {
            return round > 0;
        }
    }
    true
}

/// Returns whether there may be more.
fn end_some(wanted: &dyn Fn(&str) -> bool, since: u64) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else {
        return false;
    };
    let numbers = processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(Pid::from_raw);
    let mut more = false;
    for pid in numbers {
        // First a descriptor, so that what is read and what is killed are the same process.
        let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        match find(pid, wanted, since) {
            Found::Other => {}
            _ if is_dead(descriptor.as_fd(), Duration::ZERO) => {}
            Found::Unknown => more = true,
            Found::Marked => {
                more = true;
                // Fails where it has just ended.
                let _ = pidfd_send_signal(descriptor, Signal::KILL);
            }
        }
    }
    more
}

fn find(pid: Pid, wanted: &dyn Fn(&str) -> bool, since: u64) -> Found {
    // Those of others cannot be read, and are none of ours.
    let Ok(environment) = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())) else {
        return Found::Other;
    };
    if environment.is_empty() {
        let stat = Stat::of(pid.as_raw_nonzero());
        let may_be = stat.is_some_and(|stat| !stat.is_kernel && stat.started >= since);
        return if may_be { Found::Unknown } else { Found::Other };
    }
    let value = |variable| {
        let (name, value) = std::str::from_utf8(variable).ok()?.split_once('=')?;
        (name == VARIABLE).then_some(value)
    };
    let variables = environment.split(|&byte| byte == 0);
    if variables.filter_map(value).any(wanted) {
        Found::Marked
    } else {
        Found::Other
    }
}

/// Which daemon a mark is of: a process, by its number and when it was started, among those that have numbers in common.
#[derive(Debug, PartialEq, Eq)]
struct Daemon {
    /// The namespace of process numbers; elsewhere the same numbers are others'.
    namespace: u64,
    process: u32,
    started: u64,
}

impl Daemon {
    fn own() -> Self {
        Daemon {
            namespace: namespace(),
            process: process::id(),
            started: Stat::of("self").map_or(0, |stat| stat.started),
        }
    }

    /// What [`Display`] has written.
    fn read(text: &str) -> Option<Self> {
        let mut fields = text.split('.');
        let daemon = Daemon {
            namespace: fields.next()?.parse().ok()?,
            process: fields.next()?.parse().ok()?,
            started: fields.next()?.parse().ok()?,
        };
        fields.next().is_none().then_some(daemon)
    }

    /// Of another namespace nothing is known.
    fn is_gone(&self) -> bool {
        let is_here = self.namespace == namespace() && self.namespace != 0;
        let now = Stat::of(self.process).map(|stat| stat.started);
        is_here && now != Some(self.started)
    }
}

impl Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Daemon {
            namespace,
            process,
            started,
        } = self;
        write!(f, "{namespace}.{process}.{started}")
    }
}

/// The number of this process's namespace of process numbers; 0 where the system does not say.
fn namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino())
}

/// What the system says of a process.
struct Stat {
    /// In ticks since the system was started.
    started: u64,
    is_kernel: bool,
}

impl Stat {
    fn of(process: impl Display) -> Option<Self> {
        /// A thread of the system's own.
        const KERNEL: u64 = 0x0020_0000;
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The second field is a name in parentheses, which may hold anything.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let flags: u64 = fields.nth(6)?.parse().ok()?;
        Some(Stat {
            started: fields.nth(12)?.parse().ok()?,
            is_kernel: flags & KERNEL != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_is_marked_ends_and_nothing_else_does() {
        let (mark, other) = (Mark::new(), Mark::new());
        let start = |mark: &Mark| {
            let mut command = Command::new("sleep");
            command
                .arg("3600")
                .env(VARIABLE, mark.value())
                .stdin(Stdio::null());
            command.spawn().expect("started")
        };
        let (mut mine, mut anothers) = (start(&mark), start(&other));
        mark.end_all();
        assert!(mine.wait().expect("it has ended").code().is_none());
        assert!(anothers.try_wait().expect("asked").is_none());
        // Its daemon, which is this process, lives.
        end_orphans();
        assert!(anothers.try_wait().expect("asked").is_none());
        other.end_all();
        assert!(anothers.wait().expect("it has ended").code().is_none());
    }

    #[test]
    fn what_a_daemon_that_is_gone_has_left_ends() {
        let check = |daemon: Daemon, expected: bool| {
            let mut command = Command::new("sleep");
            command.arg("3600").stdin(Stdio::null());
            command.env(VARIABLE, format!("{daemon}-0-0"));
            let mut left = command.spawn().expect("started");
            end_orphans();
            // One that was not killed before is killed now.
            let before = left.try_wait().expect("asked").is_some();
            assert_eq!(before, expected, "{daemon}");
            left.kill().expect("killed");
            left.wait().expect("ended");
        };
        check(Daemon::own(), false);
        let started = Daemon::own().started + 1;
        let own = Daemon::own;
        check(Daemon { started, ..own() }, true);
        let namespace = own().namespace + 1;
        check(
            Daemon {
                namespace,
                started,
                ..own()
            },
            false,
        );
        assert_eq!(Daemon::read(&own().to_string()), Some(own()));
        assert_eq!(Daemon::read("1.2"), None);
    }

    #[test]
    fn a_process_is_younger_than_who_started_it() {
        let parent = Stat::of("self").expect("it runs");
        let mut child = Command::new("sleep").arg("3600").spawn().expect("started");
        let found = Stat::of(child.id()).expect("it runs");
        assert!(found.started >= parent.started && !found.is_kernel);
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(Stat::of("none").is_none());
    }
}
