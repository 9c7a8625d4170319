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
    usable: Arc<AtomicUsize>,
    /// The most that are used, however many there are.
    most: NonZeroUsize,
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
            usable: Arc::new(AtomicUsize::new(usable.get())),
            most: usable,
            running: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// The cores this process may use, its affinity mask bounded by its control group's quota, but at most `most`.
    pub fn of_this_process(most: Option<NonZeroUsize>) -> Self {
        let cores = Cores {
            most: most.unwrap_or(NonZeroUsize::MAX),
            ..Cores::new(allowed())
        };
        cores.refresh();
        cores
    }

    /// Looks again at what the process may use, and says so if that has changed.
    pub fn refresh(&self) -> Option<NonZeroUsize> {
        let now = allowed().min(self.most);
        let before = self.usable.swap(now.get(), Ordering::Relaxed);
        (before != now.get()).then_some(now)
    }

    pub fn usable(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.usable.load(Ordering::Relaxed)).unwrap_or(NonZeroUsize::MIN)
    }

    /// How many batches could be given a core that no other batch has.
    pub fn free(&self) -> usize {
        let running = self.running.load(Ordering::Relaxed);
        self.usable().get().saturating_sub(running)
    }

    /// Claims cores for a batch that is about to run while `waiting` more could run beside it.
    pub fn claim(&self, waiting: usize) -> Share {
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        self.share(divide(self.usable(), before + 1 + waiting))
    }

    /// Claims a fixed number of cores, but no more than leaves as many to each of `workers`.
    pub fn claim_fixed(&self, threads: NonZeroUsize, workers: usize) -> Share {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.share(threads.min(divide(self.usable(), workers)))
    }

    fn share(&self, threads: NonZeroUsize) -> Share {
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

fn allowed() -> NonZeroUsize {
    let affinity = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let quota = fs::read_to_string("/sys/fs/cgroup/cpu.max")
        .ok()
        .and_then(|text| quota_cores(&text));
    quota.map_or(affinity, |quota| quota.min(affinity))
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

    #[test]
    fn a_fixed_share_leaves_as_much_to_every_worker() {
        let check = |threads, workers, expected| {
            let cores = Cores::new(NonZeroUsize::new(4).expect("four"));
            let threads = NonZeroUsize::new(threads).expect("some");
            let share = cores.claim_fixed(threads, workers);
            assert_eq!(share.threads().get(), expected, "{threads} for {workers}");
        };
        check(2, 1, 2);
        check(2, 2, 2);
        check(2, 4, 1);
        check(9, 1, 4);
        check(1, 9, 1);
    }
}
