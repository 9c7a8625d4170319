//! The program as a client of itself: its commands for people, asked of the real daemon.

use std::fs;
use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::client::{Connection, Request};
use crate::fixtures::{Model, own};
use crate::harness::{Bench, Daemon, Process, Ran};

/// A daemon that serves `double` 1.0 with one worker, and has `mlp` and a version 2.0 of `double` in its store.
fn daemon(config: &str) -> Daemon {
    let second = Model {
        version: "2.0".into(),
        ..Model::double().named("double2")
    };
    Bench::new()
        .config(config)
        .with(&Model::double())
        .with(&second)
        .with(&Model::mlp())
        .start_with(&["--model-store", "store", "--models", "double.mar"])
}

const OPEN: &str = "enable_model_api=true\ndefault_workers_per_model=1";

/// A person in the folder of a daemon, who says where it listens.
struct Person<'a> {
    daemon: &'a Daemon,
    addresses: Vec<String>,
}

impl<'a> Person<'a> {
    fn at(daemon: &'a Daemon) -> Self {
        let flags = ["inference", "management", "metrics"].map(|api| {
            let address = daemon.address_of(&format!("{api}_address"));
            [format!("--{api}"), format!("http://{address}")]
        });
        Person {
            daemon,
            addresses: flags.concat(),
        }
    }

    /// Runs `torchrelay` with these arguments, blanks between them.
    fn runs(&self, arguments: &str) -> Ran {
        let addresses = self.addresses.iter().map(String::as_str);
        let arguments: Vec<&str> = arguments.split_whitespace().chain(addresses).collect();
        self.daemon.bench.run(&arguments)
    }

    /// The whole output of a command that succeeds, a line each.
    #[track_caller]
    fn reads(&self, arguments: &str) -> Vec<String> {
        succeeded(self.runs(arguments), arguments)
    }

    #[track_caller]
    fn check(&self, arguments: &str, expected: &[&str]) {
        assert_eq!(self.reads(arguments), expected, "{arguments}");
    }

