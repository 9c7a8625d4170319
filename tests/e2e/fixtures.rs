//! Models and pictures: our own, which always are there, and the shared ones, which may be absent.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use archive::ArchiveFormat;
use serde_json::Value;
use zip::ZipArchive;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::harness::Bench;

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

    /// A network that does as its numbers say: `[0, y]` answers `[0, 2y]` at once, `[n, y]` after n rounds of work (some
    /// thousand of them take a second), `[-1, y]` throws.
    pub(crate) fn cue(bench: &Bench) -> Self {
        let code = "class Cue(Module):
  __parameters__ = []
  __buffers__ = []
  def forward(self: __torch__.Cue,
    x: Tensor) -> Tensor:
    rounds = int(torch.max(torch.select(x, -1, 0)))
    lowest = int(torch.min(torch.select(x, -1, 0)))
    if torch.lt(lowest, 0):
      ops.prim.RaiseException(\"as the cue says\")
    else:
      pass
    work = torch.ones([100000])
    for i in range(rounds):
      work = torch.cos(work)
    return torch.add(torch.mul(x, 2.), torch.mul(torch.min(work), 0.))
";
        bench.write("stage/cue.pt", &script("Cue", code));
        Model::new("cue", bench.path("stage/cue.pt"), "base_handler")
    }

    /// A network that asks for as many bytes of memory as its largest number says, four times over, and answers with 2x.
    pub(crate) fn hungry(bench: &Bench) -> Self {
        let code = "class Hungry(Module):
  __parameters__ = []
  __buffers__ = []
  def forward(self: __torch__.Hungry,
    x: Tensor) -> Tensor:
    food = torch.ones([int(torch.max(x))])
    return torch.add(torch.mul(x, 2.), torch.mul(torch.min(food), 0.))
";
        bench.write("stage/hungry.pt", &script("Hungry", code));
        Model::new("hungry", bench.path("stage/hungry.pt"), "base_handler")
    }

    /// One that is packed without complaint and cannot be loaded: only libtorch can tell.
    pub(crate) fn unloadable(bench: &Bench) -> Self {
        let entries: [(&str, &[u8]); 4] = [
            ("archive/data.pkl", b"\x80\x02}q\x00."),
            ("archive/constants.pkl", b"\x80\x02)."),
            ("archive/code/__torch__.py", b"no code"),
            ("archive/version", b"3\n"),
        ];
        bench.write("stage/unloadable.pt", &zip(&entries));
        Model::new(
            "unloadable",
            bench.path("stage/unloadable.pt"),
            "base_handler",
        )
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

    /// The same, from the picture's colours alone.
    pub(crate) fn colour() -> Self {
        let weights = own("colour_classifier.pt");
        Model::new("colour", weights, "image_classifier")
            .configured(&own_text("colour_classifier.yaml"))
            .labelled(own("quadrat_index_to_name.json"))
    }

    /// A picture as numbers to rows for `nms`: where numbered tags lie.
    pub(crate) fn tag_finder() -> Self {
        Model::new("tag_finder", own("tag_finder.pt"), "base_handler")
            .configured(&own_text("tag_finder.yaml"))
    }

    /// A tag to its digit.
    pub(crate) fn tag_reader() -> Self {
        Model::new("tag_reader", own("tag_reader.pt"), "image_classifier")
            .configured(&own_text("tag_reader.yaml"))
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

    pub(crate) fn versioned(mut self, version: &str) -> Self {
        self.version = version.to_owned();
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

/// A TorchScript file of that class: `double.pt` with other code.
pub(crate) fn script(class: &str, code: &str) -> Vec<u8> {
    let file = fs::File::open(own("double.pt")).expect("a file");
    let mut original = ZipArchive::new(file).expect("an archive");
    let mut entries = Vec::new();
    for index in 0..original.len() {
        let mut entry = original.by_index(index).expect("an entry");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("readable");
        let name = entry.name().expect("text").into_owned();
        if name.ends_with("__torch__.py") {
            content = code.into();
        } else if name.ends_with("data.pkl") {
            content = rename_class(&content, class);
        }
        if !name.ends_with("debug_pkl") {
            entries.push((name, content));
        }
    }
    let entries: Vec<(&str, &[u8])> = entries
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_slice()))
        .collect();
    zip(&entries)
}

/// The pickled module names its class on a line of its own.
fn rename_class(pickle: &[u8], class: &str) -> Vec<u8> {
    let lines = pickle.split(|&byte| byte == b'\n');
    let renamed: Vec<&[u8]> = lines
        .map(|line| match line {
            b"Double" => class.as_bytes(),
            line => line,
        })
        .collect();
    renamed.join(&b'\n')
}

/// A zip of these entries.
pub(crate) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut zip = ZipWriter::new(&mut bytes);
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default())
            .expect("a new entry");
        zip.write_all(content).expect("in memory");
    }
    zip.finish().expect("in memory");
    bytes.into_inner()
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
pub(crate) fn basics() -> Option<PathBuf> {
    shared("torchserve-basics")
}

/// A folder of shared data; where it is absent, the test that asks says so.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name);
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
