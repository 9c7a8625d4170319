//! Registering by url on the real daemon: what comes from elsewhere serves, goes when it is unregistered, and what does
//! not come leaves nothing behind.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

use crate::client::{Answer, Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon, Process, START, Stream};
use crate::web_server::Web;

/// A bench whose store is empty, and `double.mar` beside it.
fn bench(config: &str) -> (Bench, PathBuf) {
    let bench = Bench::new()
        .config(&format!(
            "enable_model_api=true\nallow_private_urls=true\n{config}"
        ))
        .with(&Model::double());
    let archive = bench.path("double.mar");
    fs::rename(bench.path("store/double.mar"), &archive).expect("moved");
    (bench, archive)
}

fn served(config: &str) -> (Daemon, Web) {
    let (bench, archive) = bench(config);
    let web = Web::start(fs::read(archive).expect("an archive"));
    (bench.start_with(&["--model-store", "store"]), web)
}

fn ask(daemon: &Daemon, method: &str, path: &str) -> Answer {
    let address = daemon.address_of("management_address");
    Connection::open(address).request(&Request::new(method, path))
}

fn register(daemon: &Daemon, url: &str, more: &str) -> Answer {
    let encoded: String = url
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    ask(daemon, "POST", &format!("/models?url={encoded}{more}"))
}

#[track_caller]
fn check_registers(daemon: &Daemon, url: &str, more: &str) {
    let answer = register(daemon, url, &format!("&initial_workers=1{more}"));
    let registered = "Model \"double\" Version: 1.0 registered with 1 initial workers";
    assert_eq!(answer.json(), json!({ "status": registered }));
    daemon.check_serves();
}

#[track_caller]
fn check_refused(daemon: &Daemon, url: &str, status: u16, kind: &str, message: &str) {
    let found = register(daemon, url, "");
    let expected = json!({ "code": status, "type": kind, "message": message });
    assert_eq!((found.status, found.json()), (status, expected), "{url}");
}