    /// The JSON that a command prints.
    #[track_caller]
    fn json(&self, arguments: &str) -> Value {
        let text = self.reads(&format!("{arguments} --json")).join("\n");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// It fails with this exit code and exactly this on standard error, and says nothing else.
    #[track_caller]
    fn check_fails(&self, arguments: &str, code: i32, expected: &str) {
        check_failed(&self.runs(arguments), code, expected);
    }
}

#[track_caller]
fn succeeded(ran: Ran, arguments: &str) -> Vec<String> {
    assert_eq!(
        (ran.code, &ran.stderr[..]),
        (Some(0), &[][..]),
        "{arguments}"
    );
    ran.stdout
}

#[track_caller]
fn check_failed(ran: &Ran, code: i32, expected: &str) {
    let found = (ran.code, ran.stderr.join("\n"), ran.stdout.as_slice());
    assert_eq!(found, (Some(code), expected.to_owned(), &[][..]));
}

#[test]
fn models_are_managed_at_the_terminal() {
    let daemon = daemon(OPEN);
    let person = Person::at(&daemon);
    let head = "MODEL   VERSION  DEFAULT  WORKERS  QUEUE  BATCH  ARCHIVE";
    let first = "double  1.0      yes          1/1      0      1  double.mar";
    // The model is registered at start, its worker loads meanwhile.
    person.check(
        "scale double --min 1 --wait",
        &["Workers scaled to 1 for model: double"],
    );
    person.check("list", &[head, first]);
    person.check(
        "register double2.mar --name double --batch-size 4 --max-batch-delay 20 --initial-workers 2 --response-timeout \
         90 --startup-timeout 60",
        &["Model \"double\" Version: 2.0 registered with 2 initial workers"],
    );
    let second = "double  2.0                   2/2      0      4  double2.mar";
    person.check("list", &[head, first, second]);
    let described = person.reads("describe double 2.0");
    let expected = [
        "double 2.0",
        "  archive           double2.mar",
        "  runtime           python",
        "  workers           2 ready of 2",
        "  device            cpu",
        "  batches           up to 4 requests, which wait up to 20 ms for company",
        "  queue             0 waiting, room for 100 more",
        "  response timeout  1 min 30 s",
        "  start-up timeout  1 min",
        "  loaded at start   no",
    ];
    assert_eq!(described[..expected.len()], expected);
    let titles = |arguments: &str| -> Vec<String> {
        let lines = person.reads(arguments);
        let titles = lines.into_iter().filter(|line| line.starts_with("double "));
        titles.collect()
    };
    assert_eq!(
        titles("describe double --all"),
        ["double 1.0 (default)", "double 2.0"]
    );
    let default = "Default version successfully updated for model \"double\" to \"2.0\"";
    person.check("set-default double 2.0", &[default]);
    assert_eq!(titles("describe double"), ["double 2.0 (default)"]);
    person.check(
        "scale double 2.0 --min 1 --max 3 --wait",
        &["Workers scaled to 1 for model: double, version: 2.0"],
    );
    person.check("unregister double 1.0", &["Model \"double\" unregistered"]);
    person.check("unregister double", &["Model \"double\" unregistered"]);
    person.check("list", &["No model is registered."]);
    person.check(
        "register mlp.mar --asynchronous",
        &["Processing worker updates..."],
    );
    person.check("scale mlp --min 0", &["Processing worker updates..."]);
}

#[test]
fn a_model_is_asked_with_files_forms_and_standard_input() {
    let daemon = daemon(OPEN);
    daemon.bench.write("x.json", b"[1.5, 2.5]");
    let person = Person::at(&daemon);
    let doubled = ["[3.0, 5.0]"];
    person.check("predict double x.json", &doubled);
    person.check("predict double 1.0 x.json", &doubled);
    person.check("predict double 1.0 --form data=@x.json", &doubled);
    person.check("predict double --form body=[1.5,2.5]", &doubled);
    person.check("predict double x.json --json", &doubled);
    // Standard input is empty here, which is no input to this model; but it is what was sent.
    let ran = person.runs("predict double -");
    assert_eq!((ran.code, ran.stdout.len()), (Some(1), 0), "{ran:?}");
    person.check("predict double x.json -o answer.json", &[]);
    let answer = fs::read_to_string(daemon.bench.path("answer.json")).expect("written");
    assert_eq!(answer, "[3.0, 5.0]");
    // What fails writes nothing.
    person.check_fails(
        "predict absent x.json -o absent.json",
        1,
        "Model not found: absent",
    );
    assert!(!daemon.bench.path("absent.json").exists());
    let version = "Model version: 9 does not exist for model: double";
    person.check_fails("predict double 9 x.json", 1, version);
}

#[test]
fn scripts_get_the_servers_json() {
    let daemon = daemon(OPEN);
    let person = Person::at(&daemon);
    let management = daemon.address_of("management_address");
    let asked = |path: &str| {
        let answer = Connection::open(management).request(&Request::new("GET", path));
        answer.text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    person.reads("scale double --min 1 --wait");
    assert_eq!(person.reads("list --json"), asked("/models"));
    let described = person.json("describe double");
    assert_eq!(described[0]["modelName"], "double");
    assert_eq!(described[0]["workers"][0]["status"], "READY");
    let scaled = json!({ "status": "Workers scaled to 1 for model: double" });
    assert_eq!(person.json("scale double --min 1 --wait"), scaled);
    let health = json!({
        "live": { "live": true }, "ready": { "ready": true }, "ping": { "status": "Healthy" },
    });
    assert_eq!(person.json("health"), health);
    // A failure is a document as well, and its message is on standard error.
    let ran = person.runs("describe absent --json");
    assert_eq!(
        (ran.code, ran.stderr.join("\n")),
        (Some(1), "Model not found: absent".to_owned())
    );
    let document: Value = serde_json::from_str(&ran.stdout.join("\n")).expect("JSON");
    assert_eq!(
        (&document["code"], &document["type"]),
        (&json!(404), &json!("ModelNotFoundException"))
    );
    let inference = format!("http://{}", daemon.address);
    let ran = daemon
        .bench
        .run(&["list", "--management", &inference, "--json"]);
    let document: Value = serde_json::from_str(&ran.stdout.join("\n")).expect("JSON");
    assert_eq!((ran.code, &document["code"]), (Some(1), &json!(404)));
    let advice = format!("is {inference} the management address? --management names it");
    assert_eq!(ran.stderr.last(), Some(&advice));
}

#[test]
fn exit_codes_tell_whose_fault_it_is() {
    let daemon = daemon("");
    let person = Person::at(&daemon);
    let enable = "Requested method is not allowed, please refer to API document.\ndoes the server have \
                  enable_model_api=true? Without it, models cannot be registered and unregistered over the network";
    person.check_fails("register mlp.mar", 1, enable);
    person.check_fails("describe absent", 1, "Model not found: absent");
    let order = "--max 1 is less than --min 2";
    person.check_fails("scale double --min 2 --max 1", 2, order);
    let absent = "absent.json: No such file or directory (os error 2)";
    person.check_fails("predict double absent.json", 2, absent);
    for usage in [
        "scale double",
        "describe",
        "list more",
        "lists",
        "list --timeout 0",
        "list --start",
        "completions cmd",
    ] {
        let ran = daemon.bench.run(&usage.split(' ').collect::<Vec<_>>());
        assert_eq!((ran.code, ran.stdout.len()), (Some(2), 0), "{usage}");
        assert!(!ran.stderr.is_empty(), "{usage}");
    }
    let zero = "the configuration leaves the port to the system (management_address=http://127.0.0.1:0); the daemon's \
                log tells it, and --management takes it";
    check_failed(&daemon.bench.run(&["list"]), 2, zero);
    let absent = daemon.bench.run(&["list", "--config", "absent"]);
    check_failed(&absent, 2, "--config file not found: absent");
    let wrong = daemon.bench.run(&["list", "--address", "ftp://box"]);
    let expected =
        "--address ftp://box: expected http://host[:port], https://host[:port] or unix:/path";
    check_failed(&wrong, 2, expected);

    // Nobody listens where somebody did.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let flag = format!("http://{address}");
    for command in ["list", "top", "scale double --min 1"] {
        let arguments: Vec<&str> = command.split(' ').chain(["--address", &flag]).collect();
        let expected = format!("cannot reach http://{address} (management): Connection refused");
        check_failed(&daemon.bench.run(&arguments), 3, &expected);
    }
    // Somebody listens and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let flag = format!("http://{address}");
    let ran = daemon
        .bench
        .run(&["health", "--address", &flag, "--timeout", "1"]);
    let expected =
        format!("cannot reach http://{address} (inference): no answer within 1 s (--timeout)");
    check_failed(&ran, 3, &expected);

    // A server that is not well says so by its exit code, too.
    let inference = format!("http://{}", daemon.address_of("management_address"));
    let ran = daemon.bench.run(&["health", "--inference", &inference]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn the_configuration_says_where_the_server_is() {
    let sockets = "inference_address=unix:$$TMPDIR$$/i\nmanagement_address=unix:$$TMPDIR$$/m\n\
                   metrics_address=unix:$$TMPDIR$$/x\nmetrics_mode=prometheus";
    let bench = Bench::new().config(sockets).with(&Model::double());
    let arguments = "--start --foreground --ncs --model-store store --models all";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let process = Process::start(bench.command(&arguments));
    process.log.wait_for("Model server started.");
    let run = |arguments: &str| {
        let ran = bench.run(&arguments.split_whitespace().collect::<Vec<_>>());
        succeeded(ran, arguments)
    };
    run("scale double --min 1 --wait");
    assert_eq!(run("list").len(), 2);
    let tmp = bench.path("tmp").display().to_string();
    let healthy = [
        format!("unix:{tmp}/i"),
        "  live   yes".to_owned(),
        "  ready  yes".to_owned(),
        "  ping   Healthy".to_owned(),
    ];
    assert_eq!(run("health"), healthy);
    // From elsewhere, by the file's name or by the address.
    bench.write("elsewhere/x.json", b"[2.0]");
    for flags in [
        "--config ../config.properties".to_owned(),
        format!("--address unix:{tmp}/i"),
    ] {
        let arguments = format!("predict double x.json {flags}");
        let mut command = bench.command(&arguments.split_whitespace().collect::<Vec<_>>());
        command.current_dir(bench.path("elsewhere"));
        let mut process = Process::start(command);
        assert_eq!(process.wait().code(), Some(0), "{arguments}");
        assert_eq!(process.log.of(crate::harness::Stream::Out), ["[4.0]"]);
    }
    let top = run("top");
    assert_eq!(
        top[0],
        format!("unix:{tmp}/m  1 model, 1 of 1 workers ready")
    );
}

#[test]
fn top_tells_rates_or_why_there_are_none() {
    let with_metrics = daemon("metrics_mode=prometheus");
    let person = Person::at(&with_metrics);
    person.reads("scale double --min 1 --wait");
    with_metrics.check_serves();
    let top = person.json("top --once");
    let row = &top[0];
    for (name, expected) in [
        ("modelName", json!("double")),
        ("modelVersion", json!("1.0")),
        ("default", json!(true)),
        ("readyWorkers", json!(1)),
        ("workers", json!(1)),
        ("pendingRequests", json!(0)),
        ("requestsInside", json!(0)),
        // What was before the first look does not count.
        ("requestsPerSecond", json!(0.0)),
        ("p99Seconds", Value::Null),
    ] {
        assert_eq!(row[name], expected, "{name}");
    }
    let lines = person.reads("top --once");
    assert!(
        lines[1].starts_with("0 requests/s answered, 0/s refused or failed"),
        "{lines:?}"
    );

    let without = daemon("");
    let person = Person::at(&without);
    person.reads("scale double --min 1 --wait");
    let lines = person.reads("top");
    let management = without.address_of("management_address");
    let expected = [
        format!("http://{management}  1 model, 1 of 1 workers ready"),
        "no rates and times: the server's metrics_mode is log or legacy; metrics_mode=prometheus in its configuration \
         gives the rest"
            .to_owned(),
        String::new(),
        "MODEL   VERSION  READY  QUEUE  INSIDE  REQ/S     P50     P99  BATCH  REF/S".to_owned(),
        "double  1.0*       1/1      0       -      -       -       -      -      -".to_owned(),
    ];
    assert_eq!(lines, expected);

    let closed = daemon("enable_metrics_api=false");
    let management = closed.address_of("management_address");
    let arguments = format!("top --management http://{management} --metrics unix:/nowhere/here");
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let lines = succeeded(closed.bench.run(&arguments), "top");
    assert_eq!(
        lines[1],
        "no rates and times: the metrics listener unix:/nowhere/here is not reachable (No such file or directory); if it is \
         off, enable_metrics_api=true in the server's configuration opens it"
    );
}

/// The key of that name in the folder's key file.
fn key(bench: &Bench, name: &str) -> String {
    let text = fs::read(bench.path("key_file.json")).expect("a key file");
    let keys: Value = serde_json::from_slice(&text).expect("JSON");
    keys[name]["key"].as_str().expect("a key").to_owned()
}

#[test]
fn each_api_gets_its_key() {
    let daemon = daemon("disable_token_authorization=false");
    let bench = &daemon.bench;
    bench.write("x.json", b"[1.5]");
    let person = Person::at(&daemon);
    person.check("predict double x.json", &["[3.0]"]);
    person.check(
        "scale double --min 1 --wait",
        &["Workers scaled to 1 for model: double"],
    );
    assert_eq!(person.reads("health").len(), 4);
    // The same keys, named in other ways.
    fs::rename(bench.path("key_file.json"), bench.path("kept.json")).expect("moved");
    let refused =
        "Token Authorization failed. Token either incorrect, expired, or not provided correctly";
    let advice = "the server asks for a key: run this where the server was started, whose key_file.json has it, or name \
                  that file with --key-file, or the management key with --token";
    person.check_fails("list", 1, &format!("{refused}\n{advice}"));
    assert_eq!(person.reads("list --key-file kept.json").len(), 2);
    let missing = "absent.json: No such file or directory (os error 2)";
    person.check_fails("list --key-file absent.json", 2, missing);
    fs::rename(bench.path("kept.json"), bench.path("key_file.json")).expect("moved");
    let (management, inference) = (key(bench, "management"), key(bench, "inference"));
    assert_eq!(person.reads(&format!("list --token {management}")).len(), 2);
    let advice = "the key of --token is not the management key of this server, or has expired";
    let expected = format!("{refused}\n{advice}");
    person.check_fails(&format!("list --token {inference}"), 1, &expected);
    // What a key begins with is chance.
    person.check_fails("list --token -3", 1, &expected);
    // A key that is no longer the one that opens.
    let renewed = "The server has written a new inference key to its key file.";
    person.check("renew-key inference", &[renewed]);
    assert_ne!(key(bench, "inference"), inference);
    assert_eq!(key(bench, "management"), management);
    person.check("predict double x.json", &["[3.0]"]);
}

#[test]
fn an_expired_key_says_what_to_do() {
    let daemon = daemon("disable_token_authorization=false\ntoken_expiration_min=0.02");
    let person = Person::at(&daemon);
    let patience = Instant::now() + Duration::from_secs(30);
    let refused = loop {
        let ran = person.runs("list");
        if ran.code != Some(0) {
            break ran;
        }
        assert!(Instant::now() < patience, "the key is valid for ever");
        sleep(Duration::from_millis(100));
    };
    assert_eq!(
        (refused.code, refused.stderr.len()),
        (Some(1), 2),
        "{refused:?}"
    );
    let advice = &refused.stderr[1];
    assert!(
        advice.contains("key_file.json expired ")
            && advice.ends_with("; `torchrelay renew-key management` has a new one made"),
        "{advice}"
    );
    let old = key(&daemon.bench, "management");
    person.reads("renew-key management");
    assert_ne!(key(&daemon.bench, "management"), old);
}

#[test]
fn https_is_believed_or_not() {
    let start = |lines: &str| {
        let bench = Bench::new()
            .config(&format!("inference_address=https://127.0.0.1:0\n{lines}"))
            .with(&Model::double());
        let arguments = "--start --foreground --ncs --model-store store --models all";
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let process = Process::start(bench.command(&arguments));
        let text = "inference_address: listening on https://127.0.0.1:";
        let line = process.log.wait_for(text);
        let port = line.rsplit_once(':').expect("a port").1.trim().to_owned();
        process.log.wait_for("Model server started.");
        (bench, process, format!("https://localhost:{port}"))
    };
    let predict = |bench: &Bench, address: &str, flags: &[&str]| {
        let arguments = ["predict", "double", "x.json", "--inference", address];
        bench.write("x.json", b"[1.5]");
        bench.run(&[&arguments, flags].concat())
    };
    let untrusted = |address: &str, why: &str| {
        format!(
            "cannot reach {address} (inference): its certificate is not trusted ({why}); --ca FILE trusts the one in a \
             file, --insecure any"
        )
    };
    let (bench, _process, address) = start("");
    let ran = predict(&bench, &address, &[]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let begin = untrusted(&address, "");
    let (begin, end) = begin.split_once("()").expect("written above");
    let line = ran.stderr.join("\n");
    assert!(line.starts_with(begin) && line.ends_with(end), "{line}");
    let ran = predict(&bench, &address, &["--insecure"]);
    assert_eq!(succeeded(ran, "--insecure"), ["[3.0]"]);
    let plain = address.replace("https", "http");
    let https = "This TorchServe instance only accepts HTTPS requests";
    check_failed(&predict(&bench, &plain, &[]), 1, https);

    let (private, certificate) = (own("tls/rsa-pkcs1.key"), own("tls/rsa.crt"));
    let lines = format!(
        "private_key_file={}\ncertificate_file={}",
        private.display(),
        certificate.display()
    );
    let (bench, _process, address) = start(&lines);
    let certificate = certificate.display().to_string();
    let ran = predict(&bench, &address, &["--ca", &certificate]);
    assert_eq!(succeeded(ran, "--ca"), ["[3.0]"]);
    let ran = predict(&bench, &address, &["--ca", "x.json"]);
    check_failed(&ran, 2, "--ca x.json: there is no certificate in it");

    // An issuer that is the server itself, as `openssl req -x509` makes one.
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = params.self_signed(&key).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (private, certificate) = (
        file("k.pem", key.serialize_pem()),
        file("c.pem", issuer.pem()),
    );
    let lines = format!("private_key_file={private}\ncertificate_file={certificate}");
    let (bench, _process, address) = start(&lines);
    let ran = predict(&bench, &address, &["--ca", &certificate]);
    assert_eq!(succeeded(ran, "--ca"), ["[3.0]"]);
}

#[test]
fn completions_and_help_know_the_commands() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = succeeded(bench.run(&["completions", shell]), shell).join("\n");
        for word in ["set-default", "ts-config", "initial-workers"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let help = succeeded(bench.run(&[]), "").join("\n");
    for text in [
        "torchrelay --start",
        "torchrelay COMMAND [OPTIONS]",
        "Commands:",
        "Flags of the daemon:",
    ] {
        assert!(help.contains(text), "{text}: {help}");
    }
}
