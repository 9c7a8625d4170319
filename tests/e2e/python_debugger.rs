//! `torchrelay dev FOLDER --debugpy PORT`: a debugger attaches to the worker of a handler, which may then stand still. Where
//! no interpreter of this machine has debugpy, a program that greets as it does takes its place.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::cue::poll;
use crate::harness::{Bench, Daemon, free_port};
use crate::python_handlers::has_python;

/// Longer than the model allows.
const HANDLER: &str = "
import time

def handle(data, context):
    if data is None:
        return None
    if any(b'pause' in bytes(row['body']) for row in data):
        time.sleep(2.5)
    return ['answered'] * len(data)
";

/// Greets whoever connects, and runs what it is told to.
const DEBUGPY: &str = r#"
import runpy, socket, sys, threading
host, port = sys.argv[sys.argv.index("--listen") + 1].split(":")
server = socket.create_server((host, int(port)))
def greet():
    while True:
        connection, _ = server.accept()
        connection.sendall(b"Content-Length: 2\r\n\r\n{}")
threading.Thread(target=greet, daemon=True).start()
sys.argv = sys.argv[sys.argv.index("--listen") + 2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"#;

fn bench() -> Bench {
    let bench = Bench::new().logging("info");
    let manifest = json!({"runtime": "python", "model": {
        "modelName": "mine", "modelVersion": "1.0", "handler": "mine.py:handle", "configFile": "model-config.yaml"
    }});
    bench.write(
        "work/MAR-INF/MANIFEST.json",
        manifest.to_string().as_bytes(),
    );
    bench.write("work/mine.py", HANDLER.as_bytes());
    bench.write(
        "work/model-config.yaml",
        b"responseTimeout: 1\nminWorkers: 2\n",
    );
    bench
}

/// An interpreter with debugpy, if there is one: of the tests' environment, or what is on the path.
fn with_debugpy() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let own = root.join("target/python/bin/python3");
    [own, "python3".into()].into_iter().find(|interpreter| {
        let asked = Command::new(interpreter)
            .args(["-c", "import debugpy"])
            .output();
        asked.is_ok_and(|output| output.status.success())
    })
}

fn dev(bench: Bench, port: u16) -> Daemon {
    let port = port.to_string();
    let command = bench.command(&[
        "dev",
        "work",
        "--ts-config",
        "config.properties",
        "--debugpy",
        &port,
    ]);
    bench.start_command(command)
}

/// Whether something at the port speaks as a debugger does.
fn is_greeted(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let Ok(mut connection) = TcpStream::connect_timeout(&address, Duration::from_secs(5)) else {
        return false;
    };
    connection
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a time limit");
    let mut begin = [0; 14];
    connection.read_exact(&mut begin).is_ok() && &begin == b"Content-Length"
}

#[test]
fn a_debugger_attaches_and_a_worker_may_stand_still() {
    if !has_python() {
        return;
    }
    let mut bench = bench();
    let mut lines = String::new();
    match with_debugpy() {
        Some(interpreter) => lines = format!("python_executable={}", interpreter.display()),
        None => {
            bench.write("fake/debugpy/__main__.py", DEBUGPY.as_bytes());
            bench.write("fake/debugpy/__init__.py", b"");
            let fake = bench.path("fake").display().to_string();
            bench = bench.env("PYTHONPATH", fake);
        }
    }
    let port = free_port();
    let daemon = dev(bench.config(&lines), port);
    daemon
        .log()
        .wait_for(&format!("listens for a debugger at 127.0.0.1:{port}"));
    daemon.wait_for_ok("/ready");
    poll("a debugger attaches", || is_greeted(port));
    let answer = daemon.post("/predictions/mine", b"pause");
    assert_eq!((answer.status, answer.text()), (200, "answered"));
    let described = daemon.manage("GET", "/models/mine");
    let workers = described.json()[0]["workers"].as_array().map(Vec::len);
    assert_eq!(workers, Some(1));

    // The new worker takes the port of the old one.
    let changed = HANDLER.replace("answered", "changed");
    daemon.bench.write("work/mine.py", changed.as_bytes());
    poll("the change serves", || {
        daemon.post("/predictions/mine", b"{}").text() == "changed"
    });
    poll("a debugger attaches again", || is_greeted(port));
}

#[test]
fn what_cannot_be_debugged_is_told() {
    if !has_python() {
        return;
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let daemon = dev(bench(), port);
    let line = daemon.log().wait_for("model mine: port ");
    assert!(
        line.contains(&format!(
            "port {port}, on which its debugger is to listen, cannot be had"
        )),
        "{line}"
    );
    drop(daemon);

    let bench = bench();
    // Such an interpreter has what Python brings, and no more.
    bench.write(
        "bare/debugpy.py",
        b"raise ImportError('No module named debugpy')",
    );
    let bare = bench.path("bare").display().to_string();
    let daemon = dev(bench.env("PYTHONPATH", bare), free_port());
    let line = daemon.log().wait_for("has no debugpy");
    assert!(line.contains("-m pip install debugpy"), "{line}");
}
