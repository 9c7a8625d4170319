//! gRPC over real connections: what clients bring that is too much, and what they take away again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use proto::torchserve::inference::inference_ap_is_service_client::InferenceApIsServiceClient;
use proto::torchserve::inference::{PredictionsRequest, inference_ap_is_service_server as server};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::cue::{self, poll};
use crate::fixtures::{Model, own, pictures};
use crate::harness::{Bench, Daemon};
use crate::python;

type Client = InferenceApIsServiceClient<Channel>;

/// The address of its gRPC inference service.
fn address(daemon: &Daemon) -> SocketAddr {
    daemon.address_of("grpc_inference_address")
}

async fn connect(address: SocketAddr) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let channel = endpoint.connect().await.expect("it listens");
    InferenceApIsServiceClient::new(channel)
}

fn asking(model: &str, body: &'static str) -> PredictionsRequest {
    PredictionsRequest {
        model_name: model.into(),
        input: HashMap::from([("body".to_owned(), Bytes::from_static(body.as_bytes()))]),
        ..PredictionsRequest::default()
    }
}

/// A daemon for the clients of `tests/python`, and what they are told: gRPC, its management, REST, a picture.
fn for_clients(config: &str) -> (Daemon, [String; 4]) {
    let bench = Bench::new().config(&format!("load_workflows=twice.yaml\n{config}"));
    let spec = "inputs: {body: any}\nmodels: {doubler: {url: double.mar}}\n\
                nodes: {doubled: {model: doubler, in: body}}\noutput: doubled\n";
    bench.write("store/twice.yaml", spec.as_bytes());
    let daemon = bench
        .with(&Model::double())
        .with(&Model::mlp())
        .with(&Model::substrate())
        .start();
    daemon.wait_for_ok("/ready");
    let (name, _) = pictures(&own("substrates")).swap_remove(0);
    let picture = own("substrates").join(format!("{name}.png"));
    let told = [
        address(&daemon).to_string(),
        daemon.address_of("grpc_management_address").to_string(),
        daemon.address.to_string(),
        picture.display().to_string(),
    ];
    (daemon, told)
}

#[test]
fn torchserves_services_are_there_for_stubs_of_our_files() {
    let (daemon, told) = for_clients("enable_model_api=true");
    let stubs = daemon.bench.path("stubs");
    std::fs::create_dir(&stubs).expect("a new folder");
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto");
    let stubs = stubs.display().to_string();
    let mut arguments = vec![proto, &stubs];
    arguments.extend(told.iter().map(String::as_str));
    python::run("torchserve_grpc.py", &arguments);
}

#[test]
fn tritons_client_is_at_home() {
    let (_daemon, told) = for_clients("enable_model_api=true");
    python::run("v2_grpc.py", &told.each_ref().map(String::as_str));
}

#[test]
fn tls_and_tokens_guard_grpc() {
    let certificate = own("tls/rsa.crt").display().to_string();
    let key = own("tls/rsa-pkcs1.key").display().to_string();
    let (daemon, [grpc, ..]) = for_clients(&format!(
        "enable_grpc_ssl=true\nprivate_key_file={key}\ncertificate_file={certificate}\n\
         disable_token_authorization=false"
    ));
    let keys = daemon.bench.path("key_file.json").display().to_string();
    let (_, port) = grpc.rsplit_once(':').expect("a port");
    let grpc = format!("localhost:{port}");
    python::run("torchserve_grpc_secure.py", &[&certificate, &keys, &grpc]);
}

