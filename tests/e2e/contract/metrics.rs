//! Metrics of the whole daemon: what whoever scrapes sees, and what the log says instead.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Api, NO_ROUTE};
use crate::client::Answer;
use crate::cue::poll;
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon, Stream};

/// A daemon that serves the model `double`, with these lines in its configuration.
fn daemon(config: &str) -> Daemon {
    Bench::new().config(config).with(&Model::double()).start()
}

fn scrape(daemon: &Daemon, query: &str) -> Answer {
    Api::metrics(daemon).ask(&format!("GET /metrics{query}"))
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
fn c_6_1_endpoint() {
    let daemon = daemon("metrics_mode=prometheus\ndisable_system_metrics=true");
    let metrics = Api::metrics(&daemon);
    daemon.check_serves();
    for line in [
        "GET /metrics",
        "POST /metrics/",
        "DELETE /metrics/any/thing",
        "OPTIONS /metrics",
    ] {
        let answer = metrics.ask(line);
        assert_eq!(answer.status, 200, "{line}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        assert!(answer.text().contains("Requests2XX{"), "{line}");
    }
    let names = |query: &str| -> BTreeSet<String> {
        let answer = scrape(&daemon, query);
        let lines = answer.text().lines();
        let types = lines.filter_map(|line| line.strip_prefix("# TYPE "));
        let names = types.filter_map(|rest| rest.split(' ').next());
        names.map(str::to_owned).collect()
    };
    let only = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    assert_eq!(names("?name[]=Requests2XX"), only(&["Requests2XX"]));
    let two = "?name[]=Requests2XX&name[]=QueueTime";
    assert_eq!(names(two), only(&["QueueTime", "Requests2XX"]));
    assert_eq!(names("?name[]=Nothing"), only(&[]));
    let (kind, message) = NO_ROUTE;
    metrics.check_failed(&[("GET /ping", 404, kind, message)]);
}

#[test]
fn c_6_1_the_mode_says_where_metrics_go() {
    let check = |mode: &str, scraped: &[&str], logged: &[&str], not_logged: &[&str]| {
        let config = format!("disable_system_metrics=true\nmetrics_mode={mode}");
        let bench = Bench::new().config(&config).logging("info");
        let daemon = bench.with(&Model::double()).start();
        daemon.check_serves();
        let answer = scrape(&daemon, "");
        assert_eq!(answer.status, 200, "{mode}");
        let lines = answer.text().lines();
        let names = lines.filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let names: BTreeSet<&str> = names
            .filter(|name| !name.starts_with("torchrelay_"))
            .collect();
        assert_eq!(names, scraped.iter().copied().collect(), "{mode}");
        for name in logged {
            daemon.log().wait_for(&format!("_METRICS - {name}."));
        }
        let log = daemon.log().of(Stream::Out);
        for name in not_logged {
            let text = format!("_METRICS - {name}.");
            assert!(
                !log.iter().any(|line| line.contains(&text)),
                "{mode}: {name}"
            );
        }
    };
    let inference = [
        "ts_inference_latency_microseconds",
        "ts_inference_requests_total",
        "ts_queue_latency_microseconds",
    ];
    let rest = [
        "HandlerTime",
        "PredictionTime",
        "QueueTime",
        "Requests2XX",
        "WorkerLoadTime",
        "WorkerThreadTime",
    ];
    let all = [&inference[..], &rest].concat();
    check("log", &[], &all, &[]);
    // A mode that nobody knows is the default one.
    check("loud", &[], &all, &[]);
    check("legacy", &inference, &rest, &inference);
    check("Prometheus", &all, &[], &all);
}

#[test]
fn c_6_1_the_listener_can_be_left_closed() {
    let daemon = daemon("enable_metrics_api=false");
    daemon.check_serves();
    let out = daemon.log().of(Stream::Out);
    assert!(
        !out.iter()
            .any(|line| line.contains("metrics_address: listening")),
        "{out:#?}"
    );
}

#[test]
fn c_6_2_text() {
    let daemon = daemon("metrics_mode=prometheus\ndisable_system_metrics=true");
    for (path, status) in [("/ping", 200), ("/ping", 200), ("/nowhere", 404)] {
        assert_eq!(daemon.get(path).status, status);
    }
    // Responses of every listener count, that of a scrape from the next one on.
    assert_eq!(Api::management(&daemon).ask("GET /models").status, 200);
    assert_eq!(scrape(&daemon, "").status, 200);
    let check = |name: &str, count: &str| {
        let answer = scrape(&daemon, &format!("?name[]={name}"));
        let lines: Vec<&str> = answer.text().lines().collect();
        let [help, kind, sample] = lines[..] else {
            panic!("{name}: {lines:?}");
        };
        let expected =
            format!("# HELP {name} Torchserve prometheus counter metric with unit: Count");
        assert_eq!(help, expected);
        assert_eq!(kind, format!("# TYPE {name} counter"));
        // A comma after the last label, too, and numbers with a point.
        let (start, end) = (
            format!("{name}{{Level=\"Host\",Hostname=\""),
            format!("\",}} {count}"),
        );
        assert!(
            sample.starts_with(&start) && sample.ends_with(&end),
            "{sample}"
        );
    };
    check("Requests2XX", "4.0");
    check("Requests4XX", "1.0");
}

#[test]
fn c_6_3_names_and_labels() {
    let daemon = daemon("metrics_mode=prometheus\nmetric_time_interval=1");
    for path in ["/predictions/double", "/predictions/double/1.0"] {
        let answer = daemon.post(path, b"[1.5]");
        assert_eq!(answer.prediction(), json!([3.0]));
    }
    assert_eq!(daemon.get("/nowhere").status, 404);
    assert_eq!(daemon.post("/predictions/double", b"x").status, 400);
    poll("the machine is measured", || {
        let answer = scrape(&daemon, "?name[]=MemoryUtilization");
        !answer.body.is_empty()
    });
    let answer = scrape(&daemon, "");
    let text = answer.text();
    // Every series that this machine has, with its labels.
    let host = "Level,Hostname";
    let inference = "model_name,model_version,hostname";
    let series = [
        ("Requests2XX", "counter", host),
        ("Requests4XX", "counter", host),
        ("ts_inference_requests_total", "counter", inference),
        ("ts_inference_latency_microseconds", "counter", inference),
        ("ts_queue_latency_microseconds", "counter", inference),
        ("QueueTime", "gauge", host),
        ("WorkerThreadTime", "gauge", host),
        ("WorkerLoadTime", "gauge", "WorkerName,Level,Hostname"),
        ("CPUUtilization", "gauge", host),
        ("MemoryUtilization", "gauge", host),
        ("MemoryUsed", "gauge", host),
        ("MemoryAvailable", "gauge", host),
        ("DiskUsage", "gauge", host),
        ("DiskAvailable", "gauge", host),
        ("DiskUtilization", "gauge", host),
        ("HandlerTime", "gauge", "ModelName,Level,Hostname"),
        ("PredictionTime", "gauge", "ModelName,Level,Hostname"),
    ];
    for (name, kind, labels) in series {
        let start = format!("{name}{{");
        let line = text.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        let (found, _) = line[start.len()..].split_once('}').expect("labels");
        let found: Vec<&str> = found
            .split(',')
            .filter_map(|label| Some(label.split_once('=')?.0))
            .collect();
        assert_eq!(found.join(","), labels, "{line}");
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
    }
    // By the version that a request named; one that fails has arrived all the same.
    for (version, count) in [("default", 2.0), ("1.0", 1.0)] {
        let labels = format!("{{model_name=\"double\",model_version=\"{version}\",hostname=\"");
        let of = |name: &str| value(text, &format!("{name}{labels}"));
        assert_eq!(of("ts_inference_requests_total"), count);
        let queued = of("ts_queue_latency_microseconds");
        let whole = of("ts_inference_latency_microseconds");
        assert!(0.0 <= queued && queued < whole, "{queued} {whole}");
    }
    assert!(text.contains("WorkerLoadTime{WorkerName=\"W-9000-double_1.0\",Level=\"Host\","));
    assert!(value(text, "PredictionTime{ModelName=\"double\",Level=\"Model\",") > 0.0);
    for name in ["CPUUtilization", "MemoryUtilization", "DiskUtilization"] {
        let share = value(text, &format!("{name}{{Level=\"Host\","));
        assert!((0.0..=100.0).contains(&share), "{name}: {share}");
    }
    // One of our own.
    assert!(text.contains(
        "\ntorchrelay_batch_size_sum{model_name=\"double\",model_version=\"1.0\",} 3.0\n"
    ));
}

#[test]
fn c_6_4_the_list_of_metrics() {
    let bench = Bench::new()
        .config("metrics_mode=prometheus\nmetrics_config=m.yaml\ndisable_system_metrics=true")
        .with(&Model::double());
    // What a list leaves out is not emitted; kind, unit and the names of dimensions are free.
    let list = "dimensions:\n  - &host Machine\nts_metrics:\n  counter:\n    - name: Requests2XX\n      unit: answers\n      \
                dimensions: [Where, *host]\n  histogram:\n    - name: QueueTime\n      unit: ms\n      \
                dimensions: [Level, *host]\n";
    bench.write("m.yaml", list.as_bytes());
    let daemon = bench.start();
    daemon.check_serves();
    let answer = scrape(&daemon, "");
    let text = answer.text();
    let types: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter(|line| !line.starts_with("torchrelay_"))
        .collect();
    assert_eq!(types, ["QueueTime histogram", "Requests2XX counter"].into());
    assert!(
        text.contains("Requests2XX{Where=\"Host\",Machine=\""),
        "{text}"
    );
    assert!(text.contains("with unit: answers\n"), "{text}");
    assert_eq!(value(text, "QueueTime_count{Level=\"Host\","), 1.0);
}

#[test]
fn c_6_4_a_broken_list_costs_the_metrics_and_nothing_else() {
    let start = |config: &str, list: &str| {
        let bench = Bench::new()
            .config(&format!("metrics_mode=prometheus\n{config}"))
            .with(&Model::double());
        bench.write("m.yaml", list.as_bytes());
        bench.start()
    };
    let incomplete = "ts_metrics:\n  gauge:\n    - name: QueueTime\n      unit: ms\n";
    for (config, list, words) in [
        (
            "metrics_config=m.yaml",
            incomplete,
            "m.yaml:3: ts_metrics.gauge[0]: missing field `dimensions`",
        ),
        ("metrics_config=absent.yaml", "", "absent.yaml: "),
    ] {
        let daemon = start(config, list);
        daemon.log().wait_for(words);
        daemon.check_serves();
        assert_eq!(scrape(&daemon, "").text(), "", "{config}");
    }
}

#[test]
fn c_6_5_lines_of_the_log() {
    let bench = Bench::new().with(&Model::double()).logging("info");
    let daemon = bench.start();
    daemon.check_serves();
    let host = "|#Level:Host|#hostname:";
    for line in [
        format!("TS_METRICS - Requests2XX.Count:1.0{host}"),
        "TS_METRICS - ts_inference_requests_total.Count:1.0|#model_name:double,model_version:default|#hostname:".into(),
        "TS_METRICS - MemoryUtilization.Percent:".into(),
        "TS_METRICS - QueueTime.Milliseconds:".into(),
        "MODEL_METRICS - PredictionTime.ms:".into(),
    ] {
        let found = daemon.log().wait_for(&line);
        let (_, time) = found.rsplit_once(",timestamp:").expect("a time");
        // The id of the request may follow, as in every line of the log.
        let seconds = time.split(' ').next().and_then(|time| time.parse::<u64>().ok());
        assert!(seconds.is_some(), "{found}");
    }
}
