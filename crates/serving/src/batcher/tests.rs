use super::*;
use proptest::prelude::*;

/// Later than anything here.
const LATER: Duration = Duration::from_secs(3600);

/// Plays a timeline against a batcher with one worker that is always idle, and tells which batches were cut when.
///
/// A timeline is steps such as `0ms a b`: at that time these jobs arrive. A job may be written `b/x` for one of the bucket
/// `x`, and `b@30` for one with a deadline 30 ms after the start. `in_flight` batches are running all the while.
fn check(size: usize, delay_ms: u64, in_flight: usize, timeline: &str, expected: &str) {
    check_under(busy(in_flight), size, delay_ms, timeline, expected);
}

/// So many batches are being computed, and company costs nothing.
fn busy(in_flight: usize) -> Load {
    Load {
        in_flight,
        takers: 1,
        patience: None,
    }
}

fn check_under(load: Load, size: usize, delay_ms: u64, timeline: &str, expected: &str) {
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
            let (name, deadline) = match job.split_once('@') {
                Some((name, ms)) => (name, start + Duration::from_millis(ms.parse().expect("ms"))),
                None => (job, now + LATER),
            };
            let bucket = name.split_once('/').map_or("", |(_, bucket)| bucket);
            batcher.push(bucket, deadline, job, now);
        }
        while let Some(batch) = batcher.take_due(now, load) {
            cut.push(format!("{at}ms: {}", batch.join(" ")));
        }
    }
    assert_eq!(
        cut.join(" | "),
        expected,
        "{load:?}, size {size}, delay {delay_ms} ms, timeline {timeline}"
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
fn buckets_do_not_mix_and_each_has_its_own_delay() {
    check(
        2,
        100,
        1,
        "0ms a/x b/y | 50ms c/x | 100ms",
        "50ms: a/x c/x | 100ms: b/y",
    );
    check(4, 0, 1, "0ms a/x b/y c/x", "0ms: a/x c/x | 0ms: b/y");
}

#[test]
fn the_nearest_deadline_goes_first() {
    check(2, 0, 1, "0ms a b@500 c@90", "0ms: c@90 b@500 | 0ms: a");
    check(2, 0, 1, "0ms a/x b/y@90", "0ms: b/y@90 | 0ms: a/x");
    check(
        2,
        100,
        1,
        "0ms a | 60ms b@70 c@80 | 100ms",
        "60ms: b@70 c@80 | 100ms: a",
    );
}

#[test]
fn with_something_to_compute_with_company_is_worth_little_patience() {
    let patient = |millis| Load {
        patience: Some(Duration::from_millis(millis)),
        ..busy(1)
    };
    check_under(patient(0), 4, 100, "0ms a | 1ms b", "0ms: a | 1ms: b");
    // A lull ends the wait.
    check_under(patient(10), 4, 100, "0ms a b | 1ms", "1ms: a b");
    let timeline = "0ms a | 1ms | 2ms b | 3ms";
    check_under(patient(10), 4, 100, timeline, "1ms: a | 3ms: b");
    // So does the end of patience, and that of the policy's delay.
    check_under(patient(0), 4, 0, "0ms a b", "0ms: a b");
    check_under(patient(10), 4, 0, "0ms a b", "0ms: a b");
}

#[test]
fn what_waits_is_divided_among_those_who_could_take_it() {
    let takers = |takers| Load { takers, ..busy(1) };
    check_under(takers(2), 8, 0, "0ms a b c d", "0ms: a b | 0ms: c | 0ms: d");
    check_under(
        takers(2),
        2,
        9,
        "0ms a b c d e f | 9ms",
        "0ms: a b | 0ms: c d | 0ms: e | 9ms: f",
    );
}

#[test]
fn dead_jobs_do_not_travel() {
    let now = Instant::now();
    let mut batcher = Batcher::new(policy(4, 0));
    for job in 0..6 {
        batcher.push(job / 4, now + LATER, job, now);
    }
    batcher.drop_dead(|job| job % 2 == 0 || *job > 3);
    assert_eq!(batcher.len(), 2);
    assert_eq!(batcher.take_due(now, busy(0)), Some(vec![1, 3]));
    assert_eq!(batcher.take_due(now, busy(0)), None);
}

proptest! {
    /// Whatever arrives when, in whichever bucket: no job is lost or doubled, none is reordered within its bucket, no batch
    /// exceeds its size or mixes buckets, and none waits beyond the delay while a worker idles.
    #[test]
    fn every_job_travels_once_in_order_and_in_time(
        size in 1usize..6,
        delay in 0u64..50,
        in_flight in 0usize..2,
        takers in 1usize..4,
        patience in prop::option::of(0u64..20),
        jobs in prop::collection::vec((0u64..40, 0usize..3), 1..60),
    ) {
        let patience = patience.map(Duration::from_millis);
        let load = Load { in_flight, takers, patience };
        let start = Instant::now();
        let instant = |ms| start + Duration::from_millis(ms);
        let mut batcher = Batcher::new(policy(size, delay));
        let mut at = 0;
        let arrivals: Vec<u64> = jobs.iter().map(|(gap, _)| { at += gap; at }).collect();
        let mut served = [const { Vec::new() }; 3];
        let mut arrived = 0;
        for now in 0..=at + delay {
            while arrived < jobs.len() && arrivals[arrived] <= now {
                batcher.push(jobs[arrived].1, instant(now) + LATER, arrived, instant(now));
                arrived += 1;
            }
            while let Some(batch) = batcher.take_due(instant(now), load) {
                prop_assert!((1..=size).contains(&batch.len()));
                for &job in &batch {
                    prop_assert_eq!(jobs[job].1, jobs[batch[0]].1);
                    prop_assert!(now - arrivals[job] <= delay);
                    served[jobs[job].1].push(job);
                }
            }
        }
        for (bucket, served) in served.iter().enumerate() {
            let expected: Vec<usize> = (0..jobs.len()).filter(|&job| jobs[job].1 == bucket).collect();
            prop_assert_eq!(served, &expected);
        }
        prop_assert!(batcher.is_empty());
    }
}
