//! What loaded handlers answer.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Archive, Body, Case, check_all};
use crate::client::{Answer, Request};
use crate::harness::Bench;
use crate::torchserve::{Serving, Who, interpreter, settings};

const ARCHIVES: [Archive; 6] = [
    Archive {
        name: "answers",
        handler: "answers.py:entry",
        extra: "",
        config: "maxBatchDelay: 5\nhandler:\n  colour: green\n  sizes: [1, 2.5, {deep: yes}]\n",
        network: None,
    },
    Archive {
        name: "whole",
        handler: "whole.py",
        extra: "",
        config: "handler: {greeting: Hello}\n",
        network: None,
    },
    Archive {
        name: "module",
        handler: "module.py",
        extra: "helper.py",
        config: "",
        network: None,
    },
    Archive {
        name: "batch",
        handler: "batch.py",
        extra: "",
        config: "batchSize: 4\nmaxBatchDelay: 20000\n",
        network: None,
    },
    Archive {
        name: "stream",
        handler: "stream.py",
        extra: "",
        config: "",
        network: None,
    },
    Archive {
        name: "network",
        handler: "network.py",
        extra: "",
        config: "",
        network: Some("double.pt"),
    },
];

#[test]
fn our_worker_answers_as_written_down() {
    check(Who::Ours);
}

#[test]
fn their_worker_answers_as_written_down() {
    check(Who::TheirWorker);
}

#[test]
fn their_server_answers_as_written_down() {
    check(Who::TheirServer);
}

fn check(who: Who) {
    let Some(interpreter) = interpreter() else {
        return;
    };
    let bench = Bench::new().config(&settings(who, &interpreter));
    for archive in &ARCHIVES {
        archive.pack(&bench);
    }
    let names = ARCHIVES.map(|archive| archive.name);
    if who == Who::TheirServer {
        let files = names.map(|name| format!("{name}.mar"));
        let files = files.each_ref().map(String::as_str);
        let Some(serving) = Serving::theirs(&interpreter, &bench.path("."), &files) else {
            return;
        };
        check_serving(&serving, &names);
    } else {
        check_serving(&Serving::daemon(who, bench.start()), &names);
    }
}

fn check_serving(serving: &Serving, models: &[&str]) {
    serving.wait_for(models);
    let mut mistakes = Vec::new();
    for case in cases() {
        let answer = serving.send(&case.request);
        mistakes.extend(case.mistakes(serving.who, &answer));
    }
    mistakes.extend(batch_mistakes(serving));
    mistakes.extend(spoilt_batch_mistakes(serving));
    wait_for_metrics(serving);
    let described = serving.manage("GET", "/models/whole?customized=true");
    let says = described.json()[0]["customizedMetadata"].clone();
    if says != json!({"says": "Hello", "model": "whole"}) {
        mistakes.push(format!("{:?} describes as {says}", serving.who));
    }
    check_all(mistakes);
}

/// What `do_metrics` emits arrives with the dimensions of its model.
fn wait_for_metrics(serving: &Serving) {
    for (name, value) in [
        ("Asked", "1.0"),
        ("Thinking", "2.5"),
        ("Size", "3.0"),
        ("Share", "50.0"),
    ] {
        let begins = format!("{name}{{ModelName=\"answers\",Level=\"Model\",");
        wait_until(|| {
            let lines = serving.metrics();
            let mut found = lines.iter().filter(|line| line.starts_with(&begins));
            found
                .next()
                .is_some_and(|line| line.ends_with(&format!(" {value}")))
        });
    }
}

