use super::*;
use proptest::prelude::*;

/// Plays a timeline against a batcher with one worker that is always idle, and tells which batches were cut when.
///
/// A timeline is steps such as `0ms a b`: at that time these jobs arrive. `in_flight` batches are running all the while.
fn check(size: usize, delay_ms: u64, in_flight: usize, timeline: &str, expected: &str) {
    let start = Instant::now();
    let mut batcher = Batcher::new(policy(size, delay_ms));
    let mut cut = Vec::new();
    for step in timeline.split('|') {
        let mut words = step.split_whitespace();
        let at: u64 = words
            .next()
            .and_then(|word| word.strip_suffix("ms"))
            .and_then(|number| number.parse().ok())
            .expect("a step starts with its time");
        let now = start + Duration::from_millis(at);
        for job in words {
            batcher.push(job, now);
        }
        while let Some(batch) = batcher.take_due(now, in_flight) {
            cut.push(format!("{at}ms: {}", batch.join(" ")));
        }
    }
    assert_eq!(
        cut.join(" | "),
        expected,
        "size {size}, delay {delay_ms} ms, timeline {timeline}"
    );
}

fn policy(size: usize, delay_ms: u64) -> BatchPolicy {
    BatchPolicy {
        size: NonZeroUsize::new(size).expect("a batch holds a job"),
        max_delay: Duration::from_millis(delay_ms),
    }
}

#[test]
fn a_lone_job_is_never_delayed() {
    check(4, 100, 0, "0ms a", "0ms: a");
}

#[test]
fn with_work_running_a_batch_waits_for_company_until_the_delay() {
    check(4, 100, 1, "0ms a b | 40ms c | 99ms | 100ms", "100ms: a b c");
}

#[test]
fn a_full_batch_does_not_wait() {
    check(2, 100, 1, "0ms a b c | 10ms d", "0ms: a b | 10ms: c d");
}

#[test]
fn the_delay_counts_from_the_oldest_job() {
    check(
        4,
        100,
        1,
        "0ms a | 90ms b | 100ms | 190ms c | 290ms",
        "100ms: a b | 290ms: c",
    );
}

#[test]
fn dead_jobs_do_not_travel() {
    let now = Instant::now();
    let mut batcher = Batcher::new(policy(4, 0));
    for job in 0..6 {
        batcher.push(job, now);
    }
    batcher.drop_dead(|job| job % 2 == 0);
    assert_eq!(batcher.take_due(now, 0), Some(vec![1, 3, 5]));
}

proptest! {
    /// Whatever arrives when: no job is lost, doubled or reordered, no batch exceeds its size, and none waits beyond the
    /// delay while a worker idles.
    #[test]
    fn every_job_travels_once_in_order_and_in_time(
        size in 1usize..6,
        delay in 0u64..50,
        in_flight in 0usize..2,
        gaps in prop::collection::vec(0u64..40, 1..60),
    ) {
        let start = Instant::now();
        let mut batcher = Batcher::new(policy(size, delay));
        let mut arrivals = Vec::new();
        let mut served = Vec::new();
        let mut at = 0;
        let mut pending = gaps.iter().enumerate().peekable();
        let mut next_arrival = gaps[0];
        for now_ms in 0..=gaps.iter().sum::<u64>() + delay {
            at += u64::from(now_ms > at);
            let now = start + Duration::from_millis(now_ms);
            while let Some(&(job, _)) = pending.peek() {
                if next_arrival > now_ms { break; }
                batcher.push(job, now);
                arrivals.push(now_ms);
                pending.next();
                if let Some(&(_, gap)) = pending.peek() { next_arrival += gap; }
            }
            while let Some(batch) = batcher.take_due(now, in_flight) {
                prop_assert!(batch.len() <= size);
                for job in batch {
                    prop_assert!(now_ms - arrivals[job] <= delay);
                    served.push(job);
                }
            }
        }
        prop_assert_eq!(served, (0..gaps.len()).collect::<Vec<_>>());
    }
}