/// The clients of `docs/examples` end well and print lines that begin so.
#[test]
fn examples_run() {
    let check = |program: &str, said: Option<String>, expected: &[&str]| {
        // There is no interpreter; whoever looked for it has said so.
        let Some(said) = said else { return };
        for begin in expected {
            let found = said.lines().any(|line| line.starts_with(begin));
            assert!(found, "{program}: no line begins with {begin:?} in\n{said}");
        }
    };
    let (daemon, [grpc, management, rest, _]) = for_clients("");

    let arguments = ["--server", &grpc, "--management", &management];
    let program = "docs/examples/torchserve_grpc.py";
    let expected = [
        "Ping: Healthy",
        "Predictions: [",
        "StreamPredictions, message 0: [",
        "Predictions of nobody: INTERNAL - Model not found: nobody",
        "DescribeModel: mlp 1.0 workers ['READY'",
    ];
    check(program, python::said_by(program, &arguments), &expected);

    let program = "docs/examples/tritonclient_http.py";
    let expected = ["server ready: True", "infer: [", "async_infer 2: ["];
    let said = python::said_by(program, &["--server", &rest]);
    check(program, said, &expected);

    let program = "docs/examples/tritonclient_grpc.py";
    let expected = [
        "server ready: True",
        "infer: [",
        "async_infer: 2 [",
        "stream 0: [",
        "stream 1: Model not found: nobody",
        "stream 2: [",
    ];
    let said = python::said_by(program, &["--server", &grpc]);
    check(program, said, &expected);

    daemon.bench.write("numbers.json", b"[1.5, -2]");
    let numbers = daemon.bench.path("numbers.json").display().to_string();
    let program = "docs/examples/curl.sh";
    let expected = [
        "{\"model_name\":\"mlp\",\"model_version\":\"1.0\",\"id\":\"7\",",
        "  \"predictions\": [",
        "event: node",
        "data: {\"content_type\": \"application/json\", \"answer\": [3.0, -4.0]}",
    ];
    let server = format!("http://{rest}");
    check(
        program,
        said_by_bash(program, &[&server, "twice", &numbers]),
        &expected,
    );
}

/// What a script prints that is named from the root of the repository and ends well.
fn said_by_bash(script: &str, arguments: &[&str]) -> Option<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = std::process::Command::new("bash")
        .arg(root.join(script))
        .args(arguments)
        .output()
        .expect("bash starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {told}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs it with a runtime of its own.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let limit = Duration::from_secs(120);
    runtime
        .block_on(async { tokio::time::timeout(limit, future).await })
        .expect("it ends")
}

async fn check_serves(client: &mut Client) {
    let answer = client.predictions(asking("double", "[1.5, 2.5]")).await;
    let answer = answer.expect("a prediction").into_inner().prediction;
    let numbers: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(numbers, serde_json::json!([3.0, 5.0]));
}

#[test]
fn ten_thousand_calls_on_one_connection_are_each_answered() {
    const CALLS: usize = 10_000;
    let daemon = Bench::new()
        .config("job_queue_size=20000")
        .with(&Model::double())
        .start();
    daemon.wait_for_ok("/ready");
    run(async {
        let client = connect(address(&daemon)).await;
        let mut calls: FuturesUnordered<_> = (0..CALLS)
            .map(|_| {
                let mut client = client.clone();
                async move { client.predictions(asking("double", "[1, 2]")).await }
            })
            .collect();
        let mut answered = 0;
        while let Some(answer) = calls.next().await {
            let answer = answer.expect("an answer").into_inner().prediction;
            let numbers: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
            assert_eq!(numbers, serde_json::json!([2.0, 4.0]));
            answered += 1;
        }
        assert_eq!(answered, CALLS);
    });
    daemon.check_serves();
}

#[test]
fn a_cancelled_call_is_a_cancelled_job() {
    let daemon = cue::daemon("", "");
    let _busy = cue::busy(&daemon, cue::FOREVER);
    run(async {
        let mut client = connect(address(&daemon)).await;
        let call = {
            let mut client = client.clone();
            tokio::spawn(async move { client.predictions(asking("cue", "[1, 1]")).await })
        };
        tokio::task::block_in_place(|| poll("it is queued", || cue::pending(&daemon) == 1));
        call.abort();
        tokio::task::block_in_place(|| poll("it is gone", || cue::pending(&daemon) == 0));
        check_serves(&mut client).await;
    });
}

