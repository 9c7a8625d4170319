//! Where the time of one classification goes: a whole request, in process and without a socket, beside its decoding,
//! its resizing and its network alone.
//!
//! Criterion reports each part; the table at the end measures them in turn within one run and says what is left for the
//! server. It uses MobileNetV2 and a photograph of the shared reference data where they are, else the demo classifier.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench speaks to its reader, and stops at the first surprise"
)]

use std::fs;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use criterion::Criterion;
use handlers::{Handler, ModelContext};
use http_body_util::BodyExt;
use image_ops::{DecodeLimits, Image, Kernel, Normalize, Window};
use servable::{Device, Input, Loader, Servable, Tensor, Value};
use server::app::{App, AppParts, WireSettings};
use server::args::Args;
use server::auth::Auth;
use server::config::Config;
use server::http::inference_router;
use server::wiring;
use serving::Registration;
use serving::metrics::Metrics;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use torch_engine::{ModelFiles, TorchLoader};
use tower::ServiceExt;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What is measured: a classifier, a picture for it, and what its handler does to the picture.
struct Subject {
    name: &'static str,
    weights: PathBuf,
    picture: Bytes,
    config: &'static str,
    /// Shorter side after resizing, or the exact square where nothing is cropped.
    resize: u32,
    side: u32,
}

fn subject() -> Subject {
    let shared = Path::new(ROOT).join("../shared/data/torchserve-basics");
    let fixtures = Path::new(ROOT).join("tests/fixtures");
    if shared.is_dir() {
        return Subject {
            name: "mobilenet_v2, a 720 x 720 JPEG",
            weights: shared.join("models/mobilenet_v2_imagenet.pt"),
            picture: fs::read(shared.join("images/kitten.jpg")).unwrap().into(),
            config: "handler: {}",
            resize: 256,
            side: 224,
        };
    }
    println!(
        "{} is absent: measuring the demo classifier",
        shared.display()
    );
    Subject {
        name: "substrate classifier, a generated PNG",
        weights: fixtures.join("substrate_classifier.pt"),
        picture: fs::read(fixtures.join("substrates/rock-2.png"))
            .unwrap()
            .into(),
        config: "handler: {input_size: [64, 64], topk: 3}",
        resize: 64,
        side: 64,
    }
}

/// The subject behind a router, ready to answer.
struct Served {
    runtime: Runtime,
    router: Router,
    picture: Bytes,
}

impl Served {
    fn start(subject: &Subject, store: &Path) -> Self {
        let model = store.join("classifier");
        fs::create_dir_all(model.join("MAR-INF")).unwrap();
        fs::copy(&subject.weights, model.join("model.pt")).unwrap();
        fs::write(model.join("model-config.yaml"), subject.config).unwrap();
        fs::write(
            model.join("MAR-INF/MANIFEST.json"),
            r#"{"model": {"modelName": "classifier", "serializedFile": "model.pt", "handler": "image_classifier",
                "modelVersion": "1.0", "configFile": "model-config.yaml"}}"#,
        )
        .unwrap();
        let runtime = Runtime::new().unwrap();
        let router = runtime.block_on(async {
            let store = store.to_str().unwrap();
            let args = Args {
                model_store: Some(store.into()),
                ..Args::default()
            };
            let (config, _) = Config::load(&args, &|_| None, Path::new(store)).unwrap();
            let serving = Arc::new(
                wiring::serving(
                    &config,
                    wiring::engine(&config),
                    &config.model_store.join(".unpacked"),
                    Metrics::off(),
                )
                .unwrap(),
            );
            let registration = Registration {
                url: "classifier".into(),
                ..Registration::default()
            };
            serving
                .register(registration)
                .await
                .unwrap()
                .pool
                .settled()
                .await;
            inference_router(App::from(AppParts {
                serving,
                settings: Arc::new(WireSettings::new(&config)),
                auth: Auth::off(),
                metrics: Metrics::off(),
                left_out: Default::default(),
                missing_workflows: Default::default(),
                stop: CancellationToken::new(),
            }))
        });
        Served {
            runtime,
            router,
            picture: subject.picture.clone(),
        }
    }

    fn ask(&self) {
        self.runtime.block_on(async {
            let body = Body::from(self.picture.clone());
            let request = Request::post("/predictions/classifier").body(body).unwrap();
            let response = self.router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200);
            black_box(response.into_body().collect().await.unwrap());
        });
    }
}

/// The same classifier without a server: its handler around its network, on all cores, as a lone request has them. The
/// network is timed where it runs, because its weights and threads are colder after a decoding than in a loop of its own.
struct Direct {
    handler: Box<dyn Handler>,
    network: Box<dyn Servable>,
    input: Input,
    threads: NonZeroUsize,
}

