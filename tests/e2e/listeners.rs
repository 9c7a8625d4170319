//! https and Unix sockets: the same service under the same bounds, whatever it is reached through.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::{self, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
};
use serde_json::json;

use crate::client::{Answer, Connection, Request, tcp};
use crate::fixtures::{Model, own};
use crate::harness::{Bench, Process, START};

/// A daemon whose inference listener is https or a Unix socket.
struct Served {
    process: Process,
    /// What follows the scheme of the inference address.
    address: String,
    bench: Bench,
}

const HTTPS: &str = "inference_address=https://127.0.0.1:0\n";
const UNIX: &str = "inference_address=unix:$$TMPDIR$$/socket\n";

impl Served {
    fn start(config: &str) -> Self {
        Served::start_in(Bench::new(), config)
    }

    fn start_in(bench: Bench, config: &str) -> Self {
        let bench = bench.config(config).with(&Model::double());
        let arguments = "--start --foreground --ncs --disable-token-auth --ts-config config.properties \
                         --model-store store --models all";
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let process = Process::start(bench.command(&arguments));
        let line = process.log.wait_for("inference_address: listening on ");
        let (_, address) = line.rsplit_once(" on ").expect("just found");
        let address = address.trim_start_matches("https://");
        let address = address.trim_start_matches("unix:").trim().to_owned();
        process.log.wait_for("Model server started.");
        Served {
            process,
            address,
            bench,
        }
    }

    fn tcp_address(&self) -> SocketAddr {
        self.address.parse().expect("an address with a port")
    }

    fn over_tls(&self, config: ClientConfig) -> Connection {
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(Arc::new(config), name).expect("a client");
        Connection::over(StreamOwned::new(client, tcp(self.tcp_address())))
    }

    fn over_unix(&self) -> Connection {
        let stream = UnixStream::connect(&self.address).expect("the daemon accepts");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("positive");
        Connection::over(stream)
    }

    fn socket_file(&self) -> PathBuf {
        PathBuf::from(&self.address)
    }

    /// Told to stop, it answers the request it is at and lets nobody else in.
    fn check_stops_gracefully(mut self, connect: impl Fn(&Self) -> Connection) {
        let body = b"[1.5, 2.5]";
        let request = Request::post("/predictions/double", body).header("Expect", "100-continue");
        let mut idle = connect(&self);
        assert_eq!(idle.request(&Request::new("GET", "/ping")).status, 200);
        let mut inside = connect(&self);
        inside.send(&request.head());
        assert_eq!(inside.answer().status, 100);
        self.process.signal(Signal::TERM);
        idle.expect_end();
        inside.send(body);
        check_doubled(&inside.answer());
        inside.expect_end();
        let status = self.process.wait();
        assert_eq!(status.code(), Some(0), "{status}");
    }
}

#[track_caller]
fn check_doubled(answer: &Answer) {
    assert_eq!(answer.prediction(), json!([3.0, 5.0]));
}

fn double() -> Request {
    Request::post("/predictions/double", b"[1.5, 2.5]")
}

