use super::*;

fn check_figure(value: f64, expected: &str) {
    assert_eq!(figure(value), expected, "{value}");
}

#[test]
fn figures_have_three_digits_that_count() {
    check_figure(0.0, "0.000");
    check_figure(0.123_4, "0.123");
    check_figure(1.0, "1.00");
    check_figure(12.345, "12.3");
    check_figure(123.4, "123");
    check_figure(1_234.0, "1,234");
    check_figure(1_234_567.8, "1,234,568");
    check_figure(f64::NAN, "–");
}

fn model() -> Model {
    let configuration = Configuration {
        workers: 1,
        threads: 2,
        batch: 1,
    };
    Model {
        name: "m".into(),
        title: "A model".into(),
        first_right: Duration::from_millis(250),
        peak: 412_345_678,
        rows: vec![Row {
            concurrency: 1,
            per_second: 50.0,
            median_ms: 20.0,
            p99_ms: 31.0,
            cpu_ms: 33.3,
            client_share: 0.02,
            ratio: Ratio {
                median: 0.9,
                least: 0.85,
                most: 0.95,
            },
            latency: Ratio {
                median: 1.1,
                least: 1.05,
                most: 1.15,
            },
            added_ms: 2.0,
            bare: BareFigures {
                configuration,
                per_second: 55.0,
                median_ms: 18.0,
            },
        }],
    }
}

#[test]
fn a_model_is_a_table() {
    let text = of_model(&model());
    assert_eq!(
        text,
        "## A model\n\nFirst right answer 0.25 s after the start of the process; at most 412 MB resident.\n\n\
         | connections | requests/s | median ms | p99 ms | CPU ms | load | libtorch alone | as | ratio |\n\
         |---:|---:|---:|---:|---:|---:|---:|---|---|\n\
         | 1 | 50.0 | 20.0 | 31.0 | 33.3 | 2 % | 55.0 | 1 × 2 × 1 | **0.900** (0.850 to 0.950) |\n\n\
         A lone request takes 20.0 ms: 1.10 times (1.05 to 1.15) what libtorch alone takes for it, or 2.00 ms more.\n"
    );
}

fn weight(workers: usize, idle: u64, loaded: u64, millis: u64) -> Weight {
    Weight {
        workers,
        first_right: Duration::from_millis(millis),
        idle: idle * 1_000_000,
        loaded: loaded * 1_000_000,
    }
}

#[test]
fn targets_are_judged() {
    let one = weight(1, 250, 300, 400);
    // 1.25 × 300 and 3 × 50: 525.
    let good = [
        one.clone(),
        weight(2, 260, 599, 699),
        weight(4, 270, 525, 500),
    ];
    let text = of_weights("M", &good);
    assert!(
        text.contains("weigh 1.08 times what one weighs, idle, and 1.75 times under load"),
        "{text}"
    );
    assert_eq!(text.matches(": met.").count(), 3, "{text}");
    let bad = [one, weight(2, 260, 600, 700), weight(4, 270, 526, 500)];
    let text = of_weights("M", &bad);
    assert_eq!(text.matches("**not met**").count(), 3, "{text}");
}

#[test]
fn the_page_holds_what_was_found_and_nothing_else() {
    let mut findings = Findings {
        machine: "2 cores, a CPU".into(),
        models: vec![model()],
        ..Findings::default()
    };
    let text = page(&findings, "images/x.svg");
    assert!(text.contains("Machine: 2 cores, a CPU, no accelerator."));
    assert!(text.contains("](images/x.svg)"));
    assert!(!text.contains("What workers weigh") && !text.contains("Where the rest goes"));
    findings.shares = Some(Shares {
        model: "echo".into(),
        concurrency: 32,
        per_second: 20_000.0,
        kinds: vec![Share {
            kind: "workers".into(),
            user_us: 12.0,
            system_us: 3.0,
            sleeps: 0.25,
        }],
    });
    let text = page(&findings, "images/x.svg");
    assert!(
        text.ends_with("| workers | 12.0 | 3.00 | 0.250 |\n"),
        "{text}"
    );
}

