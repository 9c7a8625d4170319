//! Two scripted servers side by side.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Compare, Comparison, run};
use crate::error::Error;
use crate::{Configured, Context};

/// What a server answers, by path; of a prediction, by path, a blank and the body.
#[derive(Default, Clone)]
struct Script(HashMap<String, (u16, &'static str, Vec<u8>)>);

impl Script {
    fn says(mut self, path: &str, status: u16, body: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.to_owned(), (status, "", body.into()));
        self
    }

    fn typed(mut self, path: &str, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        self.0
            .insert(path.to_owned(), (200, content_type, body.into()));
        self
    }

    /// Registers a model with one version and that batch size.
    fn model(self, name: &str, batch_size: u64) -> Self {
        let description = json!([{"modelName": name, "modelVersion": "1.0", "batchSize": batch_size,
            "maxBatchDelay": 100, "responseTimeout": 120, "minWorkers": 1, "workers": [{"status": "READY"}]}]);
        self.says(&format!("/models/{name}/all"), 200, description.to_string())
    }

    fn list(self, names: &[&str]) -> Self {
        let models: Vec<Value> = names.iter().map(|it| json!({"modelName": it})).collect();
        self.says("/models", 200, json!({"models": models}).to_string())
    }

    /// Serves until the test ends.
    async fn serve(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let script = Arc::new(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = Arc::clone(&script);
                let service = service_fn(move |request| answer(Arc::clone(&script), request));
                let server = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(server);
            }
        });
        address
    }
}

async fn answer(
    script: Arc<Script>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let token = request.headers().get("authorization");
    let token = token.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let body = request.into_body().collect().await.map(|it| it.to_bytes());
    let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
    let keys = [
        format!("{path} {body}"),
        path.clone(),
        format!("{} {path}", token.unwrap_or_default()),
    ];
    let found = keys.iter().find_map(|key| script.0.get(key));
    let response = match found {
        Some((status, content_type, body)) => {
            let response = Response::builder().status(*status);
            let response = match *content_type {
                "" => response,
                content_type => response.header("content-type", content_type),
            };
            response.body(Full::from(body.clone()))
        }
        None => {
            let body = json!({"code": 404, "type": "ModelNotFoundException",
                "message": format!("Model not found: {path}")});
            Response::builder()
                .status(404)
                .body(Full::from(body.to_string()))
        }
    };
    Ok(response.expect("a response of the script"))
}

fn configured(_: Option<&std::path::Path>) -> Result<Configured, String> {
    Err("no configuration here".to_owned())
}

/// Compares two scripts; samples as `model/file` and content.
async fn compare(
    theirs: Script,
    ours: Script,
    samples: Option<&[(&str, &[u8])]>,
    more: impl FnOnce(&mut Compare),
) -> Result<Comparison, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in samples.unwrap_or_default() {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
        fs::write(path, content).expect("written");
    }
    let (theirs, ours) = (theirs.serve().await, ours.serve().await);
    let url = |address: SocketAddr| Some(format!("http://{address}"));
    let mut args = Compare {
        compare: url(theirs),
        management: url(theirs),
        ours: url(ours),
        our_management: url(ours),
        samples: samples.map(|_| folder.path().to_owned()),
        ..Compare::default()
    };
    more(&mut args);
    let context = Context {
        configured: &configured,
        program: clap::Command::new("test"),
        env: &|_| None,
        folder: PathBuf::from("/nowhere"),
    };
    run(&args, None, &context).await
}

/// The table without its first line, which has the ports, and with `#` for times.
fn table(comparison: &Comparison) -> Vec<String> {
    let is_time = |word: &str| {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        let number = digits.parse::<f64>().is_ok();
        number && ["µs", "ms", "s"].contains(&&word[digits.len()..])
    };
    let text = comparison.text(false);
    let lines = text.lines().skip(2).filter(|line| !line.is_empty());
    let words = |line: &str| -> Vec<String> {
        let words = line.split_whitespace();
        words
            .map(|word| if is_time(word) { "#" } else { word }.to_owned())
            .collect()
    };
    lines.map(|line| words(line).join(" ")).collect()
}