/// A client that trusts the certificate of the fixtures, or whoever answers.
fn client(trusting: Option<&str>, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version with suites");
    let Some(name) = trusting else {
        return builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
    };
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(own(name)).expect("a certificate");
    roots.add(certificate).expect("a certificate");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// Takes every certificate, but not without the key that belongs to it.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// The lines that name the key and the certificate of the fixtures.
fn pem_files() -> String {
    let (key, certificate) = (own("tls/rsa-pkcs1.key"), own("tls/rsa.crt"));
    format!(
        "{HTTPS}private_key_file={}\ncertificate_file={}\n",
        key.display(),
        certificate.display()
    )
}

#[test]
fn https_with_pem_files_speaks_both_versions_of_tls() {
    let served = Served::start(&pem_files());
    for version in [&TLS12, &TLS13] {
        let mut connection = served.over_tls(client(Some("tls/rsa.crt"), version));
        for _ in 0..2 {
            check_doubled(&connection.request(&double()));
        }
    }
    let big = Request::post("/predictions/double", format!("[{}1]", "1,".repeat(60_000)));
    let mut connection = served.over_tls(client(Some("tls/rsa.crt"), &TLS13));
    let doubled = connection.request(&big).prediction();
    assert_eq!(doubled.as_array().map(Vec::len), Some(60_001));
}

#[test]
fn https_without_a_key_makes_its_own() {
    let served = Served::start(HTTPS);
    served
        .process
        .log
        .wait_for("with a certificate made for this run");
    check_doubled(&served.over_tls(client(None, &TLS13)).request(&double()));
}

#[test]
fn https_takes_the_key_from_a_key_store() {
    let bench = Bench::new();
    let store = std::fs::read(own("tls/openssl.p12")).expect("a key store");
    bench.write("keys.p12", &store);
    let served = Served::start_in(bench, &format!("{HTTPS}keystore=keys.p12"));
    let trusting = client(Some("tls/rsa.crt"), &TLS12);
    check_doubled(&served.over_tls(trusting).request(&double()));
}

#[test]
fn plain_http_to_an_https_listener_is_told_off() {
    let served = Served::start(&pem_files());
    let mut connection = Connection::open(served.tcp_address());
    let answer = connection.request(&double());
    assert_eq!((answer.status, answer.reason.as_str()), (403, "Forbidden"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let expected = "{\n  \"status\": \"This TorchServe instance only accepts HTTPS requests\"\n}\n";
    assert_eq!(String::from_utf8_lossy(&answer.body), expected);
    connection.expect_end();
}

#[test]
fn a_key_that_cannot_be_used_refuses_the_start() {
    let bench = Bench::new().config(&format!(
        "{HTTPS}private_key_file=bad.key\ncertificate_file={}",
        own("tls/rsa.crt").display()
    ));
    bench.write("bad.key", b"no key");
    let ran = bench.run(&[&START[..], &["--model-store", "store"]].concat());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let [line] = &ran.stderr[..] else {
        panic!("{ran:?}")
    };
    assert!(line.starts_with("private_key_file: "), "{line}");
    let end = "/bad.key: there is no private key in PEM in it";
    assert!(line.ends_with(end), "{line}");
}

#[test]
fn a_handshake_that_stalls_is_ended_and_keeps_nobody_waiting() {
    let served = Served::start(&format!("{}header_timeout=1\n", pem_files()));
    let start = Instant::now();
    let mut silent = Connection::open(served.tcp_address());
    let mut half = Connection::open(served.tcp_address());
    // The head of a record whose content never comes.
    half.send(&[22, 3, 1, 2, 0, 1]);
    let trusting = || client(Some("tls/rsa.crt"), &TLS13);
    check_doubled(&served.over_tls(trusting()).request(&double()));
    for connection in [&mut silent, &mut half] {
        connection.expect_end();
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(900), "{took:?}");
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
    check_doubled(&served.over_tls(trusting()).request(&double()));
}

#[test]
fn handshakes_that_break_off_give_their_place_back() {
    let served = Served::start(&format!(
        "{}max_connections=2\nheader_timeout=600",
        pem_files()
    ));
    for _ in 0..3 {
        Connection::open(served.tcp_address());
        Connection::open(served.tcp_address()).send(&[22, 3, 1, 2, 0, 1]);
        Connection::open(served.tcp_address()).send(b"no TLS, and no HTTP");
        let mut wrong = Connection::open(served.tcp_address());
        wrong.send(&[22, 3, 1, 0, 4, 99, 0, 0, 0]);
        while wrong.receive() {}
    }
    let trusting = client(Some("tls/rsa.crt"), &TLS13);
    check_doubled(&served.over_tls(trusting).request(&double()));
}

#[test]
fn heads_and_silence_over_tls_and_unix_have_their_time() {
    let timeouts = "header_timeout=1\nidle_timeout=1\n";
    let tls = Served::start(&format!("{}{timeouts}", pem_files()));
    let unix = Served::start(&format!("{UNIX}{timeouts}"));
    let connect: [&dyn Fn() -> Connection; 2] = [
        &|| tls.over_tls(client(Some("tls/rsa.crt"), &TLS12)),
        &|| unix.over_unix(),
    ];
    for connect in connect {
        let start = Instant::now();
        let (mut idle, mut slow) = (connect(), connect());
        assert_eq!(idle.request(&Request::new("GET", "/ping")).status, 200);
        slow.send(b"GET /ping HTTP/1.1\r\nHos");
        for connection in [&mut idle, &mut slow] {
            let status = connection.answer_or_end();
            assert!(matches!(status, None | Some(408)), "{status:?}");
            let took = start.elapsed();
            assert!(took >= Duration::from_millis(900), "{took:?}");
            assert!(took < Duration::from_secs(20), "{took:?}");
        }
    }
}

#[test]
fn a_unix_socket_serves_and_goes_at_the_end() {
    let mut served = Served::start(UNIX);
    assert!(served.socket_file().exists());
    check_doubled(&served.over_unix().request(&double()));
    let peer = format!("unix:pid={} \"POST /predictions/double", std::process::id());
    served.process.log.wait_for(&peer);
    served.process.signal(Signal::TERM);
    assert_eq!(served.process.wait().code(), Some(0));
    assert!(!served.socket_file().exists());
}

#[test]
fn the_socket_of_a_killed_daemon_is_taken_over() {
    let mut killed = Served::start(UNIX);
    killed.process.signal(Signal::KILL);
    killed.process.wait();
    assert!(killed.socket_file().exists());
    let Served { bench, .. } = killed;
    std::fs::remove_file(bench.path("store/double.mar")).expect("packed anew below");
    let served = Served::start_in(bench, UNIX);
    check_doubled(&served.over_unix().request(&double()));
}

#[test]
fn a_request_inside_is_answered_before_the_end() {
    let trusting = || client(Some("tls/rsa.crt"), &TLS13);
    Served::start(&pem_files()).check_stops_gracefully(|served| served.over_tls(trusting()));
    Served::start(UNIX).check_stops_gracefully(Served::over_unix);
}
