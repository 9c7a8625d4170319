//! Binds the process that calls it: what `python/launch.py` does for interpreters, for a program of our own.
//!
//! To be called before anything of an archive is read, and before there is a second thread.

use std::fs;
use std::io;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::set_no_new_privs;
use thiserror::Error;

use crate::bounds::Bounds;

/// How much sooner than the daemon it is taken when the machine's memory runs out: half of the scale.
const GIVE_WAY: &str = "500";

/// Why a process is not bound, and so must not go on.
#[derive(Debug, Error)]
pub enum Unbound {
    #[error("the daemon is gone")]
    Orphan,
    #[error("{what}: {source}")]
    Refused {
        what: &'static str,
        source: io::Error,
    },
}

/// From now on this process is killed when the thread that started it ends, however that ends; it never gains privileges,
/// leaves no core file, takes no more than the bounds allow, and is taken before the daemon when memory runs out. `parent` is the
/// daemon.
///
/// # Errors
///
/// Where any of that but the last cannot be had.
pub fn bind(parent: u32, bounds: &Bounds) -> Result<(), Unbound> {
    let told = |what| {
        move |error: rustix::io::Errno| Unbound::Refused {
            what,
            source: error.into(),
        }
    };
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(told("PR_SET_PDEATHSIG"))?;
    let found = getppid().map(Pid::as_raw_pid);
    if found.and_then(|pid| u32::try_from(pid).ok()) != Some(parent) {
        return Err(Unbound::Orphan);
    }
    set_no_new_privs(true).map_err(told("PR_SET_NO_NEW_PRIVS"))?;
    limit(Resource::Core, 0, 0).map_err(told("RLIMIT_CORE"))?;
    // No more than a preference, which containers may forbid.
    let _ = fs::write("/proc/self/oom_score_adj", GIVE_WAY);
    if let Some(seconds) = bounds.cpu {
        limit(Resource::Cpu, seconds, 1).map_err(told("RLIMIT_CPU"))?;
    }
    if let Some(files) = bounds.files {
        limit(Resource::Nofile, files, 0).map_err(told("RLIMIT_NOFILE"))?;
    }
    if let Some(bytes) = bounds.memory {
        limit(Resource::As, bytes, 0).map_err(told("RLIMIT_AS"))?;
    }
    Ok(())
}

/// Sets both bounds, the hard one `more` above; never above what the daemon itself has.
fn limit(resource: Resource, value: u64, more: u64) -> rustix::io::Result<()> {
    let wanted = value.saturating_add(more);
    let hard = getrlimit(resource).maximum;
    let highest = hard.map_or(wanted, |hard| wanted.min(hard));
    setrlimit(
        resource,
        Rlimit {
            current: Some(value.min(highest)),
            maximum: Some(highest),
        },
    )
}