/// Asks the model `batch` all of them at the same time. Our server does not keep a lone request waiting for company, so there
/// they gather while the worker is held.
fn at_once(serving: &Serving, said: &[&str; 4]) -> Vec<Answer> {
    let folder = tempfile::tempdir().expect("a folder");
    let held = folder.path().join("held");
    let ask = |said: &str| {
        serving.send(&Request::post("/predictions/batch", said).content_type("text/plain"))
    };
    let ask = &ask;
    thread::scope(|scope| {
        let is_held = serving.who != Who::TheirServer;
        if is_held {
            let hold = format!("hold {}", held.display());
            scope.spawn(move || ask(&hold));
            wait_until(|| held.exists());
        }
        let asking = said.map(|said| scope.spawn(move || ask(said)));
        if is_held {
            wait_until(|| {
                let described = serving.manage("GET", "/models/batch").json();
                described[0]["jobQueueStatus"]["pendingRequests"] == 4
            });
            fs::remove_file(&held).expect("it was there");
        }
        let answers = asking.into_iter();
        answers
            .map(|thread| thread.join().expect("an answer"))
            .collect()
    })
}

#[track_caller]
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Each request of a batch gets its own answer, header and status, and the statuses count through the batch.
fn batch_mistakes(serving: &Serving) -> Vec<String> {
    let said = ["a", "b", "c", "d"];
    let answers = at_once(serving, &said);
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    let is_own = |said: &str, answer: &Answer| {
        answer.body == format!("{said} of 4").as_bytes() && answer.header("x-said") == Some(said)
    };
    let all_own = said
        .iter()
        .zip(&answers)
        .all(|(said, answer)| is_own(said, answer));
    let is_right = all_own && statuses == [200, 201, 202, 203];
    let wrong = (!is_right).then(|| format!("{:?}, a batch: {answers:?}", serving.who));
    wrong.into_iter().collect()
}

/// A request that fails its batch costs all of it there; here the others are asked again without it.
fn spoilt_batch_mistakes(serving: &Serving) -> Vec<String> {
    let said = ["a", "spoil", "c", "d"];
    let answers = at_once(serving, &said);
    let told = |answer: &Answer| {
        (
            answer.status,
            String::from_utf8_lossy(&answer.body).into_owned(),
        )
    };
    let told: Vec<(u16, String)> = answers.iter().map(told).collect();
    let is_right = said.iter().zip(&told).all(|(said, (status, text))| {
        if *said == "spoil" || serving.who == Who::TheirServer {
            *status == 503 && text.contains("\"message\": \"Prediction failed\"")
        } else {
            *status == 200 && *text == format!("{said} of 1")
        }
    });
    let wrong = (!is_right).then(|| format!("{:?}, a spoilt batch: {told:?}", serving.who));
    wrong.into_iter().collect()
}

fn cases() -> Vec<Case> {
    let mut cases = values();
    cases.extend(contexts());
    cases.extend(failures());
    cases.extend(handlers());
    cases
}

/// Asks `answers` for what it can do.
fn asks(what: &str) -> Request {
    Request::post("/predictions/answers", what).content_type("text/plain")
}

fn ok(name: &'static str, body: impl Into<Vec<u8>>) -> Case {
    Case::new(name, asks(name), 200, Body::Bytes(body.into()))
}

fn values() -> Vec<Case> {
    let post = |body: &str| Request::post("/predictions/answers", body);
    let seen = |kind: &str, value| Body::Json(json!({"type": kind, "value": value}));
    let json_type = "application/json";
    vec![
        ok("text", "Grüße").header("content-type", None),
        ok("bytes", *b"\x00\xff").header("content-type", None),
        ok("list", "[\n  1,\n  2.5,\n  \"drei\",\n  null,\n  true\n]").header("content-type", None),
        ok(
            "dict",
            "{\n  \"z\": 1,\n  \"a\": {\n    \"\\u00fc\": \"\\u00e9\"\n  }\n}",
        ),
        ok("nothing", "null"),
        ok("no number", "[\n  NaN,\n  Infinity\n]"),
        // How bodies reach the handler.
        Case::new(
            "JSON",
            post("{\"a\": [1]}").content_type(json_type),
            200,
            seen("dict", json!({"a": [1]})),
        ),
        Case::new(
            "JSON of a list",
            post("[1, {}]").content_type(json_type),
            200,
            seen("list", json!([1, {}])),
        ),
        Case::new(
            "no JSON",
            post("text").content_type(json_type),
            200,
            Body::Bytes("Grüße".into()),
        ),
        Case::new("no type", post("text"), 200, Body::Bytes("Grüße".into())),
        Case::new(
            "a form",
            Request::post("/predictions/answers", "").multipart(&[("data", None, b"text")]),
            200,
            Body::Bytes("Grüße".into()),
        ),
    ]
}

