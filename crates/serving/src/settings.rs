//! How one version is served: the result of everybody's wishes, in the order of their weight.

use std::num::NonZeroUsize;
use std::time::Duration;

/// The wishes of one source. What is `None` is left to the next source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    pub workers: Option<usize>,
    pub batch_size: Option<NonZeroUsize>,
    pub max_batch_delay: Option<Duration>,
    pub response_timeout: Option<Duration>,
    pub startup_timeout: Option<Duration>,
    pub queue_size: Option<usize>,
}

/// How one version is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub workers: usize,
    pub batch_size: NonZeroUsize,
    pub max_batch_delay: Duration,
    /// How long a request may take, from its arrival to its answer.
    pub response_timeout: Duration,
    pub startup_timeout: Duration,
    /// The most requests that may wait.
    pub queue_size: usize,
}

impl Settings {
    /// For each setting the first source that wishes something, else the default.
    pub fn resolve(sources: &[Wishes], defaults: Settings) -> Settings {
        fn first<T>(sources: &[Wishes], default: T, wish: impl Fn(&Wishes) -> Option<T>) -> T {
            sources.iter().find_map(wish).unwrap_or(default)
        }
        Settings {
            workers: first(sources, defaults.workers, |wishes| wishes.workers),
            batch_size: first(sources, defaults.batch_size, |wishes| wishes.batch_size),
            max_batch_delay: first(sources, defaults.max_batch_delay, |wishes| {
                wishes.max_batch_delay
            }),
            response_timeout: first(sources, defaults.response_timeout, |wishes| {
                wishes.response_timeout
            }),
            startup_timeout: first(sources, defaults.startup_timeout, |wishes| {
                wishes.startup_timeout
            }),
            queue_size: first(sources, defaults.queue_size, |wishes| wishes.queue_size),
        }
    }
}

/// What TorchServe does when nobody wishes anything.
impl Default for Settings {
    fn default() -> Self {
        Settings {
            workers: 1,
            batch_size: NonZeroUsize::MIN,
            max_batch_delay: Duration::from_millis(100),
            response_timeout: Duration::from_secs(120),
            startup_timeout: Duration::from_secs(120),
            queue_size: 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wish_wins_and_the_default_is_last() {
        let request = Wishes {
            workers: Some(3),
            ..Wishes::default()
        };
        let archive = Wishes {
            workers: Some(2),
            queue_size: Some(7),
            ..Wishes::default()
        };
        let settings = Settings::resolve(&[request, archive], Settings::default());
        assert_eq!(
            settings,
            Settings {
                workers: 3,
                queue_size: 7,
                ..Settings::default()
            }
        );
    }
}
