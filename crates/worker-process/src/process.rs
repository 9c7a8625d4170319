//! One process: started in a group of its own, watched, ended with all that it has started.
//!
//! It is in a group of its own, which is killed with it; what has left the group is found by a variable in its environment.
//! What it runs binds itself before anything of an archive does (`python/launch.py`, or [`bind`](crate::bind) in our own
//! program), so it dies with the thread that started it: whoever owns a [`Process`] keeps it on that thread.

mod group;
mod mark;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tracing::{debug, warn};

use crate::connection::is_dead;
pub use group::{Group, Groups};
use mark::Mark;
pub use mark::end_orphans;

/// How long a process may take to end once it is killed.
const DYING: Duration = Duration::from_secs(5);

/// What to start.
pub struct Start<'s> {
    pub program: &'s Path,
    /// What lists of processes call it, if not by its path.
    pub shown: Option<&'s str>,
    pub arguments: Vec<OsString>,
    pub folder: &'s Path,
    /// All of it; nothing is inherited.
    pub environment: Vec<(OsString, OsString)>,
    /// Its standard input.
    pub input: Stdio,
    /// The control group that it is going to enter by itself, if there is one.
    pub group: Option<Group>,
}

/// A process that runs, or has not been buried yet. Dropping it kills it, all that it has started, and takes its exit status.
pub struct Process {
    child: Child,
    killer: Killer,
    mark: Mark,
    /// Goes after the process.
    group: Option<Group>,
    /// How it ended, once that is known.
    death: Option<Death>,
    /// Whether it had ended when it was ended.
    alone: bool,
}

/// Kills a process from any thread.
#[derive(Clone)]
pub struct Killer {
    /// Readable when it is dead.
    pub descriptor: Arc<OwnedFd>,
    group: Pid,
    /// Whether its number may be another's by now.
    buried: Arc<Mutex<bool>>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death(ExitStatus);

impl Start<'_> {
    /// Starts it and returns it with its standard output and error.
    pub fn run(self) -> io::Result<(Process, OwnedFd, OwnedFd)> {
        let mut mark = Mark::new();
        let mut command = Command::new(self.program);
        if let Some(shown) = self.shown {
            command.arg0(shown);
        }
        command
            .args(&self.arguments)
            .current_dir(self.folder)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env(mark::VARIABLE, mark.value())
            .process_group(0)
            .stdin(self.input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        debug!("{command:?}");
        let mut child = command.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let pid = Pid::from_child(&child);
        mark.began(child.id());
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => Arc::new(descriptor),
            Err(error) => {
                // Without it nothing can be told of its death.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error.into());
            }
        };
        let process = Process {
            child,
            killer: Killer {
                descriptor,
                group: pid,
                buried: Arc::default(),
            },
            mark,
            group: self.group,
            death: None,
            alone: false,
        };
        let lost = || io::Error::other("a pipe of the process is missing");
        let stdout = stdout.ok_or_else(lost)?.into();
        let stderr = stderr.ok_or_else(lost)?.into();
        Ok((process, stdout, stderr))
    }
}

impl Process {
    /// Its number, which is the system's until it is buried.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn killer(&self) -> &Killer {
        &self.killer
    }

    /// Whether it, or something that it had started, was ended because its group took more memory than it may.
    pub fn was_exhausted(&self) -> bool {
        self.group.as_ref().is_some_and(Group::was_exhausted)
    }

    /// Whether it ended by itself, rather than by [`end`](Process::end); some other may have killed it.
    pub fn ended_alone(&self) -> bool {
        self.alone
    }

    /// Gives it so long to end by itself, then ends it and all that it has started. `None` where it cannot be ended, because
    /// the system keeps it.
    pub fn end(&mut self, grace: Duration) -> Option<Death> {
        if self.death.is_some() {
            return self.death;
        }
        self.alone = is_dead(&self.killer.descriptor, grace);
        // The group before its leader is buried: until then its number is nobody else's.
        self.killer.kill();
        self.mark.end_all();
        if !is_dead(&self.killer.descriptor, DYING) {
            warn!(
                "process {} does not end although it was killed",
                self.child.id()
            );
            return None;
        }
        let mut buried = self
            .killer
            .buried
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let status = self.child.wait();
        *buried = true;
        self.death = status.ok().map(Death);
        self.death
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl Killer {
    /// Kills the process and its group. Does not wait for it.
    pub fn kill(&self) {
        let buried = self.buried.lock().unwrap_or_else(PoisonError::into_inner);
        if !*buried {
            // Fails where nothing of the group is left.
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}

impl Death {
    /// Whether it ended by itself, and well.
    pub fn is_success(self) -> bool {
        self.0.success()
    }

    /// Whether it looks as if the system took it for its memory: killed, and not by us.
    pub fn is_kill(self) -> bool {
        self.0.signal() == Some(Signal::KILL.as_raw()) || self.0.code() == Some(128 + 9)
    }

    /// Whether it has used up its processor time.
    pub fn is_out_of_time(self) -> bool {
        self.0.signal() == Some(Signal::XCPU.as_raw())
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => match name(signal) {
                Some(name) => write!(f, "signal {signal}, {name}"),
                None => write!(f, "signal {signal}"),
            },
            (None, None) => f.write_str("no exit code"),
        }
    }
}

fn name(signal: i32) -> Option<&'static str> {
    let names = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::ILL, "SIGILL"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
    ];
    let found = names
        .into_iter()
        .find(|(known, _)| known.as_raw() == signal);
    found.map(|(_, name)| name)
}