/// Everything in the model store, hidden or not.
fn in_store(daemon: &Daemon) -> Vec<String> {
    let entries = fs::read_dir(daemon.bench.path("store")).expect("a store");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[track_caller]
fn check_unregisters(daemon: &Daemon) {
    let answer = ask(daemon, "DELETE", "/models/double");
    assert_eq!(
        answer.json(),
        json!({ "status": "Model \"double\" unregistered" })
    );
    assert_eq!(in_store(daemon), [""; 0]);
}

#[test]
fn a_model_is_registered_by_url_and_its_copy_goes_with_it() {
    let (daemon, web) = served("");
    let url = web
        .url("/models/double.mar?sig=hush")
        .replace("http://", "http://user:hush@");
    // Twice: after the first its name is free again.
    for _ in 0..2 {
        check_registers(&daemon, &url, "");
        assert!(daemon.bench.path("store/double.mar").is_file());
        let described: Value = ask(&daemon, "GET", "/models/double").json();
        assert_eq!(described[0]["modelUrl"], url.as_str());
        check_unregisters(&daemon);
    }
    assert_eq!(web.asked().len(), 2);
    daemon.log().wait_for("brought http://");
    let log = daemon.log().of(Stream::Out).join("\n");
    assert!(!log.contains("hush"), "{log}");
}

#[test]
fn a_model_is_registered_from_a_file() {
    let (daemon, _web) = served("");
    let archive = daemon.bench.path("double.mar");
    check_registers(&daemon, &format!("file://{}", archive.display()), "");
    check_unregisters(&daemon);
    assert!(archive.is_file(), "the original stays");
}

#[test]
fn a_model_is_registered_from_s3() {
    let (bench, archive) = bench("allowed_urls=s3://models/.*");
    let web = Web::start(fs::read(archive).expect("an archive"));
    let daemon = bench
        .env("AWS_ENDPOINT_URL", web.url(""))
        .env("AWS_ACCESS_KEY_ID", "some-key".into())
        .env("AWS_SECRET_ACCESS_KEY", "hush".into())
        .start_with(&["--model-store", "store"]);
    check_registers(&daemon, "s3://models/a/double.mar", "&s3_sse_kms=true");
    check_unregisters(&daemon);
    let asked = web.asked().join("");
    assert!(
        asked.starts_with("GET /models/a/double.mar HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("x-amz-server-side-encryption: aws:kms\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("authorization: AWS4-HMAC-SHA256 Credential=some-key/"),
        "{asked}"
    );
    let other = "s3://others/double.mar";
    let text = format!("Given URL {other} does not match any allowed URL(s)");
    check_refused(&daemon, other, 404, "ModelNotFoundException", &text);
}

#[test]
fn over_https_a_server_must_prove_who_it_is() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .expect("they belong together");
    let (bench, archive) = bench("");
    let web = Web::over(fs::read(archive).expect("an archive"), Some(tls));
    let url = format!("https://localhost:{}/double.mar", web.address.port());

    let daemon = bench.start_with(&["--model-store", "store"]);
    let text = format!(
        "Failed to download archive from: {url} (there was no connection: invalid peer certificate: UnknownIssuer)"
    );
    check_refused(&daemon, &url, 400, "DownloadArchiveException", &text);
    let Daemon { process, bench, .. } = daemon;
    drop(process);

    bench.write("issuers.pem", certified.cert.pem().as_bytes());
    let issuers = bench.path("issuers.pem").display().to_string();
    let daemon = bench
        .env("SSL_CERT_FILE", issuers)
        .start_with(&["--model-store", "store"]);
    check_registers(&daemon, &url, "");
    check_unregisters(&daemon);
}

#[test]
fn refusals_are_told_in_torchserves_words() {
    let (daemon, web) = served("max_download_size=100000");
    let check = |url: &str, status, kind: &str, text: &str| {
        check_refused(&daemon, url, status, kind, text);
        assert_eq!(in_store(&daemon), [""; 0], "{url}");
    };
    let not_found = |url: &str, text: &str| check(url, 404, "ModelNotFoundException", text);
    let s3 = "s3://bucket/m.mar";
    let text = format!("Given URL {s3} does not match any allowed URL(s)");
    not_found(s3, &text);
    not_found("ftp://u:p@h/m.mar", "Model not found at: ftp://h/m.mar");
    let up = "file:///srv/../etc/passwd";
    not_found(up, &format!("Relative path is not allowed in url: {up}"));
    not_found("m.mar", "Model not found at: m.mar");
    not_found("../m.mar", "Relative path is not allowed in url: ../m.mar");
    not_found("", "empty url");

    let failed = |url: &str, cause: &str| {
        let text = format!("Failed to download archive from: {url} ({cause})");
        check(url, 400, "DownloadArchiveException", &text);
    };
    failed(&web.url("/gone.mar"), "the server answered 404 Not Found");
    let absent = "/nowhere/m.mar: No such file or directory (os error 2)";
    failed("file:///nowhere/m.mar", absent);
    failed(
        "https://h/",
        "its path ends in no name that a file in the model store can have",
    );
    // Brought, but no archive.
    let answer = register(&daemon, &web.url("/broken.mar"), "");
    assert_eq!(
        (answer.status, &answer.json()["type"]),
        (400, &json!("InvalidModelException"))
    );
    assert_eq!(in_store(&daemon), [""; 0]);

    // A file of that name is there; it stays.
    daemon.bench.write("store/double.mar", b"mine");
    let text = "Model file already exists double.mar";
    check_refused(
        &daemon,
        &web.url("/double.mar"),
        500,
        "InternalServerException",
        text,
    );
    assert_eq!(in_store(&daemon), ["double.mar"]);
    let kept = fs::read(daemon.bench.path("store/double.mar")).expect("there");
    assert_eq!(kept, b"mine");
}

#[test]
fn urls_and_redirects_that_are_not_allowed_are_refused() {
    let (bench, archive) = bench("enable_envvars_config=true\nuse_env_allowed_urls=true");
    let web = Web::start(fs::read(archive).expect("an archive"));
    let daemon = bench
        .env("TS_ALLOWED_URLS", r"http://127\.0\.0\.1:\d+/.*".into())
        .start_with(&["--model-store", "store"]);
    check_registers(&daemon, &web.url("/double.mar"), "");
    let text = "Given URL file:///m.mar does not match any allowed URL(s)";
    check_refused(
        &daemon,
        "file:///m.mar",
        404,
        "ModelNotFoundException",
        text,
    );
    let url = web.url("/elsewhere.mar");
    let text = format!(
        "Failed to download archive from: {url} (it redirects to http://example.org/m.mar, which does not match any \
         allowed URL(s))"
    );
    check_refused(&daemon, &url, 400, "DownloadArchiveException", &text);
}

#[test]
fn private_addresses_are_refused_unless_they_are_permitted() {
    let (daemon, web) = served("allow_private_urls=false");
    let url = web.url("/double.mar");
    let text = format!(
        "Failed to download archive from: {url} (127.0.0.1 has the address 127.0.0.1, which is not public; \
         allow_private_urls=true would permit it)"
    );
    check_refused(&daemon, &url, 400, "DownloadArchiveException", &text);
    assert_eq!(web.asked(), [""; 0]);
}

#[test]
fn a_registration_that_fails_after_the_download_leaves_nothing() {
    let (daemon, web) = served("");
    let url = web.url("/double.mar");
    // A handler that cannot be, and workers that are given no time.
    let answer = register(&daemon, &url, "&handler=no_such_handler");
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(in_store(&daemon), [""; 0]);
    let answer = register(&daemon, &url, "&initial_workers=1&startup_timeout=0");
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert_eq!(in_store(&daemon), [""; 0]);
    check_registers(&daemon, &url, "");
    // The name of the model is taken, that of the file is not.
    let again = register(&daemon, &web.url("/other/double.mar"), "");
    assert_eq!(again.status, 500, "{}", again.text());
    daemon.check_serves();
    check_unregisters(&daemon);
}

#[test]
fn models_of_the_start_may_be_urls_and_their_copies_outlast_it() {
    let (bench, archive) = bench("");
    let web = Web::start(fs::read(archive).expect("an archive"));
    let models = format!("double={}", web.url("/double.mar"));
    let gone = web.url("/gone.mar?sig=hush");
    let arguments = ["--model-store", "store", "--models", &models, &gone];
    let daemon = bench.start_with(&arguments);
    let left_out = daemon.log().wait_for("is left out: ");
    assert!(
        !left_out.contains("hush") && left_out.contains("404"),
        "{left_out}"
    );
    daemon.check_serves();
    assert_eq!(web.asked().len(), 2);

    // After a stop, and after a kill, the next start takes the copy.
    for signal in [Signal::TERM, Signal::KILL] {
        let Daemon {
            mut process, bench, ..
        } = loaded_at_start(&models);
        process.signal(signal);
        process.wait();
        assert!(bench.path("store/double.mar").is_file(), "{signal:?}");
        let asked = web.asked().len();
        let daemon = bench.start_with(&["--model-store", "store", "--models", &models]);
        daemon.check_serves();
        assert_eq!(web.asked().len(), asked, "it was brought again");
        check_unregisters(&daemon);
    }
}

#[test]
fn a_stop_does_not_wait_for_a_download_of_the_start() {
    let (bench, _) = bench("");
    let web = Web::start(Vec::new());
    let url = web.url("/endless.mar");
    let what = ["--model-store", "store", "--models", &url];
    let mut process = Process::start(bench.command(&[&START[..], &what].concat()));
    process.log.wait_for("bringing http://");
    process.signal(Signal::TERM);
    let status = process.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    let left: Vec<String> = fs::read_dir(bench.path("store"))
        .expect("a store")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into()
        })
        .collect();
    // Hidden, and to be continued.
    assert!(
        left.iter().all(|name| name.starts_with(".endless.mar.")),
        "{left:?}"
    );
    assert_eq!(left.len(), 2, "{left:?}");
}

/// A daemon of its own that loaded the model at start.
fn loaded_at_start(models: &str) -> Daemon {
    let (bench, _) = bench("");
    let daemon = bench.start_with(&["--model-store", "store", "--models", models]);
    daemon.check_serves();
    daemon
}
