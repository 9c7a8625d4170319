//! What is recorded and what whoever scrapes then sees, mode by mode.

use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;

use super::*;

pub(super) fn definition(kind: Kind, name: &str, unit: &str, dimensions: &[&str]) -> Definition {
    Definition {
        name: name.to_owned(),
        unit: unit.to_owned(),
        kind,
        dimensions: dimensions.iter().map(ToString::to_string).collect(),
    }
}

/// A list with a metric of every kind of label.
fn definitions() -> Definitions {
    use Kind::{Counter, Gauge};
    let request = ["model_name", "model_version", "hostname"];
    let host = ["Level", "Hostname"];
    Definitions {
        ts: vec![
            definition(Counter, "Requests2XX", "Count", &host),
            definition(Counter, "Requests4XX", "Count", &host),
            definition(Counter, "Requests5XX", "Count", &host),
            definition(Counter, LEGACY[0], "Count", &request),
            definition(Counter, LEGACY[1], "Microseconds", &request),
            definition(Counter, LEGACY[2], "Microseconds", &request),
            definition(Gauge, "QueueTime", "Milliseconds", &host),
            definition(
                Gauge,
                "WorkerLoadTime",
                "Milliseconds",
                &["WorkerName", "Level", "Hostname"],
            ),
            definition(
                Gauge,
                "GPUUtilization",
                "Percent",
                &["Level", "DeviceId", "Hostname"],
            ),
        ],
        model: vec![definition(
            Gauge,
            "PredictionTime",
            "ms",
            &["ModelName", "Level"],
        )],
    }
}

pub(super) fn metrics(mode: Mode, definitions: Definitions) -> Metrics {
    let config = MetricsConfig {
        mode,
        definitions,
        auto_detect: false,
        host: "vm".to_owned(),
    };
    Metrics::new(config, Registry::new()).expect("a sound list")
}

/// The samples of these metrics, without the lines that describe them.
pub(super) fn samples(metrics: &Metrics, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let text = metrics.exposition(&names);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| format!("{line}\n")).collect()
}

fn record_everything(metrics: &Metrics) {
    let model = metrics.for_model("m", "default");
    model.request_arrived();
    model.answered(Duration::from_micros(1500), Duration::from_millis(4));
    model.batch(3, Duration::from_millis(1));
    model.predicted(Duration::from_millis(2));
    model.worker_loaded("W-0-m_1.0", Duration::from_millis(250));
    model.refused(Code::Overloaded);
    metrics.refused(Code::ModelNotFound);
    for status in [200, 204, 404, 500, 302] {
        metrics.response(status);
    }
    assert!(metrics.system("GPUUtilization", &["Host", "0"], 12.5));
}

#[test]
fn a_scrape_in_the_mode_prometheus_has_everything() {
    let metrics = metrics(Mode::Prometheus, definitions());
    record_everything(&metrics);
    let check = |name: &str, expected: &str| assert_eq!(samples(&metrics, &[name]), expected);
    check(
        "Requests2XX",
        "Requests2XX{Level=\"Host\",Hostname=\"vm\",} 2.0\n",
    );
    check(
        "Requests4XX",
        "Requests4XX{Level=\"Host\",Hostname=\"vm\",} 1.0\n",
    );
    check(
        "Requests5XX",
        "Requests5XX{Level=\"Host\",Hostname=\"vm\",} 2.0\n",
    );
    let labels = "{model_name=\"m\",model_version=\"default\",hostname=\"vm\",}";
    check(LEGACY[0], &format!("{}{labels} 1.0\n", LEGACY[0]));
    check(LEGACY[1], &format!("{}{labels} 4000.0\n", LEGACY[1]));
    check(LEGACY[2], &format!("{}{labels} 1500.0\n", LEGACY[2]));
    check(
        "QueueTime",
        "QueueTime{Level=\"Host\",Hostname=\"vm\",} 1.5\n",
    );
    check(
        "WorkerLoadTime",
        "WorkerLoadTime{WorkerName=\"W-0-m_1.0\",Level=\"Host\",Hostname=\"vm\",} 250.0\n",
    );
    check(
        "GPUUtilization",
        "GPUUtilization{Level=\"Host\",DeviceId=\"0\",Hostname=\"vm\",} 12.5\n",
    );
    check(
        "PredictionTime",
        "PredictionTime{ModelName=\"m\",Level=\"Model\",Hostname=\"vm\",} 2.0\n",
    );
    check(
        "torchrelay_refused_total",
        "torchrelay_refused_total{model_name=\"\",model_version=\"\",reason=\"ModelNotFound\",} 1.0\n\
         torchrelay_refused_total{model_name=\"m\",model_version=\"default\",reason=\"Overloaded\",} 1.0\n",
    );
    let ours = samples(
        &metrics,
        &[
            "torchrelay_batch_size",
            "torchrelay_predict_seconds_sum",
            "torchrelay_request_seconds_sum",
        ],
    );
    let labels = "model_name=\"m\",model_version=\"default\",";
    for line in [
        format!("torchrelay_batch_size_bucket{{{labels}le=\"2.0\",}} 0.0\n"),
        format!("torchrelay_batch_size_bucket{{{labels}le=\"4.0\",}} 1.0\n"),
        format!("torchrelay_batch_size_sum{{{labels}}} 3.0\n"),
        format!("torchrelay_predict_seconds_sum{{{labels}}} 0.002\n"),
        format!("torchrelay_request_seconds_sum{{{labels}}} 0.004\n"),
    ] {
        assert!(ours.contains(&line), "{line}{ours}");
    }
}

