//! Clients and models that behave badly, one at a time: what each costs is bounded, and whoever is beside it does not
//! notice. Clients that stall altogether are tested in `timeouts.rs`.

use std::fs;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::client::{Connection, Request, tcp};
use crate::cue::{self, FOREVER, ask, busy, check_refused, pending, poll, queued, taken};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon, Process};

#[test]
fn a_body_that_drips_has_its_time() {
    let bench = Bench::new().config("body_timeout=1");
    let daemon = bench.with(&Model::double()).start();
    let request = Request::post("/predictions/double", vec![b' '; 1000]);
    let mut dripping = tcp(daemon.address);
    dripping
        .write_all(&request.head())
        .expect("the daemon reads");
    // It never stands still for long, and yet it ends; then writing fails, or the rest is not read.
    let pause = Duration::from_millis(250);
    let drops = (0..1000).take_while(|_| {
        thread::sleep(pause);
        daemon.check_serves();
        let mut answered = [0];
        dripping.set_nonblocking(true).expect("a socket");
        let silent = dripping.peek(&mut answered).is_err();
        dripping.set_nonblocking(false).expect("a socket");
        silent && dripping.write_all(b" ").is_ok()
    });
    let drops = drops.count();
    assert!(drops < 200, "the body may drip for ever");
    let answer = Connection::over(dripping).answer();
    assert_eq!(answer.status, 408);
    assert_eq!(answer.message(), "the body did not arrive within 10 s");
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let daemon = cue::daemon("", "");
    let first = busy(&daemon, "[3000, 1]");
    // One that waits leaves, and then the one that is being computed.
    drop(queued(&daemon, &ask("[-1, 1]")));
    poll("its place is free", || pending(&daemon) == 0);
    let mut last = queued(&daemon, &ask("[0, 1]"));
    drop(first);
    assert_eq!(last.answer().prediction(), json!([0.0, 2.0]));
    assert_eq!(taken(&daemon), 2, "what nobody waits for is not computed");
    // What the one that left was computing has been thrown away without a word.
    assert_eq!(daemon.send(&ask("[0, 1]")).status, 200);
    daemon.check_serves();
}

#[test]
fn a_client_that_leaves_within_its_body_is_forgotten() {
    let daemon = cue::daemon("jobQueueSize: 1\n", "max_connections=4");
    for _ in 0..8 {
        let mut connection = daemon.connect();
        let bytes = ask("[3000, 1]").bytes();
        connection.send(&bytes[..bytes.len() - 1]);
    }
    daemon.check_serves();
    assert_eq!(taken(&daemon), 0);
}

/// How many bytes are more than the buffers of a connection's two sockets hold here.
fn large() -> usize {
    let most = |name: &str| -> usize {
        let limits = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
        let most = limits.split_whitespace().last();
        most.and_then(|most| most.parse().ok()).unwrap_or(16 << 20)
    };
    (most("tcp_rmem") + most("tcp_wmem") + (4 << 20)) / 4 * 4
}

/// A request whose answer has as many bytes as it sends.
fn echo(length: usize) -> Request {
    Request::post("/predictions/double", vec![0; length])
        .content_type("application/octet-stream")
        .header("X-Tensor-Shape", &(length / 4).to_string())
        .header("X-Tensor-Dtype", "float32")
        .header("Accept", "application/octet-stream")
}

#[test]
fn a_client_that_does_not_read_is_hung_up_on() {
    const CLIENTS: usize = 2;
    let large = large();
    let config = format!(
        "max_request_size={large}\nmax_response_size={large}\nidle_timeout=1\nmax_connections={}",
        CLIENTS + 1
    );
    let daemon = Bench::new()
        .config(&config)
        .logging("info,server::connection=debug")
        .with(&Model::double())
        .start();
    let request = echo(large).bytes();
    let round = || {
        let silent: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut stream = tcp(daemon.address);
                stream.write_all(&request).expect("the daemon reads");
                stream
            })
            .collect();
        // They hold all places but one, through which everybody else goes. Then they lose them.
        daemon.check_serves();
        for mut stream in silent {
            let client = stream.local_addr().expect("a connected socket");
            daemon.log().wait_for(&format!("{client}: "));
            let mut answer = Vec::new();
            // What fitted into the buffers, and no more.
            let _ = stream.read_to_end(&mut answer);
            assert!(answer.len() < large, "{} bytes", answer.len());
        }
    };
    round();
    let first = memory(&daemon);
    round();
    round();
    // What they were to be told is not kept; the allocator takes a moment to give it back.
    poll("memory is as after the first round", || {
        memory(&daemon) < first + (CLIENTS * large) as u64
    });
}

