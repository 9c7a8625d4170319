//! A front without sockets and without libtorch, in front of a scripted model.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;

use super::super::tests::{Answer, Api, send};
use super::*;
use crate::app::{BodyLimits, WireSettings};
use crate::auth::Auth;
use crate::memory::Memory;

const DOCUMENT: &str = "
name: mine
address: http://127.0.0.1:0
cors: true
routes:
  - {path: /, file: page.html}
  - {path: /about, json: {name: mine}}
  - {path: /labels, labels: {model: m}}
  - {path: /labels/gone, labels: {model: gone}}
  - method: POST
    path: /ask
    predict:
      model: m
      field: file
      content_type: application/octet-stream
      answer: {status: ok, said: $.}
      missing: {errors: {file: missing}, message: $.message}
      bad_input: {message: unusable}
  - {method: POST, path: /plain, predict: {model: m, field: file}}
  - {method: POST, path: /lost, predict: {model: m, field: file, answer: {x: $.x}}}
  - {method: POST, path: /gone, predict: {model: gone, field: file}}
  - {method: POST, path: /flow, predict: {workflow: w, field: file}}
";

struct Served {
    router: Router,
    _api: Api,
}

impl Served {
    async fn start(document: &str, auth: Auth) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("f.yaml"), document).expect("written");
        std::fs::write(folder.path().join("page.html"), "<p>mine</p>").expect("written");
        let (front, _) = Front::open("f.yaml", folder.path(), &|_| None)
            .unwrap_or_else(|error| panic!("{error}"));
        let mut api = Api::guarded_by(auth).await;
        api.app.settings = Arc::new(WireSettings {
            body: BodyLimits {
                size: 1000,
                stall: Duration::from_secs(1),
                memory: Memory::new(1 << 20),
                copied: servable::Copied::default(),
            },
            ..(*api.app.settings).clone()
        });
        Served {
            router: front_router(&api.app, &front),
            _api: api,
        }
    }

    async fn ask(&self, line: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let (method, path) = line.split_once(' ').expect("method and path");
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(
            &self.router,
            request.body(Body::from(body)).expect("a request"),
        )
        .await
    }

    /// Posts a form with one field: its head and its content.
    async fn post(&self, path: &str, head: &str, content: &str) -> Answer {
        let body =
            format!("--Z\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n--Z--\r\n");
        let form = [("content-type", "multipart/form-data; boundary=Z")];
        self.ask(&format!("POST {path}"), &form, body).await
    }
}

fn json(answer: &Answer) -> serde_json::Value {
    assert_eq!(
        answer.headers["content-type"], "application/json",
        "{}",
        answer.body
    );
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}

