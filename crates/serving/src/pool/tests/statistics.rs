//! What a pool's numbers say of requests that end in every way.

use super::*;
use crate::{Statistics, Tally};

fn counts(statistics: &Statistics) -> [u64; 4] {
    [
        statistics.succeeded,
        statistics.failed,
        statistics.rejected,
        statistics.cancelled,
    ]
    .map(|tally| tally.count)
}

#[tokio::test]
async fn every_request_counts_once_by_how_it_ended() {
    let (pool, _) = Setting {
        queue_size: 1,
        ..Setting::default()
    }
    .start();
    ask(&pool, "echo 1").await.expect("an answer");
    ask(&pool, "bad").await.expect_err("a failure");
    ask(&pool, "fail").await.expect_err("a failure");
    ask(&pool, "panic").await.expect_err("a failure");
    let short = Duration::from_millis(5);
    ask_within(&pool, "wait 40", short)
        .await
        .expect_err("too slow");
    // The worker is done with that one when it answers another.
    ask(&pool, "echo 2").await.expect("an answer");
    {
        // One is dropped while it is served, one while it waits, and there is no room for a third.
        let (first, second) = (ask(&pool, "wait 100"), ask(&pool, "wait 100"));
        tokio::pin!(first, second);
        let both = async { tokio::join!(first.as_mut(), second.as_mut()) };
        let give_up = async {
            while pool.queued() == 0 {
                tokio::task::yield_now().await;
            }
            ask(&pool, "echo").await.expect_err("no room");
        };
        tokio::select! {
            _ = both => panic!("they wait"),
            () = give_up => {}
        }
    }
    let statistics = pool.statistics();
    assert_eq!(counts(&statistics), [2, 4, 1, 2]);
    let Statistics {
        succeeded,
        queue,
        infer,
        input,
        failed,
        ..
    } = statistics;
    assert_eq!(
        (queue.count, infer.count, input),
        (
            2,
            2,
            Tally {
                count: 2,
                time: Duration::ZERO
            }
        )
    );
    assert!(queue.time + infer.time <= succeeded.time);
    assert!(failed.time >= short);
}

#[tokio::test]
async fn executions_count_by_the_size_of_their_batch() {
    let (pool, _) = Setting {
        batch_size: 4,
        ..Setting::default()
    }
    .start();
    let all = ["wait 50", "echo 1", "echo 2", "echo 3"].map(|text| ask(&pool, text));
    futures_util::future::join_all(all).await;
    let statistics = pool.statistics();
    assert_eq!(statistics.succeeded.count, 4);
    let requests: u64 = statistics
        .batches
        .iter()
        .map(|batch| batch.executions * batch.size as u64)
        .sum();
    assert_eq!(requests, 4);
    assert_eq!(
        statistics.executions,
        statistics
            .batches
            .iter()
            .map(|batch| batch.executions)
            .sum::<u64>()
    );
    // Each request of a batch counts the whole batch's time.
    let batches: Duration = statistics
        .batches
        .iter()
        .map(|batch| batch.infer * u32::try_from(batch.size).expect("small"))
        .sum();
    assert_eq!(statistics.infer.time, batches);
    assert!(statistics.last_inference.is_some());
}