#[test]
fn a_client_that_reads_slowly_gets_its_whole_answer() {
    let large = large();
    let config = format!("max_request_size={large}\nmax_response_size={large}\nidle_timeout=1");
    let daemon = Bench::new().config(&config).with(&Model::double()).start();
    let mut slow = tcp(daemon.address);
    let request = echo(large).header("Connection", "close");
    slow.write_all(&request.bytes()).expect("the daemon reads");
    let mut received = Vec::new();
    // It takes several times as long as a connection may stay silent.
    let mut buffer = vec![0; large / 32];
    loop {
        thread::sleep(Duration::from_millis(150));
        match slow.read(&mut buffer).expect("an answer") {
            0 => break,
            count => received.extend(&buffer[..count]),
        }
        if received.len() > large {
            break;
        }
    }
    assert!(received.starts_with(b"HTTP/1.1 200 \r\n"));
    assert!(received.len() > large, "{} bytes", received.len());
}

/// Bytes of memory that a daemon holds.
fn memory(daemon: &Daemon) -> u64 {
    let management = daemon.address_of("management_address");
    let answer = Connection::open(management).request(&Request::new("GET", "/models/double"));
    let bytes = &answer.json()[0]["workers"][0]["memoryUsage"];
    bytes.as_u64().expect("a number")
}

#[test]
fn a_flood_is_answered_to_the_last_request() {
    const FLOOD: usize = 500;
    const BOUND: usize = 20;
    let daemon = cue::daemon(&format!("jobQueueSize: {BOUND}\n"), "");
    let mut first = busy(&daemon, "[3000, 1]");
    let mut connections: Vec<Connection> = (0..FLOOD).map(|_| daemon.connect()).collect();
    for (number, connection) in connections.iter_mut().enumerate() {
        connection.send(&ask(&format!("[0, {number}]")).bytes());
    }
    // The other model does not notice.
    for _ in 0..10 {
        daemon.check_serves();
    }
    assert_eq!(first.answer().status, 200);
    let mut served = 0;
    for (number, connection) in connections.iter_mut().enumerate() {
        let answer = connection.answer();
        if answer.status == 200 {
            served += 1;
            let doubled = 2.0 * number as f64;
            assert_eq!(answer.prediction(), json!([0.0, doubled]));
        } else {
            let full = format!("its queue holds {BOUND} requests, which is its bound");
            check_refused(&answer, &full);
        }
    }
    assert!(served >= BOUND, "{served} were served");
    assert_eq!(taken(&daemon), 1 + served as u64);
    assert_eq!(pending(&daemon), 0);
    assert_eq!(daemon.send(&ask("[0, 1]")).status, 200);
}

#[test]
fn of_two_daemons_on_one_port_the_first_serves_on() {
    let daemon = Bench::new().with(&Model::double()).start();
    let address = daemon.address;
    let second = Bench::new()
        .config(&format!("inference_address=http://{address}"))
        .with(&Model::double());
    let arguments =
        "--start --foreground --ncs --ts-config config.properties --model-store store --models all";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let ran = second.run(&arguments);
    let taken = format!(
        "inference_address: cannot listen on http://{address}: Address already in use (os error 98)"
    );
    assert_eq!((ran.code, ran.stderr), (Some(1), vec![taken]));
    daemon.check_serves();

    // Nor do two get along that share a folder for temporary files: the second is told before it touches a port.
    let mut third = Process::start(daemon.bench.command(&arguments));
    assert_eq!(third.wait().code(), Some(1));
    third.log.wait_for("TorchServe is already running");
    daemon.check_serves();
    let unpacked = fs::read_dir(daemon.bench.path("tmp")).expect("a folder");
    assert!(
        unpacked.count() > 0,
        "what the first has unpacked is still there"
    );
}

#[test]
fn a_model_that_hangs_or_throws_costs_its_neighbour_nothing() {
    let daemon = cue::daemon("responseTimeout: 1\n", "");
    let _hanging = busy(&daemon, FOREVER);
    for _ in 0..20 {
        daemon.check_serves();
    }
    daemon
        .log()
        .wait_for("Auto recovery succeeded, reset recoveryStartTS");
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                assert_eq!(daemon.send(&ask("[-1, 1]")).status, 503);
            }
        });
        for _ in 0..20 {
            daemon.check_serves();
        }
    });
    assert_eq!(daemon.send(&ask("[0, 1]")).prediction(), json!([0.0, 2.0]));
}