#[test]
fn a_client_that_only_opens_and_resets_calls_loses_its_connection_and_nobody_else_does() {
    let daemon = Bench::new().with(&Model::double()).start();
    daemon.wait_for_ok("/ready");
    run(async {
        let mut other = connect(address(&daemon)).await;
        let stream = TcpStream::connect(address(&daemon)).await.expect("open");
        let (mut sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let path = format!(
            "http://{}/{}/Predictions",
            address(&daemon),
            server::SERVICE_NAME
        );
        let mut opened = 0;
        while opened < 100_000 {
            sender = match sender.ready().await {
                Ok(sender) => sender,
                Err(_) => break,
            };
            let request = axum::http::Request::post(&path)
                .header("content-type", "application/grpc")
                .body(())
                .expect("a request");
            let Ok((_answer, mut body)) = sender.send_request(request, false) else {
                break;
            };
            body.send_reset(h2::Reason::CANCEL);
            opened += 1;
        }
        assert!(opened < 100_000, "nobody stopped it");
        let ended = connection.await.expect("no panic").expect_err("told off");
        // The word to it may be lost among what it goes on sending.
        let calmed = ended.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
        assert!(calmed || ended.is_io(), "{ended}");
        check_serves(&mut other).await;
    });
}

#[test]
fn what_is_no_grpc_has_an_end() {
    let daemon = Bench::new()
        .config("idle_timeout=1\nheader_timeout=1\nbody_timeout=1")
        .with(&Model::double())
        .start();
    daemon.wait_for_ok("/ready");
    run(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let stream = async |bytes: &[u8]| {
            let mut stream = TcpStream::connect(address(&daemon)).await.expect("open");
            stream.write_all(bytes).await.expect("sent");
            let mut answer = Vec::new();
            // Whether it ends orderly or is cut is the same to us.
            let _ = stream.read_to_end(&mut answer).await;
        };
        stream(b"").await;
        stream(b"GET / HTTP/1.1\r\n\r\n").await;
        stream(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;

        let mut client = connect(address(&daemon)).await;
        // A message that is announced and does not come.
        let begun = Bytes::from_static(&[0, 0, 0, 0, 9, 1]);
        let body = tonic::body::Body::new(http_body_util::StreamBody::new(
            futures_util::stream::iter([Ok::<_, std::convert::Infallible>(
                hyper::body::Frame::data(begun),
            )])
            .chain(futures_util::stream::pending()),
        ));
        let request = axum::http::Request::post(format!("/{}/Predictions", server::SERVICE_NAME))
            .header("content-type", "application/grpc")
            .body(body)
            .expect("a request");
        let endpoint = Endpoint::from_shared(format!("http://{}", address(&daemon)));
        let mut channel = endpoint.expect("an address").connect().await.expect("open");
        tower::ServiceExt::ready(&mut channel).await.expect("ready");
        let answer = tower::Service::call(&mut channel, request).await;
        let headers = answer.expect("an answer").into_parts().0.headers;
        let code = headers.get("grpc-status").expect("refused");
        assert_eq!(Code::from_bytes(code.as_bytes()), Code::DeadlineExceeded);
        check_serves(&mut client).await;
    });
}

#[test]
fn an_old_connection_is_exchanged_for_a_new_one_without_anybody_noticing() {
    let daemon = Bench::new()
        .config("grpc_inference_max_connection_age_ms=200")
        .with(&Model::double())
        .start();
    daemon.wait_for_ok("/ready");
    run(async {
        let mut client = connect(address(&daemon)).await;
        for _ in 0..40 {
            check_serves(&mut client).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let log = daemon.log();
    let peers: std::collections::BTreeSet<String> = log
        .of(crate::harness::Stream::Out)
        .iter()
        .filter(|line| line.contains("InferenceAPIsService/Predictions"))
        .filter_map(|line| line.split("ACCESS_LOG - ").nth(1))
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    assert!(peers.len() > 1, "{peers:?}");
}

#[test]
fn messages_that_are_none_are_refused() {
    let daemon = Bench::new().with(&Model::double()).start();
    daemon.wait_for_ok("/ready");
    let check = async |message: &'static [u8], expected: Code| {
        let endpoint = Endpoint::from_shared(format!("http://{}", address(&daemon)));
        let mut channel = endpoint.expect("an address").connect().await.expect("open");
        let request = axum::http::Request::post(format!("/{}/Predictions", server::SERVICE_NAME))
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::new(http_body_util::Full::new(
                Bytes::from_static(message),
            )))
            .expect("a request");
        tower::ServiceExt::ready(&mut channel).await.expect("ready");
        let answer = tower::Service::call(&mut channel, request).await;
        let headers = answer.expect("an answer").into_parts().0.headers;
        let code = headers.get("grpc-status").expect("refused");
        assert_eq!(Code::from_bytes(code.as_bytes()), expected, "{message:?}");
    };
    run(async {
        // A name that is no UTF-8.
        check(&[0, 0, 0, 0, 3, 0x0a, 1, 0xff], Code::Internal).await;
        // A field that ends before it should.
        check(&[0, 0, 0, 0, 2, 0x0a, 9], Code::Internal).await;
        // More than messages may hold.
        check(&[0, 0xff, 0xff, 0xff, 0xff], Code::ResourceExhausted).await;
        // A compression that was not announced.
        check(&[1, 0, 0, 0, 1, 7], Code::Internal).await;
        // A flag that is none.
        check(&[9, 0, 0, 0, 1, 7], Code::Internal).await;
        check_serves(&mut connect(address(&daemon)).await).await;
    });
}
