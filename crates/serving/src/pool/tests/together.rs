//! Several jobs that are queued at once, models whose requests never share a batch, and what is said of a job's way.

use super::*;
use crate::job::TimedReply;

/// Asks one thing several times over, in the name of one request.
async fn ask_all(pool: &Pool, id: &str, cues: &[&str]) -> Result<Vec<TimedReply>, Error> {
    let metrics = metrics();
    let deadline = Instant::now() + Duration::from_secs(10);
    let requests = cues.iter().map(|&cue| Request {
        input: Input {
            id: id.into(),
            ..Input::body("", cue)
        },
        deadline,
        step: None,
        metrics: &metrics,
    });
    pool.submit_all(requests.collect()).await
}

/// The texts of the answers; every job is answered.
fn texts(answers: Vec<TimedReply>) -> Vec<String> {
    let text = |answer: TimedReply| {
        let (output, _) = answer.expect("an answer");
        String::from_utf8_lossy(&output.value.into_body()).into_owned()
    };
    answers.into_iter().map(text).collect()
}

fn apart(config: &mut PoolConfig) {
    config.merge = false;
}

#[tokio::test]
async fn jobs_that_are_queued_at_once_share_batches_from_the_first_on() {
    let check = async |batch_size, change: fn(&mut PoolConfig), expected: &[(usize, &str)]| {
        let (pool, _) = Setting {
            batch_size,
            queue_size: 2000,
            change,
            ..Setting::default()
        }
        .start();
        pool.settled().await;
        let jobs = expected.iter().map(|(times, _)| times).sum();
        let answers = ask_all(&pool, "1", &vec!["batch"; jobs]).await;
        let expected: Vec<&str> = expected
            .iter()
            .flat_map(|&(times, size)| std::iter::repeat_n(size, times))
            .collect();
        assert_eq!(texts(answers.expect("taken")), expected, "{batch_size}");
    };
    check(4, |_| {}, &[(4, "4"), (2, "2")]).await;
    check(4, |_| {}, &[]).await;
    // A request that shares no batch is one itself, whatever the batch size.
    check(1, apart, &[(6, "6")]).await;
    check(4, apart, &[(6, "6")]).await;
    check(4, apart, &[(1024, "1024"), (3, "3")]).await;
}

