//! The image segmenter of the Model Asset eXchange: the answers of its reference, its statuses and bodies, its settings,
//! and a browser whose page comes from elsewhere.

mod browser;
mod reference;
mod spoilt;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::client::{Answer, Connection, Request};
use crate::fixtures::{Model, own};
use crate::harness::{Bench, Daemon};

const CONFIG: &str = include_str!("../../server/fronts/max/model-config.yaml");

/// The models by what the front calls them: the reference's network, and one of half its width.
const MODELS: [(&str, &str); 2] = [
    ("mobile", "deeplab_mnv2_pascal.pt"),
    ("full", "deeplab_mnv2_dm05_pascal.pt"),
];

/// The folder of shared data; where it is absent, the test that asks says so.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/max-image-segmenter");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

fn voc_labels() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fronts/max/index_to_name.json")
}

/// Both networks in a store, with the front configured.
fn bench(data: &Path) -> Bench {
    let bench = Bench::new().config("fronts=max=http://127.0.0.1:0");
    MODELS.iter().fold(bench, |bench, (kind, file)| {
        let name = format!("max-image-segmenter-{kind}");
        let weights = data.join("models").join(file);
        let model = Model::new(&name, weights, "image_segmenter")
            .configured(CONFIG)
            .labelled(voc_labels());
        bench.with(&model)
    })
}

/// A daemon whose front asks our own small network, which is always there.
fn own_bench() -> Bench {
    let quadrat = Model::new(
        "max-image-segmenter-mobile",
        own("quadrat_segmenter.pt"),
        "image_segmenter",
    );
    Bench::new().config("fronts=max=http://127.0.0.1:0").with(
        &quadrat
            .configured(include_str!("../fixtures/quadrat_max_front.yaml"))
            .labelled(own("quadrat_index_to_name.json")),
    )
}

struct Front {
    daemon: Daemon,
    address: SocketAddr,
}

impl Front {
    fn of(bench: Bench) -> Self {
        let daemon = bench.start();
        let address = daemon.address_of("front max");
        Front { daemon, address }
    }

    fn send(&self, request: &Request) -> Answer {
        Connection::open(self.address).request(request)
    }

    fn get(&self, path: &str) -> Answer {
        self.send(&Request::new("GET", path))
    }

    /// A picture as the web application sends it: with a field that means nothing.
    fn segment(&self, picture: &[u8]) -> Answer {
        let fields: [(&str, Option<&str>, &[u8]); 2] = [
            ("image", Some("picture.jpg"), picture),
            ("type", None, b"undefined"),
        ];
        self.send(&Request::new("POST", "/model/predict").multipart(&fields))
    }
}

#[test]
fn what_it_is_and_what_it_knows_is_told() {
    let front = Front::of(
        own_bench()
            .env("MODEL_TYPE", "vacuum".to_owned())
            .env("IMAGE_SIZE", "talk-big".to_owned()),
    );
    let warnings = [
        "MODEL_TYPE: expected one of mobile, full, found `vacuum`; the default mobile is used",
        "IMAGE_SIZE: expected a whole number from 16 to 1024, found `talk-big`; the default 513 is used",
    ];
    for warning in warnings {
        front.daemon.log().wait_for(warning);
    }
    let metadata = front.get("/model/metadata");
    assert_eq!(metadata.status, 200);
    assert_eq!(metadata.header("content-type"), Some("application/json"));
    let metadata = metadata.json();
    let source = metadata["source"].as_str().expect("an address");
    assert!(source.contains("max-image-segmenter"), "{source}");
    let expected = [
        ("id", "max-image-segmenter"),
        ("name", "MAX Image Segmenter"),
        (
            "description",
            "DeepLab TensorFlow model for semantic image segmentation, trained on VOCO 2012",
        ),
        ("type", "Object Detection"),
        ("license", "Apache v2"),
    ];
    for (key, value) in expected {
        assert_eq!(metadata[key], value);
    }
    assert_eq!(metadata.as_object().map(serde_json::Map::len), Some(6));

    let labels = front.get("/model/labels").json();
    let names = ["sand", "seagrass", "rock"];
    let expected: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(id, name)| json!({"id": id, "name": name}))
        .collect();
    assert_eq!(labels, Value::Array(expected));

    let document = front.get("/swagger.json");
    assert_eq!(document.header("content-type"), Some("application/json"));
    assert_eq!(document.json()["swagger"], "2.0");
    assert_eq!(document.json()["info"]["title"], "MAX Image Segmenter");
    let page = front.get("/");
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    for outside in ["src=\"http", "href=\"http", "@import", "url(http"] {
        assert!(
            !page.text().contains(outside),
            "the page asks for {outside}"
        );
    }
    // Not its own, though the daemon's.
    for path in [
        "/ping",
        "/models",
        "/predictions/max-image-segmenter-mobile",
    ] {
        assert_eq!(front.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_front_without_its_model_says_so_and_serves_when_it_comes() {
    let bench = own_bench().config("fronts=max=http://127.0.0.1:0\nenable_model_api=true");
    let daemon = bench.start_with(&["--model-store", "store"]);
    daemon
        .log()
        .wait_for("front max: there is no model max-image-segmenter-mobile yet");
    let address = daemon.address_of("front max");
    let front = Front { daemon, address };
    let absent = json!({ "message": "Model not found: max-image-segmenter-mobile" });
    for answer in [front.get("/model/labels"), front.segment(b"x")] {
        assert_eq!((answer.status, answer.json()), (503, absent.clone()));
    }
    let path = "/models?url=max-image-segmenter-mobile.mar&initial_workers=1&synchronous=true";
    assert_eq!(front.daemon.manage("POST", path).status, 200);
    assert_eq!(front.get("/model/labels").status, 200);
}

#[test]
fn a_flag_opens_it_and_a_front_that_cannot_be_is_told() {
    let daemon = own_bench().config("").start_with(&[
        "--model-store",
        "store",
        "--max-front=http://127.0.0.1:0",
    ]);
    let address = daemon.address_of("front max");
    let front = Front { daemon, address };
    assert_eq!(front.get("/model/metadata").status, 200);

    let check = |fronts: &str, expected: &str| {
        let bench = Bench::new().config(&format!("fronts={fronts}"));
        let ran = bench.run(&[&crate::harness::START[..], &["--model-store", "store"]].concat());
        assert_ne!(ran.code, Some(0), "{fronts}");
        let told = ran.stderr.join("\n");
        assert!(told.contains(expected), "{fronts}: {told}");
    };
    check(
        "maxx",
        "fronts: maxx: there is no front of that name (shipped is max), and no such file",
    );
    check(
        "max=5000",
        "fronts: max: invalid address `5000`: expected http://host[:port]",
    );
}
