//! How one version is served: the result of everybody's wishes, in the order of their weight.

use std::num::NonZeroUsize;
use std::time::Duration;

use archive::ModelConfig;

use crate::sequences::SequencePolicy;

/// The wishes of one source. What is `None` is left to the next source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    pub workers: Option<usize>,
    pub max_workers: Option<usize>,
    pub batch_size: Option<NonZeroUsize>,
    pub max_batch_delay: Option<Duration>,
    pub response_timeout: Option<Duration>,
    pub startup_timeout: Option<Duration>,
    pub retry_timeout: Option<Duration>,
    pub queue_size: Option<usize>,
}

/// How one version is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many workers there are at first.
    pub workers: usize,
    pub max_workers: Option<usize>,
    pub batch_size: NonZeroUsize,
    pub max_batch_delay: Duration,
    /// How long a request may take, from its arrival to its answer.
    pub response_timeout: Duration,
    pub startup_timeout: Duration,
    /// For how long a worker that fails to load is started again.
    pub retry_timeout: Duration,
    /// The most requests that may wait.
    pub queue_size: usize,
    /// The most bytes that they may hold.
    pub queue_bytes: usize,
    pub manner: Manner,
}

/// What only the archive's own `model-config.yaml` can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// `merge`: whether different requests may share a batch.
    pub merge: bool,
    /// `threads`: how many a batch gets, in place of what the load suggests.
    pub threads: Option<NonZeroUsize>,
    /// `clientTimeoutInMills`: how long a client waits for its answer.
    pub client_timeout: Option<Duration>,
    /// `useJobTicket`: whether a request is taken only if a worker is idle.
    pub job_tickets: bool,
    /// Set where requests come in sequences.
    pub sequences: Option<SequencePolicy>,
}

impl Default for Manner {
    fn default() -> Self {
        Manner {
            merge: true,
            threads: None,
            client_timeout: None,
            job_tickets: false,
            sequences: None,
        }
    }
}

impl Manner {
    /// `batch_size` and `workers` bound the number of sequences from below, as TorchServe has it.
    pub(crate) fn read(config: &ModelConfig, batch_size: NonZeroUsize, workers: usize) -> Self {
        let millis = |value: Option<u32>| {
            let set = value.filter(|&value| value > 0);
            set.map(|value| Duration::from_millis(value.into()))
        };
        let count = |value: Option<u32>| value.map_or(1, |value| value as usize);
        let max_idle = millis(config.sequence_max_idle);
        let in_sequences = max_idle.is_some() || config.sequence_batching == Some(true);
        Manner {
            merge: config.merge.unwrap_or(true),
            threads: config
                .threads
                .and_then(|threads| NonZeroUsize::new(threads as usize)),
            client_timeout: millis(config.client_timeout),
            job_tickets: config.use_job_ticket.unwrap_or(false),
            sequences: in_sequences.then(|| SequencePolicy {
                max_idle,
                timeout: millis(config.sequence_timeout),
                queue_size: count(config.max_sequence_job_queue_size),
                most: count(config.max_num_sequence).max(batch_size.get().saturating_mul(workers)),
            }),
        }
    }
}

impl Settings {
    /// Everybody's wishes in the order of their weight: the request's, the archive's (if it has a configuration file),
    /// the server's configuration file's, the defaults.
    ///
    /// Two things weigh otherwise, as TorchServe has it: the archive's workers and time limits come before the
    /// request's, and a configuration file that is silent about the time limits means their defaults.
    pub fn resolve(
        request: Wishes,
        archive: Option<Wishes>,
        configured: Wishes,
        defaults: Settings,
    ) -> Settings {
        let file = archive.unwrap_or_default();
        let shipped = Settings::default();
        let limit = |wish: fn(&Wishes) -> Option<Duration>,
                     shipped: Duration,
                     default: Duration| match &archive {
            Some(file) => wish(file).unwrap_or(shipped),
            None => wish(&request).or(wish(&configured)).unwrap_or(default),
        };
        Settings {
            workers: file
                .workers
                .or(request.workers)
                .or(configured.workers)
                .unwrap_or(defaults.workers),
            max_workers: file
                .max_workers
                .or(request.max_workers)
                .or(configured.max_workers),
            batch_size: request
                .batch_size
                .or(file.batch_size)
                .or(configured.batch_size)
                .unwrap_or(defaults.batch_size),
            max_batch_delay: request
                .max_batch_delay
                .or(file.max_batch_delay)
                .or(configured.max_batch_delay)
                .unwrap_or(defaults.max_batch_delay),
            response_timeout: limit(
                |wishes| wishes.response_timeout,
                shipped.response_timeout,
                defaults.response_timeout,
            ),
            startup_timeout: limit(
                |wishes| wishes.startup_timeout,
                shipped.startup_timeout,
                defaults.startup_timeout,
            ),
            retry_timeout: file.retry_timeout.unwrap_or(defaults.retry_timeout),
            queue_size: request
                .queue_size
                .or(file.queue_size)
                .or(configured.queue_size)
                .unwrap_or(defaults.queue_size),
            queue_bytes: defaults.queue_bytes,
            manner: defaults.manner,
        }
    }