impl Direct {
    fn load(subject: &Subject, folder: &Path) -> Self {
        let settings: serde_yaml::Value = serde_yaml::from_str(subject.config).unwrap();
        let context = ModelContext {
            settings: settings.get("handler"),
            ..ModelContext::new(folder)
        };
        let loader = TorchLoader::new(ModelFiles {
            name: "direct".into(),
            dir: folder.to_owned(),
            weights: Some(subject.weights.clone()),
            handler: "base_handler".into(),
            handler_settings: None,
            config_file: None,
            limit_max_image_pixels: true,
        })
        .unwrap();
        let mut direct = Direct {
            handler: handlers::by_name("image_classifier", &context).unwrap(),
            network: loader.load(Device::Cpu).unwrap(),
            input: Input::body("", subject.picture.clone()),
            threads: std::thread::available_parallelism().unwrap(),
        };
        direct.run(); // Decides between the saved and the optimised graph.
        direct
    }

    /// Answers the picture once, and tells how long the network took of it.
    fn run(&mut self) -> Duration {
        let mut forward = Duration::ZERO;
        let network = &mut self.network;
        let mut timed_network = |arguments: &[Value], threads: NonZeroUsize| {
            let [Value::Tensor(batch)] = arguments else {
                panic!("one tensor")
            };
            let row = Input::body("", batch.row(0).unwrap());
            let start = Instant::now();
            let output = network.predict(&[row], threads).unwrap().remove(0).unwrap();
            forward = start.elapsed();
            let Value::Tensor(scores) = output.value else {
                panic!("a tensor")
            };
            Ok(Value::Tensor(
                scores.reshape(vec![1, scores.len()]).unwrap(),
            ))
        };
        let inputs = std::slice::from_ref(&self.input);
        black_box(
            self.handler
                .predict(&mut timed_network, inputs, self.threads)
                .unwrap()
                .remove(0)
                .unwrap(),
        );
        forward
    }
}

fn decode(subject: &Subject) -> Image {
    image_ops::decode(&subject.picture, &DecodeLimits::default()).unwrap()
}

fn prepare(subject: &Subject, image: &Image, normalize: &Normalize) -> Tensor {
    let (width, height) =
        image_ops::size::fit_shortest_side(image.width(), image.height(), subject.resize);
    let resized = image_ops::resize(image, width, height, Kernel::PilBilinear).unwrap();
    let side = subject.side;
    let mut samples = vec![0f32; 3 * (side * side) as usize];
    let window = Window::centred(&resized, side, side).unwrap();
    normalize
        .write_window(&resized, window, &mut samples)
        .unwrap();
    Tensor::new(vec![3, side as usize, side as usize], samples).unwrap()
}

fn main() {
    let subject = subject();
    let store = tempfile::tempdir().unwrap();
    let served = Served::start(&subject, store.path());
    let normalize = Normalize::imagenet();
    let image = decode(&subject);
    let mut direct = Direct::load(&subject, store.path());

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("request");
    group.bench_function("whole", |bencher| bencher.iter(|| served.ask()));
    group.bench_function("decode", |bencher| bencher.iter(|| decode(&subject)));
    group.bench_function("resize", |bencher| {
        bencher.iter(|| prepare(&subject, &image, &normalize))
    });
    group.bench_function("without a server", |bencher| bencher.iter(|| direct.run()));
    group.finish();

    // In turn within one run, so that a noisy machine disturbs all parts alike.
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..100 {
        times[0].push(timed(|| served.ask()));
        times[1].push(timed(|| drop(decode(&subject))));
        times[2].push(timed(|| drop(prepare(&subject, &image, &normalize))));
        times[3].push(direct.run());
    }
    let [whole, decode, resize, forward] = times.map(median);
    let rest = whole.saturating_sub(decode + resize + forward);
    println!(
        "\nWhere one request goes ({}), medians of 100:",
        subject.name
    );
    let parts = [
        ("decode", decode),
        ("resize, crop, normalise", resize),
        ("forward", forward),
        ("rest: routing, queue, buffers, answer", rest),
        ("whole", whole),
    ];
    for (part, time) in parts {
        let share = 100.0 * time.as_secs_f64() / whole.as_secs_f64();
        println!(
            "  {part:<38} {:8.3} ms  {share:5.1} %",
            1e3 * time.as_secs_f64()
        );
    }
    if decode + resize + forward > whole {
        println!("  (the parts alone took longer than within the request: the machine is noisy)");
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