fn contexts() -> Vec<Case> {
    let context = json!({
        "model": "answers", "version": "1.0", "header": "yes", "same": true, "requests": 1, "gpu": null, "batch_size": 1,
        "folder": true, "file": true,
        "yaml": {"maxBatchDelay": 5, "handler": {"colour": "green", "sizes": [1, 2.5, {"deep": true}]}},
    });
    vec![
        Case::new("status", asks("status"), 201, Body::Bytes("made".into())).reason("Made"),
        Case::new(
            "all statuses",
            asks("all statuses"),
            418,
            Body::Bytes("short and stout".into()),
        )
        .reason("Teapot"),
        ok("type", "picture").header("content-type", Some("image/x-none")),
        ok("headers", "see above")
            .header("x-answer", Some("42"))
            .header("x-length", Some("1")),
        Case::new(
            "context",
            asks("context").header("X-Mine", "yes"),
            200,
            Body::Json(context),
        ),
        ok("explain header", "False"),
        ok("metrics", "counted"),
    ]
}

fn failures() -> Vec<Case> {
    let fails = |name: &'static str, status, message| {
        Case::new(name, asks(name), status, Body::Failure(message))
    };
    // We say what of.
    let died = |name| {
        Case::new(name, asks(name), 500, Body::FailureFrom("Worker died.")).unlike(
            Who::TheirServer,
            500,
            Body::Failure("Worker died."),
        )
    };
    vec![
        fails("exception", 503, "Prediction failed"),
        fails("runtime error", 503, "Prediction failed"),
        fails("key error", 503, "Prediction failed"),
        fails("memory", 507, "Out of resources"),
        fails("device", 507, "Out of resources"),
        fails("refuse", 422, "not this one"),
        fails("refuse plainly", 500, "not this one either"),
        fails("no list", 503, "Invalid model predict output"),
        fails("no answer", 503, "Invalid model predict output"),
        fails("too many", 503, "number of batch response mismatched"),
        fails("too few", 503, "number of batch response mismatched"),
        fails("no json", 503, "Unsupported model output data type."),
        fails("nothing of that name", 503, "Prediction failed"),
        died("exit"),
        // By the worker that takes the place of the one that died.
        ok("text", "Grüße"),
        died("abort"),
        ok("text", "Grüße"),
    ]
}

fn handlers() -> Vec<Case> {
    let text = |path: &str, body: &str| Request::post(path, body).content_type("text/plain");
    let numbers =
        |body: &str| Request::post("/predictions/network", body).content_type("application/json");
    vec![
        Case::new(
            "a class",
            text("/predictions/whole", "you"),
            200,
            Body::Bytes("Hello, you".into()),
        ),
        Case::new(
            "explanations",
            text("/explanations/whole", "you"),
            200,
            Body::Json(json!({"because": "you"})),
        ),
        Case::new(
            "a module",
            text("/predictions/module", "quiet"),
            200,
            Body::Bytes("QUIET".into()),
        ),
        Case::new(
            "a stream",
            text("/predictions/stream", ""),
            200,
            Body::Bytes("part 0, part 1, and the end".into()),
        )
        .header("transfer-encoding", Some("chunked"))
        .header("ts_stream_next", Some("true")),
        Case::new(
            "the base class",
            numbers("[1.5, 2]"),
            200,
            Body::Json(json!({"doubled": [3.0, 4.0], "rows": 1})),
        ),
        Case::new(
            "the base class with what is no number",
            numbers("[\"x\"]"),
            503,
            Body::Failure("Prediction failed"),
        ),
    ]
}