    /// The same with these wishes granted, whoever wishes otherwise.
    #[must_use]
    pub fn overruled_by(self, wishes: Wishes) -> Settings {
        Settings {
            workers: wishes.workers.unwrap_or(self.workers),
            max_workers: wishes.max_workers.or(self.max_workers),
            batch_size: wishes.batch_size.unwrap_or(self.batch_size),
            max_batch_delay: wishes.max_batch_delay.unwrap_or(self.max_batch_delay),
            response_timeout: wishes.response_timeout.unwrap_or(self.response_timeout),
            startup_timeout: wishes.startup_timeout.unwrap_or(self.startup_timeout),
            retry_timeout: wishes.retry_timeout.unwrap_or(self.retry_timeout),
            queue_size: wishes.queue_size.unwrap_or(self.queue_size),
            ..self
        }
    }

    /// How long a request may take that gives itself `patience`.
    pub fn time_limit(&self, patience: Option<Duration>) -> Duration {
        [self.manner.client_timeout, patience]
            .into_iter()
            .flatten()
            .fold(self.response_timeout, Duration::min)
    }

    /// The most workers: never fewer than there are at first.
    pub fn most_workers(&self) -> usize {
        self.max_workers.unwrap_or(self.workers).max(self.workers)
    }
}

/// What TorchServe does when nobody wishes anything.
impl Default for Settings {
    fn default() -> Self {
        Settings {
            workers: 1,
            max_workers: None,
            batch_size: NonZeroUsize::MIN,
            max_batch_delay: Duration::from_millis(100),
            response_timeout: Duration::from_secs(120),
            startup_timeout: Duration::from_secs(120),
            retry_timeout: Duration::from_secs(300),
            queue_size: 100,
            queue_bytes: 1 << 30,
            manner: Manner::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wishes(workers: usize, seconds: u32) -> Wishes {
        Wishes {
            workers: Some(workers),
            queue_size: Some(workers),
            response_timeout: Some(SECOND * seconds),
            ..Wishes::default()
        }
    }

    #[test]
    fn wishes_weigh_as_torchserve_weighs_them() {
        let defaults = Settings {
            response_timeout: SECOND * 50,
            ..Settings::default()
        };
        let check = |request, archive, configured, expected: (usize, usize, u32)| {
            let found = Settings::resolve(request, archive, configured, defaults);
            let (workers, queue, seconds) = expected;
            assert_eq!((found.workers, found.queue_size), (workers, queue));
            assert_eq!(found.response_timeout, SECOND * seconds);
        };
        let none = Wishes::default();
        check(none, None, none, (1, 100, 50));
        check(none, None, wishes(4, 40), (4, 4, 40));
        check(wishes(2, 20), None, wishes(4, 40), (2, 2, 20));
        check(
            wishes(2, 20),
            Some(wishes(3, 30)),
            wishes(4, 40),
            (3, 2, 30),
        );
        check(wishes(2, 20), Some(none), wishes(4, 40), (2, 2, 120));
    }

    #[test]
    fn what_overrules_is_granted_and_the_rest_stays() {
        let own = Settings {
            workers: 3,
            max_workers: Some(4),
            retry_timeout: SECOND,
            ..Settings::default()
        };
        assert_eq!(own.overruled_by(Wishes::default()), own);
        let found = own.overruled_by(wishes(0, 7));
        let expected = Settings {
            workers: 0,
            queue_size: 0,
            response_timeout: SECOND * 7,
            ..own
        };
        assert_eq!(found, expected);
    }
}
