//! Workers under a pool: who is answered when they die or hang, and that another takes their place.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use servable::Device;
use serving::metrics::{Metrics, ModelMetrics};
use serving::{BatchPolicy, Cores, Pool, PoolConfig, Request, State};

use crate::harness::{DEADLINE, Model, body, exists, python_or_return, runs, text};

const HANDLER: &str = "
import os, time
def handle(data, context):
    if data is None:
        return None
    texts = [row['body'] for row in data]
    if 'slow' in texts:
        time.sleep(0.5)
    if 'die' in texts:
        os.abort()
    if 'hang' in texts:
        time.sleep(3600)
    return [str(os.getpid()) if text == 'pid' else text for text in texts]
";

fn metrics() -> ModelMetrics {
    Metrics::off().for_model("m", "1.0")
}

fn start(model: &Model, workers: usize, response_timeout: Duration) -> Pool {
    let config = PoolConfig {
        model: "m".into(),
        version: "1.0".into(),
        devices: vec![Device::Cpu; workers],
        device_of: Box::new(|_| Device::Cpu),
        worker_ids: Arc::new(AtomicU64::new(9000)),
        patience: Duration::from_secs(300),
        startup_timeout: DEADLINE,
        response_timeout,
        batch: BatchPolicy {
            size: NonZeroUsize::new(4).expect("a batch holds a job"),
            max_delay: Duration::from_millis(20),
        },
        merge: true,
        sequences: None,
        job_tickets: false,
        queue_size: 100,
        queue_bytes: 1 << 20,
        cores: Cores::new(NonZeroUsize::MIN),
        threads: None,
        metrics: metrics(),
    };
    Pool::start(config, Arc::new(model.loader().expect("a loader")))
}

/// What one client gets.
async fn ask(pool: &Pool, asked: &str) -> String {
    let metrics = metrics();
    let request = Request {
        input: text(asked),
        deadline: Instant::now() + DEADLINE,
        step: None,
        metrics: &metrics,
    };
    match pool.submit(request).await {
        Ok(output) => body(&output),
        Err(error) => format!("{:?}: {error}", error.code()),
    }
}

async fn until(holds: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "it does not come to hold");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_request_that_kills_costs_nobody_else_an_answer() {
    let model = Model::new(python_or_return!(), HANDLER);
    let pool = start(&model, 1, DEADLINE);
    assert_eq!(pool.settled().await.state, State::Ready);
    let first = ask(&pool, "pid").await;
    // While the first is slow, the others become one batch.
    let answers = tokio::join!(ask(&pool, "slow"), async {
        until(|| pool.queued() == 0).await;
        tokio::join!(ask(&pool, "a"), ask(&pool, "die"), ask(&pool, "b"))
    });
    let (slow, (a, died, b)) = answers;
    assert_eq!([slow.as_str(), &a, &b], ["slow", "a", "b"]);
    assert!(
        died.starts_with("WorkerDied: Worker died. (signal 6, SIGABRT"),
        "{died}"
    );
    let refused = ask(&pool, "die").await;
    assert!(
        refused.starts_with("WorkerDied: Worker died. (workers have died of this request"),
        "{refused}"
    );
    let last = ask(&pool, "pid").await;
    assert!(last != first && last.parse::<u32>().is_ok(), "{last}");
    pool.drain().await;
    let last: u32 = last.parse().expect("a number");
    until(|| !exists(last)).await;
}

#[tokio::test]
async fn a_request_that_hangs_ends_with_its_worker() {
    let model = Model::new(python_or_return!(), HANDLER);
    let pool = start(&model, 1, Duration::from_secs(1));
    assert_eq!(pool.settled().await.state, State::Ready);
    let hung: u32 = ask(&pool, "pid").await.parse().expect("a number");
    let died = ask(&pool, "hang").await;
    assert!(
        died.starts_with("WorkerDied: Worker died. (it was ended (signal 9, SIGKILL)"),
        "{died}"
    );
    assert!(!exists(hung));
    assert_eq!(ask(&pool, "next").await, "next");
}

#[tokio::test]
async fn a_worker_that_is_killed_with_nothing_to_do_is_replaced() {
    let model = Model::new(python_or_return!(), HANDLER);
    let pool = start(&model, 1, DEADLINE);
    assert_eq!(pool.settled().await.state, State::Ready);
    let first = ask(&pool, "pid").await;
    let killed = std::process::Command::new("kill")
        .args(["-9", &first])
        .status();
    assert!(killed.expect("kill").success());
    let number: u32 = first.parse().expect("a number");
    until(|| !runs(number)).await;
    // Whether anybody has looked by now or not.
    let next = ask(&pool, "pid").await;
    assert!(next != first && next.parse::<u32>().is_ok(), "{next}");
}

#[tokio::test]
async fn workers_of_a_pool_that_is_dropped_while_they_load_are_ended() {
    let handler = "
import os, time
open('loading.%d' % os.getpid(), 'w').close()
time.sleep(3600)
";
    let model = Model::new(python_or_return!(), handler);
    let pool = start(&model, 2, DEADLINE);
    let loading = || -> Vec<u32> {
        let entries = std::fs::read_dir(&model.files.dir).expect("a folder");
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names
            .filter_map(|name| name.strip_prefix("loading.")?.parse().ok())
            .collect()
    };
    until(|| loading().len() == 2).await;
    drop(pool);
    let workers = loading();
    until(|| workers.iter().all(|&worker| !exists(worker))).await;
}
