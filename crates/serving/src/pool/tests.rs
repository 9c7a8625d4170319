//! The pool with scripted servables, in real time: what a caller sees when workers are slow, fail, panic or leave.

mod deaths;
mod parts;
mod statistics;
mod together;

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use proptest::prelude::*;
use servable::Input;

use super::*;
use crate::metrics::Metrics;
use crate::testing::ScriptedLoader;
use crate::{Code, Cores, SequenceRefusal, SequenceStep};

struct Setting {
    workers: usize,
    batch_size: usize,
    queue_size: usize,
    loader: ScriptedLoader,
    change: fn(&mut PoolConfig),
}

impl Default for Setting {
    fn default() -> Self {
        Setting {
            workers: 1,
            batch_size: 1,
            queue_size: 100,
            loader: ScriptedLoader::default(),
            change: |_| {},
        }
    }
}

impl Setting {
    fn start(self) -> (Pool, Arc<ScriptedLoader>) {
        let loader = Arc::new(self.loader);
        let mut config = PoolConfig {
            model: "m".into(),
            version: "1.0".into(),
            devices: vec![Device::Cpu; self.workers],
            device_of: Box::new(|_| Device::Cpu),
            worker_ids: Arc::new(AtomicU64::new(9000)),
            patience: Duration::from_secs(300),
            metrics: metrics(),
            batch: BatchPolicy {
                size: NonZeroUsize::new(self.batch_size).expect("a batch holds a job"),
                max_delay: Duration::from_millis(20),
            },
            startup_timeout: Duration::from_secs(60),
            response_timeout: Duration::from_secs(60),
            merge: true,
            sequences: None,
            job_tickets: false,
            queue_size: self.queue_size,
            queue_bytes: 1 << 20,
            cores: Cores::new(NonZeroUsize::MIN),
            threads: None,
        };
        (self.change)(&mut config);
        (
            Pool::start(config, Arc::clone(&loader) as Arc<dyn Loader>),
            loader,
        )
    }
}

fn metrics() -> ModelMetrics {
    Metrics::off().for_model("m", "1.0")
}

async fn ask(pool: &Pool, text: &str) -> Result<String, Error> {
    ask_within(pool, text, Duration::from_secs(10)).await
}

async fn ask_within(pool: &Pool, text: &str, time: Duration) -> Result<String, Error> {
    let input = Input::body("", text);
    ask_with(pool, input, None, time).await
}

async fn ask_with(
    pool: &Pool,
    input: Input,
    step: Option<SequenceStep>,
    time: Duration,
) -> Result<String, Error> {
    let request = Request {
        input,
        deadline: Instant::now() + time,
        step,
        metrics: &metrics(),
    };
    let output = pool.submit(request).await?;
    Ok(String::from_utf8_lossy(&output.value.into_body()).into_owned())
}

#[tokio::test]
async fn a_request_is_answered_while_its_worker_still_loads() {
    let loader = ScriptedLoader::slow(Duration::from_millis(50));
    let (pool, _) = Setting {
        loader,
        ..Setting::default()
    }
    .start();
    assert_eq!(pool.status().state, State::Loading);
    assert_eq!(ask(&pool, "echo 1").await.as_deref(), Ok("echo 1"));
    assert_eq!(pool.status().state, State::Ready);
}

