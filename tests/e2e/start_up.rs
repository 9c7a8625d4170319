//! Starts that are refused: exit code 1 and one line on standard error that names the thing.

use std::net::TcpListener;

use crate::fixtures::Model;
use crate::harness::{Bench, Daemon, Ran};

/// `--start --foreground` with these arguments and lines in the configuration file fails with exactly this line.
fn check_refused(arguments: &str, config: &str, expected: &str) {
    let bench = Bench::new().config(config);
    bench.write("plain.txt", b"a file");
    let arguments = format!("--start --foreground --ncs {arguments}");
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let ran = bench.run(&arguments);
    assert_eq!(ran.code, Some(1), "{arguments:?}: {ran:?}");
    // Warnings about the file, which sets some keys twice here, stand below.
    let is_warning = |line: &&String| line.starts_with("Warning: ");
    let errors: Vec<&String> = ran.stderr.iter().filter(|it| !is_warning(it)).collect();
    assert_eq!(errors.len(), 1, "{arguments:?}: {ran:?}");
    let folder = bench.path("").canonicalize().expect("a folder");
    let line = errors[0].replace(&format!("{}/", folder.display()), "");
    assert_eq!(line, expected, "{arguments:?}");
    assert!(!bench.path("tmp/.model_server.pid").exists());
}

#[test]
fn a_start_without_what_it_needs_is_refused() {
    let missing = "Missing mandatory parameter --model-store";
    check_refused("", "", missing);
    check_refused("--ts-config config.properties", "", missing);
    check_refused(
        "--model-store nowhere",
        "",
        "--model-store directory not found: nowhere",
    );
    check_refused(
        "--model-store plain.txt",
        "",
        "--model-store directory not found: plain.txt",
    );
    check_refused(
        "--ts-config absent.properties --model-store store",
        "",
        "--ts-config file not found: absent.properties",
    );
    check_refused(
        "--model-store store --log-config absent.xml",
        "",
        "--log-config file not found: absent.xml",
    );
    check_refused(
        "--model-store store --workflow-store nowhere",
        "",
        "--workflow-store directory not found: nowhere",
    );
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_line() {
    let check = |lines: &str, expected: &str| {
        check_refused(
            "--ts-config config.properties --model-store store",
            lines,
            expected,
        );
    };
    check(
        "inference_address=127.0.0.1:8080",
        "Invalid configuration: config.properties:2: inference_address: invalid address `127.0.0.1:8080`: expected \
             http://host[:port], https://host[:port] or unix:/path",
    );
    check(
        "\nmodels={\"a\": ",
        "Invalid configuration: config.properties:3: models: not valid JSON: EOF while parsing a value at character 5",
    );
}

#[test]
fn under_strict_a_warning_is_a_mistake() {
    check_refused(
        "--strict --ts-config config.properties --model-store store",
        "max_request_sise=5",
        "Invalid configuration: config.properties:2: max_request_sise: unknown key (did you mean max_request_size?)",
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    check_refused(
        "--ts-config config.properties --model-store store",
        &format!("inference_address=http://127.0.0.1:{port}"),
        &format!(
            "inference_address: cannot listen on http://127.0.0.1:{port}: Address already in use (os error 98)"
        ),
    );
}

#[test]
fn a_second_daemon_on_one_port_is_refused_and_the_first_goes_on() {
    let first = Bench::new().with(&Model::double()).start();
    let address = first.address;
    check_refused(
        "--ts-config config.properties --model-store store",
        &format!("inference_address=http://{address}"),
        &format!(
            "inference_address: cannot listen on http://{address}: Address already in use (os error 98)"
        ),
    );
    first.check_serves();
}

#[test]
fn the_version_and_the_help_are_printed() {
    let bench = Bench::new();
    for flag in ["--version", "-v"] {
        let ran = bench.run(&[flag]);
        let version = env!("CARGO_PKG_VERSION");
        let line = format!("Torchrelay Version is {version} (TorchServe 0.12.0 compatible)");
        let expected = Ran {
            code: Some(0),
            stdout: vec![line],
            stderr: Vec::new(),
        };
        assert_eq!(ran, expected);
    }
    let help = bench.run(&[]);
    assert_eq!((help.code, help.stderr), (Some(0), Vec::new()));
    let text = help.stdout.join("\n");
    for flag in ["--start", "--stop", "--model-store", "--ts-config"] {
        assert!(text.contains(flag), "{flag}: {text}");
    }
    assert_eq!(bench.run(&["--no-such-flag"]).code, Some(2));
}

#[test]
fn a_daemon_without_models_is_healthy_and_says_what_it_lacks() {
    let daemon = Bench::new().start();
    assert_eq!(daemon.get("/ping").status, 200);
    let answer = daemon.post("/predictions/any", b"");
    assert_eq!(answer.message(), "Model not found: any");
    let answer = daemon.post("/invocations", b"");
    assert_eq!(answer.message(), "Parameter model_name is required.");
}

/// Of the models of a store, these are served: name, expected status.
fn check_served(daemon: &Daemon, expected: &[(&str, u16)]) {
    for (name, status) in expected {
        let answer = daemon.post(&format!("/predictions/{name}"), b"[1.0, 2.0, 3.0, 4.0]");
        assert_eq!(answer.status, *status, "{name}");
    }
}

#[test]
fn models_are_chosen_on_the_command_line_or_in_the_file() {
    let bench = || Bench::new().with(&Model::double()).with(&Model::mlp());
    let store = ["--model-store", "store"];
    let with = |arguments: &[&'static str]| [&store[..], arguments].concat();

    let daemon = bench().start_with(&with(&["--models", "one=double.mar", "mlp.mar"]));
    check_served(&daemon, &[("one", 200), ("mlp", 200), ("double", 404)]);

    let daemon = bench().start_with(&store);
    check_served(&daemon, &[("double", 404), ("mlp", 404)]);

    let lines = "model_store=store\nload_models=two=double.mar, mlp.mar";
    let daemon = bench().config(lines).start_with(&[]);
    check_served(&daemon, &[("two", 200), ("mlp", 200), ("double", 404)]);

    let arguments = with(&["--models", "absent.mar", "../x.mar", "double.mar"]);
    let daemon = bench().start_with(&arguments);
    let log = daemon.log();
    log.wait_for("model absent.mar is left out: Model not found at: absent.mar");
    log.wait_for("Relative path is not allowed in url: ../x.mar");
    check_served(&daemon, &[("absent", 404), ("double", 200), ("mlp", 404)]);
}
