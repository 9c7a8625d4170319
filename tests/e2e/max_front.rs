//! The image segmenter of the Model Asset eXchange: the answers of its reference, its statuses and bodies, its settings,
//! and a browser whose page comes from elsewhere.

mod browser;
mod spoilt;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use image_ops::{DecodeLimits, palette};
use serde_json::{Value, json};

use crate::client::{Answer, Connection, Request};
use crate::fixtures::{Model, json as read_json, own};
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

/// One case of the reference, as its file's name says: `cow_jpg.513.mobile`.
struct Case {
    name: String,
    picture: Vec<u8>,
    size: u64,
    /// As the front calls it.
    kind: &'static str,
    expected: Value,
    /// Class numbers, row by row.
    mask: Vec<u8>,
}

fn cases(data: &Path) -> Vec<Case> {
    let entries = fs::read_dir(data.join("expected")).expect("a folder");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|suffix| suffix == "json"));
    files.sort();
    let case = |path: &PathBuf| {
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let expected = read_json(path);
        let picture = name.split('.').next().expect("the picture");
        let (stem, suffix) = picture.rsplit_once('_').expect("its suffix");
        let picture = data.join("images").join(format!("{stem}.{suffix}"));
        Case {
            picture: fs::read(picture).expect("a picture"),
            size: expected["image_size_setting"].as_u64().expect("a side"),
            kind: if expected["model"] == "mobile" {
                "mobile"
            } else {
                "full"
            },
            mask: mask(&path.with_extension("png")),
            expected,
            name,
        }
    };
    files.iter().map(case).collect()
}

/// The class numbers of a palette picture.
fn mask(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).expect("a mask");
    let image = image_ops::decode(&bytes, &DecodeLimits::default()).expect("a picture");
    let colours = palette::voc_classic();
    let mut colours = colours.chunks(3).take(21).map(<[u8]>::to_vec);
    let classes: BTreeMap<Vec<u8>, u8> = (0..21)
        .map(|class| (colours.next().expect("21 colours"), class))
        .collect();
    let pixels = image.data().chunks(3);
    pixels.map(|pixel| classes[pixel]).collect()
}

/// Within the tolerances of the reference: the size exactly, 98.5 % of the pixels, every probe, shares to a hundredth.
#[track_caller]
fn check_mask(case: &Case, answer: &Value) {
    let name = &case.name;
    let expected = &case.expected;
    assert_eq!(answer["image_size"], expected["image_size"], "{name}");
    let rows = answer["seg_map"].as_array().expect("rows");
    let width = expected["image_size"][0].as_u64().expect("a width");
    assert_eq!(
        json!([rows.len(), width]),
        expected["seg_map_shape"],
        "{name}"
    );
    let pixels: Vec<u64> = rows
        .iter()
        .flat_map(|row| row.as_array().expect("a row"))
        .map(|class| class.as_u64().expect("a class number"))
        .collect();
    assert_eq!(pixels.len(), case.mask.len(), "{name}: rows of one length");
    let same = pixels.iter().zip(&case.mask);
    let same = same
        .filter(|(found, expected)| **found == u64::from(**expected))
        .count();
    let agreement = same as f64 / pixels.len() as f64;
    assert!(agreement >= 0.985, "{name}: {agreement}");
    let probes = expected["confident_probes"].as_array().expect("probes");
    assert!(!probes.is_empty(), "{name}");
    for probe in probes {
        let [row, column] =
            ["row", "col"].map(|key| probe[key].as_u64().expect("an index") as usize);
        assert_eq!(
            rows[row][column], probe["cls"],
            "{name}: row {row}, column {column}"
        );
    }
    let labels = read_json(&voc_labels());
    for (class, label) in labels.as_array().expect("a list").iter().enumerate() {
        let label = label.as_str().expect("a name");
        let count = pixels
            .iter()
            .filter(|found| **found == class as u64)
            .count();
        let share = count as f64 / pixels.len() as f64;
        let wanted = expected["share_per_class"][label].as_f64().unwrap_or(0.0);
        assert!(
            (share - wanted).abs() < 0.01,
            "{name}: {label}: {share} for {wanted}"
        );
    }
}

#[test]
fn masks_are_those_of_the_reference() {
    let Some(data) = data() else { return };
    let front = Front::of(bench(&data));
    let cases = cases(&data);
    assert!(cases.len() >= 12, "{} cases", cases.len());
    for case in &cases {
        let of_the_front = case.kind == "mobile" && case.size == 513;
        let answer = if of_the_front {
            let answer = front.segment(&case.picture).prediction();
            let keys: Vec<&String> = answer.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["status", "image_size", "seg_map"]);
            assert_eq!(answer["status"], "ok");
            answer
        } else {
            // A client of the inference API says the size itself.
            let path = format!("/predictions/max-image-segmenter-{}", case.kind);
            let size = case.size.to_string();
            let fields: [(&str, Option<&str>, &[u8]); 2] = [
                ("data", Some("picture"), &case.picture),
                ("image_size", None, size.as_bytes()),
            ];
            let request = Request::new("POST", &path).multipart(&fields);
            front.daemon.send(&request).prediction()
        };
        check_mask(case, &answer);
        if case.name == "stc_jpg.513.mobile" {
            assert_eq!(answer["image_size"], json!([513, 256]));
            assert_eq!(answer["seg_map"][0][0], 0);
            assert_eq!(answer["seg_map"][130][170], 15);
        }
    }
}

#[test]
fn the_environment_chooses_network_and_size() {
    let Some(data) = data() else { return };
    let bench = bench(&data)
        .env("MODEL_TYPE", "full".to_owned())
        .env("IMAGE_SIZE", "513".to_owned());
    let front = Front::of(bench);
    let cases = cases(&data);
    let mut full = cases
        .iter()
        .filter(|case| case.kind == "full" && case.size == 513)
        .peekable();
    assert!(full.peek().is_some());
    for case in full {
        check_mask(case, &front.segment(&case.picture).prediction());
    }
    let bench = front.daemon.end(rustix::process::Signal::TERM);
    let front = Front::of(
        bench
            .env("MODEL_TYPE", String::new())
            .env("IMAGE_SIZE", "333".to_owned()),
    );
    let mut small = cases
        .iter()
        .filter(|case| case.kind == "mobile" && case.size == 333)
        .peekable();
    assert!(small.peek().is_some());
    for case in small {
        check_mask(case, &front.segment(&case.picture).prediction());
    }
    // Above 513 the network sees more.
    let bench = front.daemon.end(rustix::process::Signal::TERM);
    let front = Front::of(bench.env("IMAGE_SIZE", "700".to_owned()));
    let answer = front.segment(&cases[0].picture).prediction();
    assert_eq!(answer["image_size"][0], 700);
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
fn labels_are_those_of_pascal_voc() {
    let Some(data) = data() else { return };
    let front = Front::of(bench(&data));
    let expected = read_json(&data.join("labels/pascal_voc_labels.json"));
    assert_eq!(front.get("/model/labels").json(), expected);
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
