//! What a client sees of answers that come in parts.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use http_body_util::BodyExt;
use serving::Registration;
use serving::workflow::WorkflowRegistration;
use tower::ServiceExt;

use crate::http::tests::{Answer, Api};

fn request(path: &str, accept: &str, body: &str) -> Request {
    let request = Request::builder().method("POST").uri(path);
    let request = request.header("accept", accept);
    request
        .body(Body::from(body.to_owned()))
        .expect("a request")
}

async fn ask(api: &Api, path: &str, accept: &str, body: &str) -> Answer {
    crate::http::tests::send(&api.router, request(path, accept, body)).await
}

/// With the model `in_parts` beside `m`, which gives parts to everybody.
async fn api() -> Api {
    let api = Api::start().await;
    let registration = Registration {
        url: "m".into(),
        name: Some("in_parts".into()),
        ..Registration::default()
    };
    let model = api.app.serving.register(registration).await;
    model.expect("registered").pool.settled().await;
    api
}

async fn check(path: &str, accept: &str, body: &str, content_type: Option<&str>, expected: &str) {
    let answer = ask(&api().await, path, accept, body).await;
    let found = answer.headers.get("content-type");
    assert_eq!(
        found.and_then(|value| value.to_str().ok()),
        content_type,
        "{answer:?}"
    );
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, expected),
        "{path} {accept}"
    );
}

const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

#[tokio::test]
async fn parts_come_as_events_or_lines_for_whoever_asks() {
    check(
        "/predictions/m",
        EVENTS,
        "parts 2 0 done",
        Some(EVENTS),
        "id: 0\nevent: part\ndata: part 0\n\nid: 1\nevent: part\ndata: part 1\n\nid: 2\nevent: final\ndata: done\n\n",
    )
    .await;
    check(
        "/predictions/m",
        LINES,
        "parts 1 0 done",
        Some(LINES),
        "{\"id\": 0, \"event\": \"part\", \"data\": \"part 0\"}\n{\"id\": 1, \"event\": \"final\", \"data\": \"done\"}\n",
    )
    .await;
    check(
        "/predictions/m",
        EVENTS,
        "echo",
        Some(EVENTS),
        "id: 0\nevent: final\ndata: echo\n\n",
    )
    .await;
    check("/predictions/m", "*/*", "parts 2 0 done", None, "done").await;
}

#[tokio::test]
async fn what_comes_unasked_comes_in_chunks() {
    let api = api().await;
    let router = api.router.clone();
    let response = router.oneshot(request("/predictions/in_parts", "*/*", "parts 2 0 done"));
    let response = response.await.expect("a router answers");
    assert_eq!(response.headers()["ts_stream_next"], "true");
    let mut body = response.into_body();
    let mut chunks = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = frame.expect("whole").into_data().expect("data");
        chunks.push(String::from_utf8_lossy(&data).into_owned());
    }
    assert_eq!(chunks, ["part 0", "part 1", "done"]);
    // One piece is an answer like any other.
    let whole = ask(&api, "/predictions/in_parts", "*/*", "echo").await;
    assert_eq!((whole.status, whole.body.as_str()), (200, "echo"));
    assert!(whole.headers.get("ts_stream_next").is_none());
}

#[tokio::test]
async fn a_failure_has_its_status_before_anything_was_sent_and_ends_what_was() {
    let api = api().await;
    for (model, accept) in [("m", EVENTS), ("m", LINES), ("in_parts", "*/*")] {
        let answer = ask(&api, &format!("/predictions/{model}"), accept, "bad").await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains("the input is bad"));
    }
    let answer = ask(&api, "/predictions/nobody", EVENTS, "").await;
    assert_eq!(answer.status, 404);
    let answer = ask(&api, "/predictions/m", EVENTS, "parts 1 0 bad").await;
    assert_eq!(
        answer.body,
        "id: 0\nevent: part\ndata: part 0\n\nid: 1\nevent: error\ndata: {\"code\": 400, \"type\": \
         \"BadRequestException\", \"message\": \"the input is bad\"}\n\n"
    );
    let chunks = api.router.clone();
    let response = chunks.oneshot(request("/predictions/in_parts", "*/*", "parts 1 0 bad"));
    let mut body = response.await.expect("a router answers").into_body();
    let first = body.frame().await.expect("a chunk").expect("whole");
    assert_eq!(first.into_data().expect("data"), "part 0");
    assert!(
        body.frame().await.expect("an end").is_err(),
        "it breaks off"
    );
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_model() {
    let api = api().await;
    let router = api.router.clone();
    let response = router.oneshot(request("/predictions/m", EVENTS, "parts 100000 1 done"));
    let mut body = response.await.expect("a router answers").into_body();
    body.frame().await.expect("an event").expect("whole");
    assert_eq!(api.app.serving.admission.inside(), 1);
    drop(body);
    assert_eq!(api.app.serving.admission.inside(), 0);
    // Its worker hears of it at its next part, and is there for others within their time.
    let next = ask(&api, "/predictions/m", "*/*", "echo").await;
    assert_eq!((next.status, next.body.as_str()), (200, "echo"));
}