#[test]
fn a_request_is_inside_until_it_has_left() {
    let metrics = metrics(Mode::Prometheus, definitions());
    let model = metrics.for_model("m", "1.0");
    let check = |expected: &str| {
        let text = samples(&metrics, &["torchrelay_requests_inside"]);
        let labels = "{model_name=\"m\",model_version=\"1.0\",}";
        let line = format!("torchrelay_requests_inside{labels} {expected}\n");
        assert_eq!(text, line);
    };
    let first = model.inside();
    let second = model.inside();
    check("2.0");
    drop(first);
    check("1.0");
    drop(second);
    check("0.0");
}

#[test]
fn a_filter_leaves_only_what_it_names() {
    let metrics = metrics(Mode::Prometheus, definitions());
    record_everything(&metrics);
    let check = |names: &[&str], expected: &[&str]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let text = metrics.exposition(&names);
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let found: Vec<&str> = types.filter_map(|rest| rest.split(' ').next()).collect();
        assert_eq!(found, expected, "{names:?}");
    };
    check(&["QueueTime", "Requests2XX"], &["QueueTime", "Requests2XX"]);
    check(&["torchrelay_batch_size_count"], &["torchrelay_batch_size"]);
    check(&["queuetime", "Requests", "QueueTime_x"], &[]);
    check(&[""], &[]);
}

/// Runs `record`, and returns its log lines of metrics as `target line`, cut before the time.
pub(super) fn logged(record: impl FnOnce()) -> Vec<String> {
    struct Lines(Arc<Mutex<Vec<String>>>);
    struct Text(String);
    impl tracing::field::Visit for Text {
        fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            self.0 = format!("{value:?}");
        }
    }
    impl tracing::Subscriber for Lines {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut text = Text(String::new());
            event.record(&mut text);
            let line = format!("{} {}", event.metadata().target(), text.0);
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(line);
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
    let lines = Arc::new(Mutex::new(Vec::new()));
    tracing::subscriber::with_default(Lines(Arc::clone(&lines)), record);
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    let cut = |line: &String| {
        let (line, time) = line.rsplit_once("timestamp:").expect("a time");
        assert!(
            time.parse::<u64>().is_ok_and(|time| time > 1_700_000_000),
            "{time}"
        );
        line.to_owned()
    };
    lines.iter().map(cut).collect()
}

#[test]
fn the_mode_log_writes_lines_and_shows_nothing() {
    let metrics = metrics(Mode::Log, definitions());
    let lines = logged(|| {
        record_everything(&metrics);
        metrics.response(200);
    });
    for (line, times) in [
        (
            "ts_metrics Requests2XX.Count:1.0|#Level:Host|#hostname:vm,",
            3,
        ),
        (
            "ts_metrics ts_queue_latency_microseconds.Microseconds:1500.0|#model_name:m,model_version:default\
             |#hostname:vm,",
            1,
        ),
        (
            "ts_metrics QueueTime.Milliseconds:1.5|#Level:Host|#hostname:vm,",
            1,
        ),
        (
            "ts_metrics WorkerLoadTime.Milliseconds:250.0|#WorkerName:W-0-m_1.0,Level:Host|#hostname:vm,",
            1,
        ),
        (
            "model_metrics PredictionTime.ms:2.0|#ModelName:m,Level:Model|#hostname:vm,",
            1,
        ),
    ] {
        let found = lines.iter().filter(|found| *found == line).count();
        assert_eq!(found, times, "{line}\n{lines:#?}");
    }
    assert!(
        lines.iter().all(|line| !line.contains("torchrelay_")),
        "{lines:#?}"
    );
    assert_eq!(metrics.exposition(&[]), "");
}

#[test]
fn the_mode_legacy_shows_three_counters_and_logs_the_rest() {
    let metrics = metrics(Mode::Legacy, definitions());
    let lines = logged(|| record_everything(&metrics));
    let labels = "{model_name=\"m\",model_version=\"default\",hostname=\"vm\",}";
    let [requests, inference, queue] = LEGACY;
    assert_eq!(
        samples(&metrics, &[]),
        format!("{inference}{labels} 4000.0\n{requests}{labels} 1.0\n{queue}{labels} 1500.0\n")
    );
    assert!(
        lines.iter().any(|line| line.contains("QueueTime")),
        "{lines:#?}"
    );
    assert!(
        lines.iter().all(|line| !line.contains("ts_inference")),
        "{lines:#?}"
    );
}

