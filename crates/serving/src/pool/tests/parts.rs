//! Answers that come in parts: their order, clients that are slow or leave, models that fail on the way, and the requests
//! that share a batch with all that.

use super::*;

const LONG: Duration = Duration::from_secs(30);

fn begin(pool: &Pool, text: &str, stall: Duration) -> AnswerInParts {
    let request = Request {
        input: Input::body("", text),
        deadline: Instant::now() + LONG,
        step: None,
        metrics: &metrics(),
    };
    pool.submit_for_parts(request, stall).expect("let in")
}

/// A piece as text: parts as they are, the last one behind a `=`, an error behind a `!`.
async fn piece(answer: &mut AnswerInParts) -> Option<String> {
    let text =
        |output: servable::Output| String::from_utf8_lossy(&output.value.into_body()).into_owned();
    Some(match answer.next().await? {
        Ok(Piece::Part(part)) => text(part),
        Ok(Piece::Last(last)) => format!("={}", text(last)),
        Err(error) => format!("!{error}"),
    })
}

async fn rest(mut answer: AnswerInParts) -> Vec<String> {
    let mut pieces = Vec::new();
    while let Some(piece) = piece(&mut answer).await {
        pieces.push(piece);
    }
    pieces
}

async fn check(text: &str, expected: &[&str]) {
    let (pool, _) = Setting::default().start();
    assert_eq!(rest(begin(&pool, text, LONG)).await, expected, "{text}");
    assert_eq!(ask(&pool, "echo next").await.as_deref(), Ok("echo next"));
}

#[tokio::test]
async fn parts_come_in_order_and_the_answer_or_the_failure_comes_last() {
    check("parts 3 0 done", &["part 0", "part 1", "part 2", "=done"]).await;
    check("parts 2 5 done", &["part 0", "part 1", "=done"]).await;
    check("echo 1", &["=echo 1"]).await;
    check("parts 2 0 bad", &["part 0", "part 1", "!the input is bad"]).await;
    check("parts 1 0 fail", &["part 0", "!Prediction failed"]).await;
    check(
        "parts 1 0 panic",
        &["part 0", "!Worker died. (as scripted)"],
    )
    .await;
    check("bad", &["!the input is bad"]).await;
}

#[tokio::test]
async fn whoever_takes_no_parts_gets_the_answer_alone() {
    let (pool, loader) = Setting::default().start();
    assert_eq!(ask(&pool, "parts 3 0 done").await.as_deref(), Ok("done"));
    assert_eq!(loader.parts(), 0);
}

#[tokio::test]
async fn a_model_is_held_up_by_a_client_that_is_slow_and_loses_nothing() {
    let (pool, loader) = Setting::default().start();
    let mut answer = begin(&pool, "parts 500 0 done", LONG);
    assert_eq!(piece(&mut answer).await.as_deref(), Some("part 0"));
    // Nobody takes more: the model stands still before its end, at the bound.
    let mut before = 0;
    while loader.parts() != before || before == 0 {
        before = loader.parts();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(before < 100, "{before} parts wait");
    let pieces = rest(answer).await;
    assert_eq!(pieces.len(), 500);
    assert_eq!(pieces[498], "part 499");
    assert_eq!(pieces[499], "=done");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_told_and_its_model_is_free_again() {
    let (pool, loader) = Setting::default().start();
    pool.settled().await;
    let stalled = begin(&pool, "parts 500 0 done", Duration::from_millis(30));
    // The worker gives it up by itself, and serves the next.
    assert_eq!(ask(&pool, "echo next").await.as_deref(), Ok("echo next"));
    let taken = loader.parts();
    assert!(taken < 100, "{taken} parts were taken");
    let pieces = rest(stalled).await;
    assert_eq!(pieces.len(), taken + 1);
    assert_eq!(
        pieces[taken],
        "!the client took nothing of the answer of \"m\" for 0 s"
    );
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_model() {
    let (pool, loader) = Setting::default().start();
    let mut answer = begin(&pool, "parts 100000 1 done", LONG);
    assert_eq!(piece(&mut answer).await.as_deref(), Some("part 0"));
    drop(answer);
    // It would take minutes otherwise.
    assert_eq!(ask(&pool, "echo next").await.as_deref(), Ok("echo next"));
    assert!(loader.parts() < 10_000);
    assert_eq!(pool.statistics().cancelled.count, 1);
    // One that leaves while it waits is never begun.
    let running = ask(&pool, "wait 300");
    // Polled after the other, which the worker is at by then.
    let leave = async {
        let waiting = begin(&pool, "panic", LONG);
        assert_eq!(pool.queued(), 1);
        drop(waiting);
    };
    let (ran, ()) = tokio::join!(running, leave);
    assert_eq!(ran.as_deref(), Ok("wait 300"));
}

#[tokio::test]
async fn those_in_the_same_batch_are_unharmed() {
    for (text, expected) in [
        ("parts 2 0 done", &["part 0", "part 1", "=done"][..]),
        // What has gone out is not said again when the batch runs again one by one.
        (
            "parts 2 0 fail",
            &["part 0", "part 1", "!Prediction failed"],
        ),
        (
            "parts 2 0 panic",
            &["part 0", "part 1", "!Worker died. (as scripted)"],
        ),
    ] {
        let (pool, loader) = Setting {
            batch_size: 3,
            ..Setting::default()
        }
        .start();
        pool.settled().await;
        let first = ask(&pool, "wait 50");
        let then = async {
            while pool.statistics().executions > 0 || pool.queued() > 0 {
                tokio::task::yield_now().await;
            }
            let answer = begin(&pool, text, LONG);
            let others = tokio::join!(ask(&pool, "echo 1"), ask(&pool, "echo 2"), rest(answer));
            assert_eq!(others.0.as_deref(), Ok("echo 1"), "{text}");
            assert_eq!(others.1.as_deref(), Ok("echo 2"), "{text}");
            assert_eq!(others.2, expected);
            assert_eq!(loader.parts(), 2, "{text}");
        };
        tokio::join!(first, then).0.expect("an answer");
    }
}

#[tokio::test]
async fn a_client_that_stands_still_holds_its_batch_up_no_longer_than_it_may() {
    let (pool, _) = Setting {
        batch_size: 2,
        ..Setting::default()
    }
    .start();
    pool.settled().await;
    let running = begin(&pool, "wait 30", LONG);
    let stalled = begin(&pool, "parts 500 0 done", Duration::from_millis(30));
    assert_eq!(ask(&pool, "echo mate").await.as_deref(), Ok("echo mate"));
    drop((stalled, running));
}