#[tokio::test]
async fn every_kind_of_route_answers() {
    let front = Served::start(DOCUMENT, Auth::off()).await;
    let check = async |line: &str, status: u16, expected: &str| {
        let answer = front.ask(line, &[], String::new()).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.body);
        let found = match answer.body.as_bytes().first() {
            Some(b'{' | b'[') => json(&answer).to_string(),
            _ => answer.body.clone(),
        };
        assert_eq!(found, expected, "{line}");
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{line}");
    };
    check("GET /", 200, "<p>mine</p>").await;
    check("GET /about", 200, r#"{"name":"mine"}"#).await;
    check("GET /about/", 200, r#"{"name":"mine"}"#).await;
    check(
        "GET /labels",
        200,
        r#"[{"id":0,"name":"sand"},{"id":1,"name":"rock"}]"#,
    )
    .await;
    check(
        "GET /labels/gone",
        503,
        r#"{"message":"Model not found: gone"}"#,
    )
    .await;
    let unknown = r#"{"message":"Requested resource is not found, please refer to API document."}"#;
    check("GET /nothing", 404, unknown).await;
    check("OPTIONS /nothing", 404, unknown).await;
    check("GET /predictions/m", 404, unknown).await;
    let method = r#"{"message":"Requested method is not allowed, please refer to API document."}"#;
    check("POST /about", 405, method).await;
    check("GET /ask", 405, method).await;
}

#[tokio::test]
async fn the_file_of_a_form_is_asked_about_and_nothing_else_of_it() {
    let front = Served::start(DOCUMENT, Auth::off()).await;
    let check = async |path: &str, head: &str, content: &str, status: u16, expected: &str| {
        let answer = front.post(path, head, content).await;
        assert_eq!(answer.status, status, "{head}: {}", answer.body);
        let found = if answer.body.starts_with('{') {
            json(&answer).to_string()
        } else {
            answer.body
        };
        assert_eq!(found, expected, "{head}: {content}");
    };
    let file = "name=\"file\"; filename=\"x.png\"";
    check(
        "/ask",
        file,
        "echo hello",
        200,
        r#"{"status":"ok","said":"echo hello"}"#,
    )
    .await;
    check("/ask", file, "bad", 400, r#"{"message":"unusable"}"#).await;
    let missing = r#"{"errors":{"file":"missing"},"message":"The form has no file `file`."}"#;
    check("/ask", "name=\"file\"", "echo hello", 400, missing).await;
    check("/ask", "name=\"file\"; filename=\"\"", "", 400, missing).await;
    check(
        "/ask",
        "name=\"other\"; filename=\"x.png\"",
        "echo",
        400,
        missing,
    )
    .await;
    check(
        "/ask",
        file,
        "fail",
        503,
        r#"{"message":"Prediction failed"}"#,
    )
    .await;
    check("/plain", file, "echo hello", 200, "echo hello").await;
    check(
        "/plain",
        file,
        "bad",
        400,
        r#"{"message":"the input is bad"}"#,
    )
    .await;
    check(
        "/plain",
        "name=\"x\"",
        "",
        400,
        r#"{"message":"The form has no file `file`."}"#,
    )
    .await;
    check(
        "/lost",
        file,
        "echo",
        500,
        r#"{"message":"The answer of the model m has no $.x."}"#,
    )
    .await;
    check(
        "/gone",
        file,
        "echo",
        503,
        r#"{"message":"Model not found: gone"}"#,
    )
    .await;
    let large = r#"{"message":"The request is larger than the server takes."}"#;
    check("/ask", file, &"x".repeat(2000), 413, large).await;
    let answer = front.post("/flow", file, "echo").await;
    assert_eq!(answer.status, 503, "{}", answer.body);

    let raw = front.ask("POST /ask", &[], "echo hello".into()).await;
    assert_eq!(
        (raw.status, json(&raw).to_string().as_str()),
        (400, missing)
    );
    let form = [("content-type", "multipart/form-data; boundary=Z")];
    let broken = front.ask("POST /ask", &form, "no form".into()).await;
    assert_eq!(broken.status, 400);
    let message = json(&broken)["message"]
        .as_str()
        .map(str::to_owned)
        .expect("a message");
    assert!(
        message.starts_with("malformed multipart body: "),
        "{message}"
    );
}

#[tokio::test]
async fn a_browser_is_told_what_scripts_may_do() {
    let front = Served::start(DOCUMENT, Auth::off()).await;
    let headers = [
        ("origin", "http://elsewhere"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-one, x-two"),
    ];
    let answer = front.ask("OPTIONS /ask", &headers, String::new()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(
        answer.headers["access-control-allow-methods"],
        "POST, OPTIONS"
    );
    assert_eq!(
        answer.headers["access-control-allow-headers"],
        "x-one, x-two"
    );
    assert_eq!(answer.headers["allow"], "POST, OPTIONS");
    let answer = front.ask("DELETE /about", &[], String::new()).await;
    assert_eq!(answer.headers["allow"], "GET, HEAD, OPTIONS");

    let closed = DOCUMENT.replace("cors: true", "cors: false");
    let front = Served::start(&closed, Auth::off()).await;
    for line in ["OPTIONS /ask", "GET /about", "GET /nothing"] {
        let answer = front.ask(line, &headers, String::new()).await;
        let told: Vec<_> = answer
            .headers
            .keys()
            .filter(|name| name.as_str().starts_with("access-"))
            .collect();
        assert!(told.is_empty(), "{line}: {told:?}");
    }
}

#[tokio::test]
async fn a_front_asks_for_the_key_only_if_it_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key_file.json");
    let auth = || Auth::on(&file, Duration::from_secs(3600), SystemTime::now()).expect("keys");
    let open = Served::start(DOCUMENT, auth()).await;
    assert_eq!(open.ask("GET /about", &[], String::new()).await.status, 200);

    let guarded = format!("{DOCUMENT}tokens: true\n");
    let guarded = Served::start(&guarded, auth()).await;
    let refused = guarded.ask("GET /about", &[], String::new()).await;
    assert_eq!(refused.status, 400);
    let message = json(&refused)["message"].to_string();
    assert!(
        message.starts_with("\"Token Authorization failed."),
        "{message}"
    );
    let key = key(&file);
    let bearer = [("authorization", key.as_str())];
    assert_eq!(
        guarded
            .ask("GET /about", &bearer, String::new())
            .await
            .status,
        200
    );
    assert_eq!(
        guarded
            .ask("OPTIONS /about", &[], String::new())
            .await
            .status,
        200
    );
}

fn key(file: &Path) -> String {
    let text = std::fs::read(file).expect("a key file");
    let document: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    format!(
        "Bearer {}",
        document["inference"]["key"].as_str().expect("a key")
    )
}