#[test]
fn a_section_takes_the_place_of_the_one_before() {
    let page = "# Page\n\n## One\n\nText.\n";
    let once = with_section(page, "## Two\n\nOld.\n");
    assert_eq!(once, "# Page\n\n## One\n\nText.\n\n## Two\n\nOld.\n");
    let twice = with_section(&once, "## Two\n\nNew.\n");
    assert_eq!(twice, "# Page\n\n## One\n\nText.\n\n## Two\n\nNew.\n");
    let first = with_section(&twice, "## One\n\n### Part\n");
    assert_eq!(first, "# Page\n\n## One\n\n### Part\n\n## Two\n\nNew.\n");
}

#[test]
fn what_workflows_cost_is_a_section() {
    let found = Workflows {
        demo: Demo {
            alone_ms: 9.5,
            compute_ms: 9.25,
            added_ms: 0.25,
        },
        cover: Cover {
            served_ms: 12.5,
            bare_ms: 10.0,
            threads: 2,
            ratio: Ratio {
                median: 1.25,
                least: 1.2,
                most: 1.3,
            },
        },
        chain: Chain {
            nodes: 20,
            one_us: 40.0,
            all_us: 78.0,
            node_us: 2.0,
        },
        merging: Merging {
            connections: 8,
            items: 3,
            together: 400.0,
            apart: 125.0,
            ratio: Ratio {
                median: 3.2,
                least: 3.0,
                most: 3.3,
            },
            batch: 7.5,
            batch_apart: 3.0,
        },
        forms: Some(Forms {
            typed_ms: 240.0,
            steps_ms: 250.0,
            ratio: Ratio {
                median: 0.96,
                least: 0.95,
                most: 0.98,
            },
        }),
    };
    let section = found.section();
    for part in [
        "## Workflows\n",
        "`segment_cover` | 9.50 ms | 9.25 ms | **0.250 ms** | < 1 ms: met",
        "20 nodes | 78.0 µs | 40.0 µs for one | **2.00 µs** a node | < 20 µs: met",
        "one picture after the other: 12.5 ms.",
        "on 2 cores: 10.0 ms. The workflow takes **1.25** (1.20 to 1.30) times as long.",
        "| together | 400 | 7.50 |",
        "| apart (`merge: false`) | 125 | 3.00 |",
        "**3.20** (3.00 to 3.30) times; the target is 2: met",
        "the target is a mean batch above 8: **not met**",
        "a node 240 ms, as three models that do\na step each 250 ms, **0.960** (0.950 to 0.980) times",
    ] {
        assert!(section.contains(part), "{part}\n---\n{section}");
    }
}

#[test]
fn what_each_wire_costs_is_a_section() {
    let row = |wire, per_second, speed: f64| {
        let ratio = |median: f64| Ratio {
            median,
            least: median,
            most: median,
        };
        WireRow {
            at_once: 32,
            wire,
            per_second,
            median_ms: 1.5,
            cpu_ms: 0.02,
            client_share: 0.5,
            speed: ratio(speed),
            latency: ratio(1.25),
            cpu: ratio(2.0),
        }
    };
    let large = |copied| Large {
        bytes: 12_000_000,
        rows: vec![LargeRow {
            row: row("gRPC v2, raw", 100.0, 1.0),
            copied,
            batch: 3.5,
        }],
    };
    let section = |copied| {
        Wires {
            models: vec![WireModel {
                title: "M".into(),
                rows: vec![row("gRPC", 1000.0, 0.5)],
            }],
            large: large(copied),
        }
        .section()
    };
    let text = section(Some(1.000_01));
    for part in [
        "## gRPC\n",
        "### M, over every wire\n",
        "| 32 | gRPC | 1,000 | 1.50 | 0.020 | 50 % | **0.500** (0.500 to 0.500) | **1.25** (1.25 to 1.25) | **2.00** (2.00 to 2.00) |\n",
        "### A tensor of 12 MB\n",
        "(2.00 to 2.00) | 3.50 | 1.00 |\n",
        "copied 1.00 times at most; the target is 1: met.",
    ] {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
    assert!(
        section(Some(2.0)).contains("copied 2.00 times at most; the target is 1: **not met**.")
    );
    assert!(section(None).contains("| 3.50 | – |"));
}
