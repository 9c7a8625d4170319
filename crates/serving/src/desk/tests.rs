use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, sync_channel};

use servable::{Device, Input};
use tokio::sync::oneshot;
use tracing::Span;

use super::*;
use crate::job::{Bucket, TimedReply};
use crate::metrics::Metrics;
use crate::roster::Phase;

const WORKER: WorkerId = 9000;

fn desk() -> Desk {
    let desk = Desk::new(DeskConfig {
        model: "m".into(),
        batch: BatchPolicy {
            size: NonZeroUsize::MIN,
            max_delay: Duration::ZERO,
        },
        merges: true,
        sequences: None,
        queue_size: 10,
        queue_bytes: 1 << 20,
        held: Held::default(),
        job_tickets: false,
        cores: Cores::new(NonZeroUsize::MIN),
        response_timeout: Duration::from_secs(60),
        threads: None,
        metrics: Metrics::off().for_model("m", "1.0"),
    });
    desk.lock().closed = None;
    desk.lock().roster.insert(WORKER, Device::Cpu);
    desk
}

/// Starts the worker, for the first time or again. What is sent to it stays in the channel.
fn start(desk: &Desk) -> (Turn, Receiver<Batch>) {
    let mut desk = desk.lock();
    let (turn, ..) = desk.roster.next_turn(WORKER);
    let (sender, batches) = sync_channel(1);
    let member = desk.roster.get_mut(WORKER).expect("a worker");
    member.phase = Phase::Loading(sender, Instant::now());
    desk.roster.became_idle(WORKER);
    (turn, batches)
}

/// Queues a job, for whose answer the caller waits.
fn submit(desk: &Desk) -> oneshot::Receiver<TimedReply> {
    let (reply, answer) = oneshot::channel();
    let now = Instant::now();
    let job = Job {
        input: Input::default(),
        arrival: now,
        metrics: Metrics::off().for_model("m", "1.0"),
        deadline: now + Duration::from_secs(3600),
        reply,
        span: Span::none(),
        _queued: None,
        _weight: Held::default().add(0),
    };
    let place = Place::Bucket(Bucket::Shape(0));
    let taken = desk.submit(now, std::iter::once((place, job)));
    assert_eq!(taken, Ok(()));
    answer
}

#[test]
fn a_thread_that_was_let_go_of_tells_nothing_of_how_long_a_batch_takes() {
    let desk = desk();
    let (hung, _batches) = start(&desk);
    let _waits = submit(&desk);
    desk.lock().roster.abandon(WORKER);
    let (turn, batches) = start(&desk);
    let _waits_too = submit(&desk);
    assert_eq!(batches.iter().next().map(|batch| batch.jobs.len()), Some(1));
    desk.answered(WORKER, hung, 1, &[]);
    assert_eq!(desk.lock().usual, Duration::ZERO);
    assert_eq!(desk.lock().roster.in_flight(), 1);
    desk.answered(WORKER, turn, 1, &[]);
    assert!(desk.lock().usual > Duration::ZERO);
    assert_eq!(desk.lock().roster.in_flight(), 0);
}