#[tokio::test]
async fn jobs_that_are_queued_at_once_are_taken_or_refused_as_one() {
    let (pool, _) = Setting {
        queue_size: 3,
        change: apart,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let rest = async {
        // Once the worker has taken the first, three may wait.
        until(|| pool.queued() == 0).await;
        let refused = async {
            until(|| pool.queued() == 2).await;
            let refused = ask_all(&pool, "2", &["batch"; 2]).await;
            (refused.map(|_| ()), pool.queued())
        };
        tokio::join!(ask_all(&pool, "1", &["batch"; 2]), refused)
    };
    let (_, (taken, (refused, queued))) = tokio::join!(ask(&pool, "wait 300"), rest);
    assert_eq!(refused.map_err(|error| error.code()), Err(Code::Overloaded));
    assert_eq!(queued, 2, "none of those that were refused waits");
    assert_eq!(texts(taken.expect("room for two")), ["2", "2"]);
}

#[tokio::test]
async fn with_job_tickets_a_request_of_several_jobs_needs_as_many_workers_as_it_makes_batches() {
    let check = async |change: fn(&mut PoolConfig), expected| {
        let (pool, _) = Setting {
            batch_size: 4,
            change,
            ..Setting::default()
        }
        .start();
        pool.settled().await;
        let answers = ask_all(&pool, "1", &["batch"; 2]).await;
        assert_eq!(answers.map(texts).map_err(|error| error.code()), expected);
    };
    let alone: fn(&mut PoolConfig) = |config| {
        config.job_tickets = true;
        config.merge = false;
    };
    check(alone, Ok(vec!["2".to_owned(); 2])).await;
    let merged: fn(&mut PoolConfig) = |config| config.job_tickets = true;
    check(merged, Err(Code::Overloaded)).await;
}

#[tokio::test]
async fn a_request_that_is_a_batch_fails_as_a_whole() {
    let check = async |change: fn(&mut PoolConfig), cues: &[&str], expected: &[Code]| {
        let (pool, _) = Setting {
            batch_size: 4,
            change,
            ..Setting::default()
        }
        .start();
        pool.settled().await;
        let answers = ask_all(&pool, "1", cues).await.expect("taken");
        let failures: Vec<Code> = answers
            .into_iter()
            .filter_map(|answer| Some(answer.err()?.code()))
            .collect();
        assert_eq!(failures, expected, "{cues:?}");
        assert_eq!(ask(&pool, "echo after").await.as_deref(), Ok("echo after"));
    };
    let (failed, died) = (Code::PredictionFailed, Code::WorkerDied);
    check(|_| {}, &["echo", "fail", "echo"], &[failed]).await;
    check(apart, &["echo", "fail", "echo"], &[failed; 3]).await;
    check(apart, &["panic", "echo"], &[died; 2]).await;
    // What fails alone within a batch still does.
    check(apart, &["echo", "bad"], &[Code::BadInput]).await;
}

#[tokio::test]
async fn requests_of_sequences_come_one_by_one() {
    let (pool, _) = Setting {
        change: |config| {
            config.merge = false;
            config.sequences = Some(SequencePolicy {
                max_idle: None,
                timeout: None,
                queue_size: 10,
                most: 10,
            });
        },
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let error = ask_all(&pool, "1", &["echo"; 2])
        .await
        .expect_err("two at once");
    let why = NoWorker::Sequence(SequenceRefusal::OneByOne);
    assert_eq!(error, pool.no_worker(why));
    assert_eq!(error.code(), Code::Unsupported);
    assert_eq!(pool.queued(), 0);
}

#[tokio::test]
async fn archive_and_engine_may_each_forbid_that_requests_share_a_batch() {
    let check = async |loader: ScriptedLoader, change: fn(&mut PoolConfig), expected: bool| {
        let (pool, _) = Setting {
            loader,
            change,
            ..Setting::default()
        }
        .start();
        assert_eq!(pool.merges(), expected);
    };
    check(ScriptedLoader::default(), |_| {}, true).await;
    check(ScriptedLoader::default(), apart, false).await;
    check(ScriptedLoader::apart(), |_| {}, false).await;
}

#[tokio::test]
async fn an_answer_says_how_it_came_about() {
    let (pool, _) = Setting {
        batch_size: 4,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let began = Instant::now();
    let answers = ask_all(&pool, "1", &["wait 20", "echo"]).await;
    let total = began.elapsed();
    for answer in answers.expect("taken") {
        let (_, travel) = answer.expect("an answer");
        assert_eq!(travel.batch_size, 2);
        assert!(travel.compute >= Duration::from_millis(20), "{travel:?}");
        assert!(travel.batch_wait <= travel.queued, "{travel:?}");
        assert!(travel.queued + travel.compute <= total, "{travel:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However many requests of however many jobs come to a model that keeps requests apart: each is one batch, or is
    /// refused as a whole because the queue is full.
    #[test]
    fn a_request_that_shares_no_batch_is_one_itself(
        workers in 1usize..4,
        batch_size in 1usize..5,
        queue_size in 1usize..40,
        requests in prop::collection::vec(1usize..9, 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let answers = runtime.block_on(async {
            let (pool, _) = Setting {
                workers,
                batch_size,
                queue_size,
                change: apart,
                ..Setting::default()
            }
            .start();
            let asked = requests.iter().enumerate().map(|(index, &jobs)| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    ask_all(&pool, &index.to_string(), &vec!["batch"; jobs]).await
                })
            });
            futures_util::future::join_all(asked).await
        });
        for (&jobs, answers) in requests.iter().zip(answers) {
            match answers.expect("no panic") {
                Ok(answers) => prop_assert_eq!(texts(answers), vec![jobs.to_string(); jobs]),
                Err(error) => prop_assert_eq!(error.code(), Code::Overloaded),
            }
        }
    }
}
