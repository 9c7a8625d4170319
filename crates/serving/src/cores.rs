//! How many cores there are to use, and how a batch's share of them is found.

use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The machine's usable cores, shared by all workers of all models.
///
/// The share follows the load: a lone batch may use every core; when as many batches run or wait as there are cores, each
/// gets one. Threads of one batch that wait for each other are worse than useless once somebody else wants their core.
#[derive(Debug, Clone)]
pub struct Cores {
    usable: NonZeroUsize,
    running: Arc<AtomicUsize>,
}

/// One running batch's claim on the cores. Dropping it ends the claim.
#[derive(Debug)]
pub struct Share {
    threads: NonZeroUsize,
    running: Arc<AtomicUsize>,
}

impl Cores {
    pub fn new(usable: NonZeroUsize) -> Self {
        Cores {
            usable,
            running: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// The cores this process may use: its affinity mask, bounded by its control group's quota.
    pub fn of_this_process() -> Self {
        let affinity = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let quota = fs::read_to_string("/sys/fs/cgroup/cpu.max")
            .ok()
            .and_then(|text| quota_cores(&text));
        Cores::new(quota.map_or(affinity, |quota| quota.min(affinity)))
    }

    pub fn usable(&self) -> NonZeroUsize {
        self.usable
    }

    /// Claims cores for a batch that is about to run while `waiting` more could run beside it.
    pub fn claim(&self, waiting: usize) -> Share {
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let threads = divide(self.usable, before + 1 + waiting);
        Share {
            threads,
            running: Arc::clone(&self.running),
        }
    }
}

impl Share {
    pub fn threads(&self) -> NonZeroUsize {
        self.threads
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

fn divide(cores: NonZeroUsize, batches: usize) -> NonZeroUsize {
    NonZeroUsize::new(cores.get() / batches.max(1)).unwrap_or(NonZeroUsize::MIN)
}

/// The quota of a version 2 control group (`max 100000`, or microseconds per period) in whole cores, at least one.
fn quota_cores(text: &str) -> Option<NonZeroUsize> {
    let mut words = text.split_whitespace();
    let quota: usize = words.next()?.parse().ok()?;
    let period: usize = words.next()?.parse().ok().filter(|&period| period > 0)?;
    NonZeroUsize::new(quota / period).or(Some(NonZeroUsize::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_quota(text: &str, expected: Option<usize>) {
        assert_eq!(
            quota_cores(text).map(NonZeroUsize::get),
            expected,
            "{text:?}"
        );
    }

    #[test]
    fn quota_is_read_from_the_control_group() {
        check_quota("max 100000\n", None);
        check_quota("200000 100000\n", Some(2));
        check_quota("50000 100000\n", Some(1));
        check_quota("350000 100000\n", Some(3));
        check_quota("", None);
        check_quota("1 0", None);
    }

    #[test]
    fn a_lone_batch_gets_every_core_and_a_crowd_one_each() {
        let cores = Cores::new(NonZeroUsize::new(4).expect("four"));
        let first = cores.claim(0);
        assert_eq!(first.threads().get(), 4);
        let second = cores.claim(0);
        assert_eq!(second.threads().get(), 2);
        assert_eq!(cores.claim(9).threads().get(), 1);
        drop((first, second));
        assert_eq!(cores.claim(0).threads().get(), 4);
    }
}