#[tokio::test]
async fn samples_are_sent_to_both_and_differences_come_first() {
    let both = || Script::default().model("cats", 1).model("words", 4);
    let theirs = both()
        .list(&["words", "cats", "gone"])
        .model("gone", 1)
        .says("/predictions/cats a", 200, r#"{"tabby": 0.9, "lynx": 0.1}"#)
        .says("/predictions/cats b", 200, r#"{"tabby": 0.5, "lynx": 0.5}"#)
        .says("/predictions/cats c", 500, "broken")
        .typed("/predictions/words t", "text/plain", "hello");
    let ours = both()
        .model("words", 8)
        .says(
            "/predictions/cats a",
            200,
            r#"{"lynx":0.100001,"tabby":0.9}"#,
        )
        .says("/predictions/cats b", 200, r#"{"tabby": 0.6, "lynx": 0.4}"#)
        .says("/predictions/cats c", 500, "broken")
        .typed("/predictions/words t", "text/html", "hello");
    let samples: [(&str, &[u8]); 6] = [
        ("cats/1.bin", b"a"),
        ("cats/2.bin", b"b"),
        ("cats/3.bin", b"c"),
        ("cats/.hidden", b"x"),
        ("words/t.txt", b"t"),
        ("birds/x.txt", b"x"),
    ];
    let found = compare(theirs, ours, Some(&samples), |_| {}).await;
    let found = found.expect("compared");
    assert!(!found.is_same());
    let expected = [
        "MODEL WHAT RESULT THEIRS OURS",
        "cats 2.bin differs # #",
        "body $.tabby and 1 more place: 0.5 there, 0.6 here",
        "gone description differs",
        "model: registered there, not registered here",
        "words description differs",
        "batchSize: 4 there, 8 here",
        "words t.txt differs # #",
        "content-type: text/plain there, text/html here",
        "cats description same",
        "cats 1.bin same # #",
        "cats 3.bin same # #",
        "both answer 500",
        "No samples, so no answers were compared: gone",
        "Samples of no model that is there: birds",
    ];
    let lines = table(&found);
    assert_eq!(lines[..lines.len() - 1], expected);
    let last = lines.last().expect("a line");
    assert!(
        last.starts_with("3 models and 4 samples: 3 models differ; median time"),
        "{last}"
    );

    let document = found.document();
    let differences = &document["models"][0]["samples"][1];
    assert_eq!(
        differences["differences"],
        json!([{"what": "body $.tabby and 1 more place", "theirs": 0.5, "ours": 0.6}])
    );
    assert_eq!(differences["theirs"]["status"], 200);
    assert!(differences["ours"]["seconds"].is_f64(), "{differences}");
    assert_eq!(
        document["summary"],
        json!({"same": false, "models": 3, "models_same": 0, "samples": 4, "samples_same": 2})
    );
    assert_eq!(document["unused_samples"], json!(["birds"]));
}

#[tokio::test]
async fn without_samples_it_says_what_it_did_not_do() {
    let script = Script::default().list(&["cats"]).model("cats", 1);
    let found = compare(script.clone(), script, None, |_| {}).await;
    let found = found.expect("compared");
    assert!(found.is_same());
    assert_eq!(
        table(&found)[1..],
        [
            "cats description same",
            "Without --samples only what the two say of their models was compared, not what the models answer.",
            "1 model and 0 samples: nothing differs",
        ]
    );
}

#[tokio::test]
async fn each_server_gets_its_own_key_and_what_fails_is_told() {
    let list = json!({"models": []}).to_string();
    let theirs = Script::default().says("Bearer their-key /models", 200, list);
    let key = |key: &str| Some(key.parse().expect("a key"));
    let found = compare(theirs.clone(), Script::default(), None, |args| {
        args.their_token = key("their-key");
        args.token = key("our-key");
    });
    assert!(found.await.expect("compared").is_same());
    let error = compare(theirs, Script::default(), None, |args| {
        args.token = key("their-key");
    });
    let error = error.await.expect_err("without a key").to_string();
    assert!(
        error.starts_with("theirs (http://127.0.0.1:") && error.contains("Model not found"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_says_too_much_is_not_read_to_the_end() {
    let script = |size: usize| {
        Script::default()
            .list(&["m"])
            .model("m", 1)
            .says("/predictions/m x", 200, vec![b'x'; size])
    };
    let large = super::samples::MOST_BYTES + 1;
    let found = compare(script(1), script(large), Some(&[("m/x", b"x")]), |_| {}).await;
    let found = found.expect("compared");
    assert_eq!(
        found.document()["models"][0]["samples"][0]["ours"],
        json!({"error": "the answer has more than 64 MiB, which is not compared"})
    );
    assert!(!found.is_same());
}

#[tokio::test]
async fn addresses_and_folders_that_are_none_are_named() {
    let check = async |change: fn(&mut Compare), expected: &str| {
        let script = Script::default().list(&[]);
        let error = compare(script.clone(), script, None, change).await;
        let error = error.expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        |args| {
            args.compare = Some("ftp://box".into());
            args.management = None;
        },
        "--compare ftp://box: expected http://host[:port]",
    )
    .await;
    check(
        |args| args.samples = Some("/no/such/folder".into()),
        "/no/such/folder: No such file",
    )
    .await;
    check(
        |args| {
            args.ours = None;
            args.our_management = None;
        },
        "no configuration here",
    )
    .await;
}