#[test]
fn what_the_list_does_not_have_is_not_emitted() {
    let short = Definitions {
        ts: vec![
            definition(Kind::Gauge, "QueueTime", "Seconds", &["Layer", "Machine"]),
            // The server has two label values for it.
            definition(Kind::Counter, "Requests2XX", "Count", &["Hostname"]),
        ],
        model: Vec::new(),
    };
    let metrics = metrics(Mode::Prometheus, short);
    let model = metrics.for_model("m", "1.0");
    model.request_arrived();
    model.answered(Duration::from_millis(7), Duration::from_millis(9));
    metrics.response(200);
    assert!(!metrics.system("CPUUtilization", &["Host"], 1.0));
    assert!(!metrics.system("QueueTime", &["Host", "0"], 1.0));
    let text = metrics.exposition(&["QueueTime".into(), "Requests2XX".into(), LEGACY[0].into()]);
    assert_eq!(
        text,
        "# HELP QueueTime Torchserve prometheus gauge metric with unit: Seconds\n\
         # TYPE QueueTime gauge\n\
         QueueTime{Layer=\"Host\",Machine=\"vm\",} 7.0\n"
    );
    record_everything_quietly(&Metrics::off());
}

fn record_everything_quietly(metrics: &Metrics) {
    let model = metrics.for_model("m", "1.0");
    model.request_arrived();
    model.refused(Code::Timeout);
    metrics.response(200);
    assert_eq!(metrics.exposition(&[]), "");
}

#[test]
fn a_name_that_prometheus_does_not_take_is_told() {
    let check = |name: &str, label: &str, expected: &str| {
        let config = MetricsConfig {
            mode: Mode::Prometheus,
            definitions: Definitions {
                ts: vec![definition(Kind::Gauge, name, "ms", &[label])],
                model: Vec::new(),
            },
            auto_detect: false,
            host: String::new(),
        };
        let error = Metrics::new(config, Registry::new())
            .err()
            .expect("refused");
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    check("no name", "a", "metric no name: ");
    check("name", "no label", "metric name: ");
    check(
        "torchrelay_batch_size",
        "a",
        "metric torchrelay_batch_size: ",
    );
}

#[test]
fn a_worker_that_is_gone_is_forgotten() {
    let metrics = metrics(Mode::Prometheus, definitions());
    let model = metrics.for_model("m", "1.0");
    model.worker_loaded("W-0-m_1.0", Duration::from_millis(1));
    model.worker_loaded("W-1-m_1.0", Duration::from_millis(2));
    model.worker_gone("W-0-m_1.0");
    assert_eq!(
        samples(&metrics, &["WorkerLoadTime"]),
        "WorkerLoadTime{WorkerName=\"W-1-m_1.0\",Level=\"Host\",Hostname=\"vm\",} 2.0\n"
    );
}

#[test]
fn labels_that_read_alike_side_by_side_are_told_apart() {
    let metrics = metrics(Mode::Prometheus, definitions());
    metrics.for_model("m1", "1.0").request_arrived();
    metrics.for_model("m", "11.0").request_arrived();
    let of = |model: &str, version: &str| {
        let name = LEGACY[0];
        format!(
            "{name}{{model_name=\"{model}\",model_version=\"{version}\",hostname=\"vm\",}} 1.0\n"
        )
    };
    assert_eq!(
        samples(&metrics, &[LEGACY[0]]),
        of("m", "11.0") + &of("m1", "1.0")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever several threads record at once, through handles of their own, is all there in the end.
    #[test]
    fn nothing_is_lost_between_threads(
        threads in prop::collection::vec(prop::collection::vec((0..3usize, 0..5000u32), 0..200), 1..6)
    ) {
        let metrics = metrics(Mode::Prometheus, definitions());
        std::thread::scope(|scope| {
            for events in &threads {
                let metrics = metrics.clone();
                scope.spawn(move || for &(model, micros) in events {
                    let model = metrics.for_model(["a", "b", "c"][model], "default");
                    model.request_arrived();
                    model.answered(Duration::ZERO, Duration::from_micros(micros.into()));
                });
            }
        });
        let events = || threads.iter().flatten();
        let mut expected = String::new();
        type Weight = fn(u32) -> f64;
        let counters: [(&str, Weight); 2] = [(LEGACY[1], |micros| micros.into()), (LEGACY[0], |_| 1.0)];
        for (name, value) in counters {
            for (index, model) in ["a", "b", "c"].iter().enumerate() {
                let of_model = || events().filter(|(model, _)| *model == index);
                let sum: f64 = of_model().map(|&(_, micros)| value(micros)).sum();
                if of_model().next().is_some() {
                    let labels = format!("model_name=\"{model}\",model_version=\"default\",hostname=\"vm\",");
                    expected += &format!("{name}{{{labels}}} {}\n", text::number(sum));
                }
            }
        }
        prop_assert_eq!(samples(&metrics, &[LEGACY[0], LEGACY[1]]), expected);
    }
}