/// Two nodes one after the other, of which the second may fail.
const SPEC: &str = "models: {first: {url: m}, second: {url: m}}\ndag: {first: [second]}";

async fn flow() -> Api {
    let api = Api::start().await;
    let registration = WorkflowRegistration {
        spec: Some(SPEC.into()),
        name: Some("w".into()),
        ..WorkflowRegistration::default()
    };
    let registered = api.app.serving.register_workflow(registration).await;
    registered.expect("registered");
    api
}

/// Events with their times left out.
async fn check_flow(query: &str, body: &str, status: u16, expected: &[&str]) {
    let api = flow().await;
    let answer = ask(&api, &format!("/wfpredict/w{query}"), LINES, body).await;
    assert_eq!(answer.status, status, "{answer:?}");
    let lines: Vec<String> = answer
        .body
        .lines()
        .map(|line| match line.split_once("\"took_ms\": ") {
            Some((before, after)) => {
                let after = after.split_once(", ").map_or("", |(_, after)| after);
                format!("{before}{after}")
            }
            None => line.to_owned(),
        })
        .collect();
    assert_eq!(lines, expected, "{query} {body}");
}

#[tokio::test]
async fn nodes_of_a_workflow_are_told_as_they_end() {
    let first = r#"{"id": 0, "event": "node", "data": {"node": "first", "type": "bytes"}}"#;
    let second = r#"{"id": 1, "event": "node", "data": {"node": "second", "type": "bytes"}}"#;
    let last = |id: usize| {
        format!(
            r#"{{"id": {id}, "event": "final", "data": {{"content_type": "application/json", "answer": {{"a": 1}}}}}}"#
        )
    };
    let body = r#"{"a":1}"#;
    check_flow("?stream=1", body, 200, &[first, second, &last(2)]).await;
    check_flow("?stream=first", body, 200, &[first, &last(1)]).await;
    check_flow("?stream=0", body, 200, &[body]).await;
    let refused = ask(&flow().await, "/wfpredict/w?stream=third", LINES, body).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("has no node \\\"third\\\""),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_workflow_that_fails_says_so_at_its_end() {
    let api = flow().await;
    let answer = ask(&api, "/wfpredict/w?stream=1", EVENTS, "bad").await;
    let events: Vec<&str> = answer
        .body
        .lines()
        .filter(|line| line.starts_with("event"))
        .collect();
    assert_eq!(
        (answer.status, &events[..]),
        (200, &["event: node", "event: error"][..])
    );
    assert!(
        answer.body.contains("\"error\": \"the input is bad\""),
        "{answer:?}"
    );
    assert!(
        answer
            .body
            .contains("Error executing first: the input is bad"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_run() {
    let api = flow().await;
    let router = api.router.clone();
    let response = router.oneshot(request("/wfpredict/w?stream=1", LINES, "wait 100"));
    let mut body = response.await.expect("a router answers").into_body();
    body.frame().await.expect("a node").expect("whole");
    drop(body);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while api.app.serving.admission.inside() > 0 {
        assert!(std::time::Instant::now() < deadline, "it is still inside");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let workflow = api.app.serving.workflow("w", None).expect("registered");
    assert_eq!(workflow.statistics().cancelled.count, 1);
}
