//! Servables that die, of what they are asked or because they hang: who is answered, and what is refused afterwards.

use super::*;

/// Asks for each text while one worker is busy, so that they are one batch; what each gets.
async fn together(pool: &Pool, texts: &[&str]) -> Vec<Result<String, Error>> {
    let busy = ask(pool, "wait 50");
    let rest = async {
        until(|| pool.queued() == 0 && pool.status().ready() == 1).await;
        futures_util::future::join_all(texts.iter().map(|text| ask(pool, text))).await
    };
    tokio::join!(busy, rest).1
}

fn told(answer: &Result<String, Error>) -> String {
    match answer {
        Ok(body) => body.clone(),
        Err(error) => format!("{:?}: {error}", error.code()),
    }
}

#[tokio::test]
async fn of_a_batch_that_kills_only_the_cause_is_not_answered_and_is_refused_from_then_on() {
    let (pool, loader) = Setting {
        batch_size: 4,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let check = async |texts: &[&str], expected: &[&str], loads: usize| {
        let before = loader.loads();
        let answers: Vec<String> = together(&pool, texts).await.iter().map(told).collect();
        for (answer, expected) in answers.iter().zip(expected) {
            assert!(
                answer.starts_with(expected),
                "{answer}, expected {expected}"
            );
        }
        until(|| pool.status().ready() == 1).await;
        assert_eq!(loader.loads() - before, loads, "{texts:?}");
    };
    let died = "WorkerDied: Worker died. (as scripted)";
    let refused =
        "WorkerDied: Worker died. (workers have died of this request, and it is refused for";
    // One death with the others, one alone; then one of its own.
    check(
        &["echo 1", "die now", "echo 2"],
        &["echo 1", died, "echo 2"],
        2,
    )
    .await;
    check(&["die now", "echo 3"], &[refused, "echo 3"], 0).await;
    check(&["die now"], &[refused], 0).await;
    // Alone from the beginning: the first death may have been chance.
    check(&["die alone"], &[died], 1).await;
    check(&["die alone"], &[died], 1).await;
    check(&["die alone"], &[refused], 0).await;
    assert_eq!(loader.alive(), 1);
}

#[tokio::test]
async fn what_hangs_is_ended_and_its_client_hears_so() {
    let (pool, loader) = Setting {
        batch_size: 4,
        change: |config| config.response_timeout = Duration::from_millis(100),
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    // More often than threads may hang that nothing ends.
    for round in 0..2 * MOST_ABANDONED {
        let answer = ask(&pool, &format!("hang {round}")).await;
        assert_eq!(
            told(&answer),
            "WorkerDied: Worker died. (ended from outside)"
        );
        assert_eq!(ask(&pool, "echo").await.as_deref(), Ok("echo"));
    }
    // A batch is not run again by a thread that was let go of.
    let answers = together(&pool, &["hang", "echo"]).await;
    let died = "WorkerDied: Worker died. (ended from outside)";
    assert_eq!(answers.iter().map(told).collect::<Vec<_>>(), [died, died]);
    until(|| loader.alive() == 1).await;
}

#[tokio::test]
async fn what_hangs_is_ended_when_nobody_is_left_to_wait() {
    let (pool, loader) = Setting::default().start();
    pool.settled().await;
    let asked = tokio::time::timeout(Duration::from_millis(50), ask(&pool, "hang")).await;
    assert!(asked.is_err());
    drop(pool);
    until(|| loader.alive() == 0).await;
}

#[tokio::test]
async fn one_that_dies_with_nothing_to_do_is_replaced_before_anybody_asks() {
    let (pool, loader) = Setting::default().start();
    pool.settled().await;
    assert_eq!(ask(&pool, "faint").await.as_deref(), Ok("faint"));
    until(|| loader.loads() == 2).await;
    assert_eq!(loader.alive(), 1);
    // Whether it is noticed by then or not, the next request is answered.
    for _ in 0..10 {
        let answers = tokio::join!(ask(&pool, "faint"), ask(&pool, "echo"));
        assert_eq!(answers.1.as_deref(), Ok("echo"));
    }
}