#[tokio::test]
async fn a_bad_input_and_a_failure_cost_their_own_request_only() {
    let (pool, _) = Setting {
        batch_size: 4,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    // The first occupies the worker, so that the others travel together.
    let answers = tokio::join!(
        ask(&pool, "wait 50"),
        ask(&pool, "bad"),
        ask(&pool, "echo good"),
        ask(&pool, "fail"),
        ask(&pool, "echo fine"),
    );
    assert_eq!(answers.0.as_deref(), Ok("wait 50"));
    assert_eq!(answers.1.map_err(|error| error.code()), Err(Code::BadInput));
    assert_eq!(answers.2.as_deref(), Ok("echo good"));
    assert_eq!(
        answers.3.map_err(|error| error.code()),
        Err(Code::PredictionFailed)
    );
    assert_eq!(answers.4.as_deref(), Ok("echo fine"));
}

#[tokio::test]
async fn a_panic_costs_its_request_and_a_fresh_servable_serves_the_rest() {
    let (pool, loader) = Setting {
        batch_size: 4,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let answers = tokio::join!(
        ask(&pool, "wait 50"),
        ask(&pool, "panic"),
        ask(&pool, "echo beside")
    );
    assert_eq!(
        answers.1.as_ref().map_err(Error::code),
        Err(Code::WorkerDied)
    );
    assert_eq!(
        answers.1.expect_err("a panic").to_string(),
        "Worker died. (as scripted)"
    );
    assert_eq!(answers.2.as_deref(), Ok("echo beside"));
    assert_eq!(ask(&pool, "echo after").await.as_deref(), Ok("echo after"));
    assert!(
        loader.loads() > 1,
        "the servable that panicked is not used again"
    );
    assert_eq!(loader.alive(), 1);
}

#[tokio::test]
async fn requests_that_wait_travel_together() {
    let (pool, _) = Setting {
        batch_size: 4,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let answers = tokio::join!(
        ask(&pool, "wait 50"),
        ask(&pool, "batch"),
        ask(&pool, "batch"),
        ask(&pool, "batch")
    );
    assert_eq!(
        [answers.1, answers.2, answers.3].map(Result::unwrap),
        ["3", "3", "3"]
    );
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let (pool, _) = Setting {
        queue_size: 2,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let running = ask(&pool, "wait 300");
    let rest = async {
        // Once the worker has taken the first, two may wait.
        while pool.queued() > 0 {
            tokio::task::yield_now().await;
        }
        let start = Instant::now();
        let answers = tokio::join!(ask(&pool, "echo 1"), ask(&pool, "echo 2"), async {
            let refused = ask(&pool, "echo 3").await;
            (refused, start.elapsed())
        });
        let (refused, after) = answers.2;
        assert_eq!(refused.map_err(|error| error.code()), Err(Code::Overloaded));
        assert!(
            after < Duration::from_millis(200),
            "refused after {after:?}"
        );
        assert_eq!(
            [answers.0, answers.1].map(Result::unwrap),
            ["echo 1", "echo 2"]
        );
    };
    let (first, ()) = tokio::join!(running, rest);
    assert_eq!(first.as_deref(), Ok("wait 300"));
}

#[tokio::test]
async fn a_deadline_ends_the_wait_and_frees_the_place() {
    let (pool, _) = Setting::default().start();
    pool.settled().await;
    let (slow, late) = tokio::join!(
        ask(&pool, "wait 200"),
        ask_within(&pool, "echo late", Duration::from_millis(50))
    );
    assert_eq!(slow.as_deref(), Ok("wait 200"));
    assert_eq!(late.map_err(|error| error.code()), Err(Code::Timeout));
    assert_eq!(ask(&pool, "echo next").await.as_deref(), Ok("echo next"));
    assert_eq!(pool.queued(), 0);
}

#[tokio::test]
async fn a_dropped_request_is_a_cancelled_job() {
    let (pool, _) = Setting {
        batch_size: 4,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let running = ask(&pool, "wait 100");
    let rest = async {
        let gone = tokio::time::timeout(Duration::from_millis(20), ask(&pool, "panic")).await;
        assert!(gone.is_err(), "it still waited when it was dropped");
        ask(&pool, "batch").await
    };
    let (_, batch) = tokio::join!(running, rest);
    // Alone in its batch, and no panic: the dropped job was skipped.
    assert_eq!(batch.as_deref(), Ok("1"));
}

#[tokio::test]
async fn a_model_that_cannot_load_says_why() {
    let loader = ScriptedLoader::refusing("weights.pt is an empty file");
    let (pool, _) = Setting {
        workers: 2,
        loader,
        ..Setting::default()
    }
    .start();
    assert!(pool.settled().await.failure.is_some());
    until(|| pool.status().state == State::Failed).await;
    let error = ask(&pool, "echo").await.expect_err("no worker");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(
        error
            .to_string()
            .contains("it failed to load: weights.pt is an empty file"),
        "{error}"
    );
}

#[tokio::test]
async fn a_pool_without_workers_says_so() {
    let (pool, _) = Setting {
        workers: 0,
        ..Setting::default()
    }
    .start();
    let error = ask(&pool, "echo").await.expect_err("no worker");
    assert!(
        error.to_string().contains("it has been given no workers"),
        "{error}"
    );
}

#[tokio::test]
async fn draining_finishes_what_is_inside_and_frees_everything() {
    let (pool, loader) = Setting {
        workers: 2,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let drained = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        pool.drain().await;
        ask(&pool, "echo late").await
    };
    let answers = tokio::join!(
        ask(&pool, "wait 100"),
        ask(&pool, "wait 100"),
        ask(&pool, "wait 10"),
        drained
    );
    assert!(answers.0.is_ok() && answers.1.is_ok() && answers.2.is_ok());
    assert_eq!(
        answers.3.map_err(|error| error.code()),
        Err(Code::Unavailable)
    );
    assert_eq!(pool.status().state, State::Unloaded);
    nobody_lives(&loader).await;
}

#[tokio::test]
async fn dropping_the_last_handle_frees_everything() {
    let (pool, loader) = Setting {
        workers: 2,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    drop(pool);
    nobody_lives(&loader).await;
}

#[tokio::test]
async fn a_pool_grows_to_its_minimum_and_shrinks_to_its_maximum() {
    let (pool, loader) = Setting::default().start();
    let check = async |min, max, expected: &[WorkerId]| {
        pool.scale(min, max).await;
        let status = pool.settled().await;
        let ids: Vec<_> = status.workers.iter().map(|worker| worker.id).collect();
        assert_eq!(ids, expected, "between {min} and {max}");
        until(|| loader.alive() == expected.len()).await;
    };
    check(3, 3, &[9000, 9001, 9002]).await;
    check(1, 8, &[9000, 9001, 9002]).await;
    check(1, 1, &[9000]).await;
    check(0, 0, &[]).await;
    assert_eq!(pool.status().state, State::Registered);
    assert!(ask(&pool, "echo").await.is_err());
    check(1, 1, &[9003]).await;
    assert_eq!(ask(&pool, "echo again").await.as_deref(), Ok("echo again"));
}

#[tokio::test]
async fn a_worker_that_is_sent_away_finishes_its_batch() {
    let (pool, loader) = Setting::default().start();
    pool.settled().await;
    let shrink = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        pool.scale(0, 0).await;
        pool.status().wanted
    };
    let (answer, wanted) = tokio::join!(ask(&pool, "wait 100"), shrink);
    assert_eq!(answer.as_deref(), Ok("wait 100"));
    assert_eq!(wanted, 0);
    nobody_lives(&loader).await;
}

#[tokio::test]
async fn who_waits_when_the_last_worker_leaves_is_told_at_once() {
    let (pool, _) = Setting::default().start();
    pool.settled().await;
    let shrink = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        pool.scale(0, 0).await;
    };
    let (running, waiting, ()) = tokio::join!(ask(&pool, "wait 100"), ask(&pool, "echo"), shrink);
    assert_eq!(running.as_deref(), Ok("wait 100"));
    let error = waiting.expect_err("nobody is left to serve it");
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}

#[tokio::test]
async fn a_worker_that_could_not_load_is_started_again() {
    let loader = ScriptedLoader::failing_first(1);
    let (pool, _) = Setting {
        loader,
        ..Setting::default()
    }
    .start();
    until(|| pool.status().state == State::Failed).await;
    assert!(pool.status().is_healthy(), "it is given time");
    // After the first rest, of one second.
    until(|| pool.status().state == State::Ready).await;
    assert_eq!(ask(&pool, "echo now").await.as_deref(), Ok("echo now"));
    assert_eq!(pool.status().failure, None);
}

#[tokio::test]
async fn requests_of_different_buckets_or_that_must_not_merge_travel_apart() {
    let check =
        async |change: fn(&mut PoolConfig), requests: &[(&str, &str)], expected: &[&str]| {
            let (pool, _) = Setting {
                batch_size: 4,
                change,
                ..Setting::default()
            }
            .start();
            pool.settled().await;
            let busy = ask(&pool, "wait 50");
            let rest = requests.iter().map(|(id, shape)| {
                let mut input = Input::body(*shape, "batch");
                input.id = (*id).into();
                ask_with(&pool, input, None, Duration::from_secs(10))
            });
            let rest = async {
                until(|| pool.queued() == 0 && pool.status().ready() == 1).await;
                futures_util::future::join_all(rest).await
            };
            let (_, answers) = tokio::join!(busy, rest);
            let sizes: Vec<_> = answers.iter().map(|answer| answer.as_deref()).collect();
            let expected: Vec<_> = expected.iter().map(|size| Ok(*size)).collect();
            assert_eq!(sizes, expected, "{requests:?}");
        };
    let alike = [("1", ""), ("1", ""), ("2", "")];
    check(|_| {}, &alike, &["3", "3", "3"]).await;
    check(|config| config.merge = false, &alike, &["2", "2", "1"]).await;
    let shapes = [("1", "shape/a"), ("2", "shape/b"), ("3", "shape/a")];
    check(|_| {}, &shapes, &["2", "1", "2"]).await;
}

#[tokio::test]
async fn a_heavy_queue_refuses_at_once_and_says_when_to_come_again() {
    let (pool, _) = Setting {
        change: |config| config.queue_bytes = 1000,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let heavy = format!("echo {}", "x".repeat(600));
    let larger = format!("echo {}", "x".repeat(2000));
    let rest = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (fits, refused) = tokio::join!(ask(&pool, &heavy), ask(&pool, &heavy));
        assert!(fits.is_ok());
        let error = refused.expect_err("too heavy together");
        assert_eq!(error.code(), Code::Overloaded);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        // Alone, even more than the bound comes in.
        assert_eq!(ask(&pool, &larger).await.as_deref(), Ok(larger.as_str()));
    };
    let (first, ()) = tokio::join!(ask(&pool, "wait 200"), rest);
    assert_eq!(first.as_deref(), Ok("wait 200"));
}

#[tokio::test]
async fn with_job_tickets_a_request_is_taken_only_by_an_idle_worker() {
    let (pool, _) = Setting {
        workers: 2,
        change: |config| config.job_tickets = true,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let third = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        ask(&pool, "echo 3").await
    };
    let (first, second, third) =
        tokio::join!(ask(&pool, "wait 200"), ask(&pool, "wait 200"), third);
    assert!(first.is_ok() && second.is_ok());
    let error = third.expect_err("nobody is idle");
    assert_eq!(error.code(), Code::Overloaded);
    assert_eq!(ask(&pool, "echo 4").await.as_deref(), Ok("echo 4"));
}

#[tokio::test]
async fn a_worker_that_hangs_is_replaced_and_the_next_requests_are_served() {
    let (pool, loader) = Setting {
        change: |config| config.response_timeout = Duration::from_millis(100),
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let hung = ask_within(&pool, "wait 2000", Duration::from_millis(100)).await;
    assert_eq!(hung.map_err(|error| error.code()), Err(Code::Timeout));
    // Nobody is refused meanwhile.
    assert_eq!(ask(&pool, "echo next").await.as_deref(), Ok("echo next"));
    assert_eq!(loader.alive(), 2, "the first still hangs");
    let ids: Vec<_> = pool
        .status()
        .workers
        .iter()
        .map(|worker| worker.id)
        .collect();
    assert_eq!(ids, [9000]);
    until(|| loader.alive() == 1).await;
    assert_eq!(ask(&pool, "echo last").await.as_deref(), Ok("echo last"));
}

#[tokio::test]
async fn a_model_of_which_too_many_workers_hang_is_given_up() {
    let (pool, _) = Setting {
        change: |config| config.response_timeout = Duration::from_millis(20),
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    for _ in 0..=MOST_ABANDONED {
        let hung = ask_within(&pool, "wait 3000", Duration::from_millis(50)).await;
        assert_eq!(hung.map_err(|error| error.code()), Err(Code::Timeout));
    }
    until(|| !pool.status().is_healthy()).await;
    let error = ask(&pool, "echo").await.expect_err("no worker");
    assert!(
        error
            .to_string()
            .contains("5 of its workers hang in the model"),
        "{error}"
    );
}

#[tokio::test]
async fn a_model_that_does_not_load_in_time_is_given_up() {
    let (pool, _) = Setting {
        loader: ScriptedLoader::slow(Duration::from_millis(600)),
        change: |config| config.startup_timeout = Duration::from_millis(50),
        ..Setting::default()
    }
    .start();
    let status = pool.settled().await;
    let why = status.failure.expect("a reason").to_string();
    assert_eq!(why, "it did not load within 0.05 s");
    assert!(!pool.status().is_healthy());
}

#[tokio::test]
async fn a_sequence_stays_on_its_worker_and_ends_when_it_says_so() {
    let (pool, _) = Setting {
        workers: 2,
        batch_size: 4,
        change: |config| {
            config.sequences = Some(SequencePolicy {
                max_idle: Some(Duration::from_secs(60)),
                timeout: None,
                queue_size: 10,
                most: 2,
            });
        },
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let step = |id: &str, start, end| {
        Some(SequenceStep {
            id: id.into(),
            start,
            end,
        })
    };
    let ask = async |text: &str, step| {
        ask_with(&pool, Input::body("", text), step, Duration::from_secs(10)).await
    };
    let first = ask("worker", step("a", true, false))
        .await
        .expect("a worker");
    let other = ask("worker", step("b", true, false))
        .await
        .expect("a worker");
    assert_ne!(first, other, "the second goes where nobody is");
    for _ in 0..3 {
        assert_eq!(
            ask("worker", step("a", false, false)).await.as_ref(),
            Ok(&first)
        );
        assert_eq!(
            ask("worker", step("b", false, false)).await.as_ref(),
            Ok(&other)
        );
    }
    let refused = ask("echo", step("c", true, false))
        .await
        .expect_err("two are open");
    assert_eq!(refused.code(), Code::Overloaded);
    assert_eq!(
        ask("worker", step("a", false, true)).await.as_ref(),
        Ok(&first)
    );
    let ended = ask("echo", step("a", false, false))
        .await
        .expect_err("it ended");
    let why = NoWorker::Sequence(SequenceRefusal::NotOpen("a".into()));
    assert_eq!(ended, pool.no_worker(why));
    assert!(ask("echo", step("c", true, false)).await.is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is asked of how many workers: everybody gets an answer, and it is their own; nobody's neighbour fails
    /// with them.
    #[test]
    fn every_request_gets_its_own_answer(
        workers in 1usize..4,
        batch_size in 1usize..5,
        cues in prop::collection::vec(0usize..12, 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let answers = runtime.block_on(async {
            let (pool, _) = Setting { workers, batch_size, ..Setting::default() }.start();
            let asked = cues.iter().enumerate().map(async |(index, cue)| {
                let text = match cue {
                    0 => "panic".to_owned(),
                    1 => "fail".to_owned(),
                    2 => "bad".to_owned(),
                    3 | 4 => format!("wait 2 {index}"),
                    _ => format!("echo {index}"),
                };
                let answer = ask(&pool, &text).await;
                (text, answer.map_err(|error| error.code()))
            });
            futures_util::future::join_all(asked).await
        });
        for (text, answer) in answers {
            let expected = match text.as_str() {
                "panic" => Err(Code::WorkerDied),
                "fail" => Err(Code::PredictionFailed),
                "bad" => Err(Code::BadInput),
                _ => Ok(text.clone()),
            };
            prop_assert_eq!(answer, expected);
        }
    }
}

/// Servables go with their threads, a moment after the pool.
async fn nobody_lives(loader: &ScriptedLoader) {
    until(|| loader.alive() == 0).await;
}

async fn until(holds: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < patience, "it does not come to hold");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
