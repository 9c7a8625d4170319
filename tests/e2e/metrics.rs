//! Metrics of the whole daemon: what whoever scrapes sees, and what the log says instead.

use std::net::SocketAddr;

use serde_json::json;

use crate::client::{Answer, Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};

/// A daemon that serves the model `double`, with these lines in its configuration.
fn daemon(config: &str) -> Daemon {
    Bench::new().config(config).with(&Model::double()).start()
}

fn scrape(daemon: &Daemon, query: &str) -> Answer {
    let text = "metrics_address: listening on http://";
    let line = daemon.log().wait_for(text);
    let (_, address) = line.split_once(text).expect("just found");
    let address: SocketAddr = address.trim().parse().expect("an address with a port");
    Connection::open(address).request(&Request::new("GET", &format!("/metrics{query}")))
}

/// The value of the only sample that starts so.
#[track_caller]
fn value(text: &str, start: &str) -> f64 {
    let found: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with(start))
        .collect();
    let [line] = found[..] else {
        panic!("{start}: {found:?} in {text}");
    };
    let (_, value) = line.rsplit_once(' ').expect("a value");
    value.parse().expect("a number")
}

#[test]
fn whoever_scrapes_sees_responses_and_the_machine() {
    let daemon = daemon("metrics_mode=prometheus\nmetric_time_interval=1");
    for path in ["/predictions/double", "/predictions/double/1.0"] {
        let answer = daemon.post(path, b"[1.5]");
        assert_eq!(answer.prediction(), json!([3.0]));
    }
    assert_eq!(daemon.get("/nowhere").status, 404);
    let answer = scrape(&daemon, "");
    assert_eq!(answer.status, 200);
    let header = answer.header("content-type");
    assert_eq!(header, Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    assert_eq!(value(text, "Requests2XX{Level=\"Host\",Hostname=\""), 2.0);
    assert_eq!(value(text, "Requests4XX{Level=\"Host\",Hostname=\""), 1.0);
    // The machine is measured beside all this.
    let machine = (0..200).find_map(|_| {
        let answer = scrape(&daemon, "?name[]=MemoryUtilization");
        std::thread::sleep(std::time::Duration::from_millis(50));
        (!answer.body.is_empty()).then(|| answer.text().to_owned())
    });
    let machine = machine.expect("measured at start");
    assert!((0.0..=100.0).contains(&value(&machine, "MemoryUtilization{Level=\"Host\",")));
    assert_eq!(machine.lines().count(), 3, "{machine}");
}

#[test]
fn requests_are_counted_by_the_version_that_they_name() {
    let daemon = daemon("metrics_mode=prometheus");
    for path in ["/predictions/double", "/predictions/double/1.0"] {
        daemon.post(path, b"[1.5]").prediction();
    }
    let answer = scrape(&daemon, "");
    let text = answer.text();
    for version in ["default", "1.0"] {
        let labels = format!("{{model_name=\"double\",model_version=\"{version}\",hostname=\"");
        assert_eq!(
            value(text, &format!("ts_inference_requests_total{labels}")),
            1.0
        );
        let inference = value(text, &format!("ts_inference_latency_microseconds{labels}"));
        let queue = value(text, &format!("ts_queue_latency_microseconds{labels}"));
        assert!(0.0 <= queue && queue < inference, "{queue} {inference}");
    }
    assert!(value(text, "QueueTime{") >= 0.0);
    assert!(
        value(
            text,
            "PredictionTime{ModelName=\"double\",Level=\"Model\",Hostname="
        ) > 0.0
    );
    assert!(text.contains(
        "\ntorchrelay_batch_size_sum{model_name=\"double\",model_version=\"1.0\",} 2.0\n"
    ));
}

#[test]
fn by_default_metrics_are_lines_of_the_log() {
    let bench = Bench::new().with(&Model::double()).logging("info");
    let daemon = bench.start();
    daemon.check_serves();
    let host = "|#Level:Host|#hostname:";
    for line in [
        format!("TS_METRICS - Requests2XX.Count:1.0{host}"),
        "TS_METRICS - ts_inference_requests_total.Count:1.0|#model_name:double,model_version:default|#hostname:".into(),
        "TS_METRICS - QueueTime.Milliseconds:".into(),
        "TS_METRICS - MemoryUtilization.Percent:".into(),
    ] {
        daemon.log().wait_for(&line);
    }
    let answer = scrape(&daemon, "");
    assert_eq!((answer.status, answer.text()), (200, ""));
}

#[test]
fn a_broken_list_costs_the_metrics_and_nothing_else() {
    let bench = Bench::new()
        .config("metrics_mode=prometheus\nmetrics_config=m.yaml")
        .with(&Model::double());
    bench.write(
        "m.yaml",
        b"ts_metrics:\n  gauge:\n    - name: QueueTime\n      unit: ms\n",
    );
    let daemon = bench.start();
    daemon
        .log()
        .wait_for("m.yaml:3: ts_metrics.gauge[0]: missing field `dimensions`");
    daemon.check_serves();
    assert_eq!(scrape(&daemon, "").text(), "");
}

#[test]
fn the_metrics_listener_can_be_left_closed() {
    let daemon = daemon("enable_metrics_api=false");
    daemon.check_serves();
    let out = daemon.log().of(crate::harness::Stream::Out);
    assert!(
        !out.iter()
            .any(|line| line.contains("metrics_address: listening")),
        "{out:#?}"
    );
}
