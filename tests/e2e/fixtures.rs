//! Models and pictures: our own, which always are there, and the shared ones, which may be absent.

use std::fs;
use std::path::{Path, PathBuf};

use archive::ArchiveFormat;
use serde_json::Value;

/// What is packed into one archive.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) weights: PathBuf,
    pub(crate) handler: String,
    /// The text of `model-config.yaml`.
    pub(crate) config: Option<String>,
    /// The file that becomes `index_to_name.json`.
    pub(crate) labels: Option<PathBuf>,
    pub(crate) format: ArchiveFormat,
}

impl Model {
    pub(crate) fn new(name: &str, weights: PathBuf, handler: &str) -> Self {
        Model {
            name: name.to_owned(),
            version: "1.0".to_owned(),
            weights,
            handler: handler.to_owned(),
            config: None,
            labels: None,
            format: ArchiveFormat::Zip,
        }
    }

    /// `y = 2x` for numbers of any shape.
    pub(crate) fn double() -> Self {
        Model::new("double", own("double.pt"), "base_handler")
    }

    /// Four numbers to three.
    pub(crate) fn mlp() -> Self {
        Model::new("mlp", own("mlp.pt"), "base_handler")
    }

    /// A picture to the cover of sand, seagrass and rock.
    pub(crate) fn quadrat() -> Self {
        Model::new("quadrat", own("quadrat_segmenter.pt"), "image_segmenter")
            .configured(&own_text("quadrat_segmenter.yaml"))
            .labelled(own("quadrat_index_to_name.json"))
    }

    /// A picture to sand, seagrass or rock.
    pub(crate) fn substrate() -> Self {
        let weights = own("substrate_classifier.pt");
        Model::new("substrate", weights, "image_classifier")
            .configured(&own_text("substrate_classifier.yaml"))
            .labelled(own("quadrat_index_to_name.json"))
    }

    /// ImageNet's thousand classes. `None`: the shared data are absent.
    pub(crate) fn mobilenet() -> Option<Self> {
        let basics = basics()?;
        let weights = basics.join("models/mobilenet_v2_imagenet.pt");
        let model = Model::new("mobilenet_v2", weights, "image_classifier")
            .configured("minWorkers: 1\nmaxWorkers: 1\n")
            .labelled(basics.join("labels/index_to_name.json"))
            // Weights do not shrink, and deflating them takes longer than all the tests on them.
            .packed(ArchiveFormat::ZipStore);
        Some(model)
    }

    /// Pictures of handwritten digits. `None`: the shared data are absent.
    pub(crate) fn digits() -> Option<Self> {
        let weights = basics()?.join("models/digits_lstm.pt");
        let config =
            "handler:\n  channels: 1\n  input_size: [28, 28]\n  mean: 0.1307\n  std: 0.3081\n";
        Some(Model::new("digits", weights, "image_classifier").configured(config))
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    pub(crate) fn configured(mut self, yaml: &str) -> Self {
        self.config = Some(yaml.to_owned());
        self
    }

    pub(crate) fn labelled(mut self, labels: PathBuf) -> Self {
        self.labels = Some(labels);
        self
    }

    pub(crate) fn packed(mut self, format: ArchiveFormat) -> Self {
        self.format = format;
        self
    }
}

/// A file of `tests/fixtures`.
pub(crate) fn own(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(name);
    assert!(path.exists(), "{} is absent", path.display());
    path
}

fn own_text(name: &str) -> String {
    fs::read_to_string(own(name)).expect("text")
}

/// The pictures of a folder: name without suffix, content.
pub(crate) fn pictures(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .expect("a folder of pictures")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "png"))
        .map(|path| {
            let stem = path.file_stem().expect("a name").to_string_lossy();
            (stem.into_owned(), fs::read(&path).expect("readable"))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{} is empty", folder.display());
    found
}

/// The class in the name of a substrate picture, `rock-14` say.
pub(crate) fn class(picture: &str) -> &str {
    picture.split('-').next().expect("split gives one part")
}

/// The best class of a classifier's answer, and its probability.
pub(crate) fn best(answer: &Value) -> (String, f64) {
    let (label, probability) = answer
        .as_object()
        .and_then(|labels| labels.iter().next())
        .unwrap_or_else(|| panic!("no labels: {answer}"));
    (label.clone(), probability.as_f64().expect("a probability"))
}

/// The folder of shared data for TorchServe's first steps; where it is absent, the test that asks says so.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
pub(crate) fn basics() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/torchserve-basics");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

/// A JSON file.
pub(crate) fn json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
