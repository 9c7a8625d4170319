//! Token authorization: keys in a file, without which nothing but the description of the API answers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Api, NO_ROUTE};
use crate::client::{Answer, Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon, Process, START};

/// A daemon that asks for tokens, with these further lines of configuration.
fn guarded(lines: &str) -> Daemon {
    let lines = format!("disable_token_authorization=false\n{lines}");
    Bench::new().config(&lines).with(&Model::double()).start()
}

fn key(daemon: &Daemon, name: &str) -> String {
    let text = fs::read(daemon.bench.path("key_file.json")).expect("a key file");
    let keys: Value = serde_json::from_slice(&text).expect("JSON");
    keys[name]["key"].as_str().expect("a key").to_owned()
}

fn ask(daemon: &Daemon, request: Request, key: &str) -> Answer {
    daemon.send(&request.header("Authorization", &format!("Bearer {key}")))
}

fn ping(daemon: &Daemon, key: &str) -> Answer {
    ask(daemon, Request::new("GET", "/ping"), key)
}

#[track_caller]
fn check_refused(answer: &Answer) {
    let expected = "{\n  \"code\": 400,\n  \"type\": \"InvalidKeyException\",\n  \"message\": \"Token Authorization failed. \
                    Token either incorrect, expired, or not provided correctly\"\n}\n";
    assert_eq!((answer.status, answer.text()), (400, expected));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn c_4_a_request_needs_the_key_of_its_api() {
    let daemon = guarded("");
    let predict = || Request::post("/predictions/double", "[1, 2]");
    check_refused(&daemon.send(&predict()));
    check_refused(&daemon.get("/ping"));
    check_refused(&daemon.get("/nothing/here"));
    for name in ["management", "API"] {
        check_refused(&ask(&daemon, predict(), &key(&daemon, name)));
    }
    let right = key(&daemon, "inference");
    check_refused(&daemon.send(&predict().header("Authorization", &right)));
    for wrong in [
        "bearer KEY",
        "Bearer",
        "Bearer KEY KEY",
        "Token KEY",
        "xBearer KEY",
    ] {
        let value = wrong.replace("KEY", &right);
        check_refused(&daemon.send(&predict().header("Authorization", &value)));
    }
    assert_eq!(
        ask(&daemon, predict(), &right).prediction(),
        json!([2.0, 4.0])
    );
    assert_eq!(ping(&daemon, &right).status, 200);
    assert_eq!(
        ask(&daemon, Request::new("GET", "/nothing/here"), &right).status,
        404
    );
    // Descriptions are open, and so are metrics.
    let management = Api::management(&daemon);
    for api in [&Api::inference(&daemon), &management] {
        assert_eq!(api.ask("GET /api-description").status, 200);
        assert_eq!(api.ask("OPTIONS /").status, 200);
    }
    assert_eq!(Api::metrics(&daemon).ask("GET /metrics").status, 200);
    // The management API has a key of its own.
    let list = |key: &str| {
        let request = Request::new("GET", "/models");
        management.send(&request.header("Authorization", &format!("Bearer {key}")))
    };
    check_refused(&management.ask("GET /models"));
    check_refused(&list(&right));
    assert_eq!(list(&key(&daemon, "management")).status, 200);
}

#[test]
fn c_4_keys_are_told_in_a_file_of_the_owner_and_nowhere_else() {
    let daemon = guarded("");
    let file = daemon.bench.path("key_file.json");
    let mode = fs::metadata(&file)
        .expect("a key file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let keys: Value = serde_json::from_slice(&fs::read(&file).expect("a key file")).expect("JSON");
    let members = keys.as_object().expect("an object");
    let names: Vec<&String> = members.keys().collect();
    assert_eq!(names, ["management", "inference", "API"]);
    for (name, entry) in members {
        let key = entry["key"].as_str().expect("a key");
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(key.len() == 8 && key.chars().all(allowed), "{key}");
        // The API key does not expire.
        let expires = entry["expiration time"].as_str();
        assert_eq!(expires.is_none(), name == "API", "{name}");
        if let Some(time) = expires {
            assert!(time.contains('T') && time.ends_with('Z'), "{time}");
        }
    }
    daemon
        .log()
        .wait_for("token authorization is on; the keys are in");
    let right = key(&daemon, "inference");
    assert_eq!(ping(&daemon, &right).status, 200);
    check_refused(&ping(&daemon, &key(&daemon, "management")));
    daemon.log().wait_for("GET /ping HTTP/1.1\" 400");
    for name in ["management", "inference", "API"] {
        let key = key(&daemon, name);
        let told = |stream| {
            daemon
                .log()
                .of(stream)
                .iter()
                .any(|line| line.contains(&key))
        };
        assert!(
            !told(crate::harness::Stream::Out) && !told(crate::harness::Stream::Err),
            "{name}"
        );
    }
}

#[test]
fn c_4_a_key_expires() {
    let bench = Bench::new();
    let daemon = bench
        .config("disable_token_authorization=false\ntoken_expiration_min=0.05")
        .start();
    let right = key(&daemon, "inference");
    assert_eq!(
        ping(&daemon, &right).status,
        200,
        "within three seconds of the start"
    );
    let patience = Instant::now() + Duration::from_secs(30);
    while ping(&daemon, &right).status == 200 {
        assert!(Instant::now() < patience, "the key is valid for ever");
        sleep(Duration::from_millis(100));
    }
    check_refused(&ping(&daemon, &right));
}

#[test]
fn c_4_the_api_key_renews_a_key_at_the_management_address() {
    let daemon = guarded("");
    let address = daemon.address_of("management_address");
    let ask = |line: &str, key: &str| {
        let request = super::request(line).header("Authorization", &format!("Bearer {key}"));
        Connection::open(address).request(&request)
    };
    let renew = |key: &str| ask("GET /token?type=inference", key);
    let old = key(&daemon, "inference");
    let api = key(&daemon, "API");
    let refusals = [
        renew(&old),
        renew(&key(&daemon, "management")),
        ask("GET /token", &api),
        ask("GET /token?type=API", &api),
        ask("GET /token?type=", &api),
    ];
    for refused in refusals {
        assert_eq!(refused.status, 400);
        assert_eq!(refused.json()["type"], "InvalidKeyException");
        let expected = "Token Authentication failed. Token either incorrect, expired, or not provided correctly";
        assert_eq!(refused.message(), expected);
    }
    assert_eq!(ping(&daemon, &old).status, 200);
    let renewed = renew(&key(&daemon, "API"));
    assert_eq!((renewed.status, renewed.text()), (200, "\n"));
    check_refused(&ping(&daemon, &old));
    assert_eq!(ping(&daemon, &key(&daemon, "inference")).status, 200);
    // By any method, and the other key, too. The API key stays what it was.
    let before = key(&daemon, "management");
    assert_eq!(ask("DELETE /token?type=management", &api).status, 200);
    assert_ne!(key(&daemon, "management"), before);
    assert_eq!(key(&daemon, "API"), api);
    // Only the path leads there, nothing else that says `/token`.
    check_refused(&ask("GET /models?x=/token", &api));
}

#[test]
fn c_4_every_start_has_new_keys() {
    let bench = Bench::new().config("disable_token_authorization=false");
    bench.write("key_file.json", b"{\"inference\": {\"key\": \"previous\"}}");
    let daemon = bench.start();
    check_refused(&ping(&daemon, "previous"));
    assert_eq!(ping(&daemon, &key(&daemon, "inference")).status, 200);
}

#[test]
fn c_4_a_key_file_that_cannot_be_written_refuses_the_start() {
    let bench = Bench::new().config("disable_token_authorization=false");
    // A folder of that name is in the way, even of root.
    bench.write("key_file.json/file", b"");
    let ran = bench.run(&[&START[..], &["--model-store", "store"]].concat());
    assert_eq!(ran.code, Some(1));
    let [line] = ran.stderr.as_slice() else {
        panic!("one line: {:?}", ran.stderr);
    };
    let begin = "token authorization: cannot write the keys to ";
    assert!(
        line.starts_with(begin) && line.contains("key_file.json"),
        "{line}"
    );
    assert!(
        !ran.stdout
            .iter()
            .any(|line| line.contains("Model server started."))
    );
}

#[test]
fn c_4_without_authorization_there_are_no_keys() {
    let daemon = Bench::new().start();
    assert!(!daemon.bench.path("key_file.json").exists());
    assert_eq!(daemon.get("/ping").status, 200);
    let (kind, message) = NO_ROUTE;
    let line = "GET /token?type=inference";
    Api::management(&daemon).check_failed(&[(line, 404, kind, message)]);
}

#[test]
fn c_4_stopping_removes_the_keys() {
    let bench = Bench::new().config("disable_token_authorization=false");
    let start = "--start --ncs --ts-config config.properties --model-store store";
    let start: Vec<&str> = start.split_whitespace().collect();
    let launcher = Process::start(bench.command(&start));
    launcher.log.wait_for("Model server started.");
    let file = bench.path("key_file.json");
    let written = file.exists();
    bench.run(&["--stop", "--foreground"]);
    assert!(written && !file.exists());
}
