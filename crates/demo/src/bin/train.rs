//! Makes every committed fixture anew: `train [folder]`, by default into this workspace's `tests/fixtures`. Takes about
//! two minutes on two cores, and fails when a model is not good enough. `cargo xtask fixtures` runs it.
//!
//! `train --bench-models FOLDER` writes instead the networks that only benches want, in seconds.
#![allow(clippy::print_stdout, reason = "tells how training goes")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use demo::torch::{MEAN, STD, classifier, judge, save_bench_models, segmenter, trace};
use demo::{CLASSES, samples};
use tch::CModule;

/// What the committed models must reach on pictures they have not seen.
const LEAST_IOU: f64 = 0.90;
const LEAST_ACCURACY: f64 = 0.95;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    let made = match (first, arguments.next()) {
        (Some(flag), Some(folder)) if flag == "--bench-models" => {
            save_bench_models(Path::new(&folder))
                .map(|()| true)
                .map_err(Into::into)
        }
        (folder, _) => make(&folder.map_or_else(samples::default_folder, PathBuf::from)),
    };
    match made {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("train: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes all fixtures; false if a model is not good enough.
fn make(folder: &Path) -> Result<bool, Box<dyn Error>> {
    let start = Instant::now();
    samples::write_pictures(folder)?;
    let at = |name: &str| folder.join(name);
    samples::write(&at("quadrat_segmenter.yaml"), segmenter_yaml().as_bytes())?;
    samples::write(
        &at("substrate_classifier.yaml"),
        classifier_yaml().as_bytes(),
    )?;
    samples::write(&at("quadrat_index_to_name.json"), names().as_bytes())?;
    trace::save_double(&at("double.pt"))?;
    trace::save_mlp(&at("mlp.pt"))?;

    let progress = &mut |line: &str| println!("{:6.1} s  {line}", start.elapsed().as_secs_f64());
    let path = at("quadrat_segmenter.pt");
    segmenter::train(progress)?.save(&path)?;
    let unseen: Vec<u64> = (5_000_000..5_000_100).collect();
    let iou = judge::mean_iou(&CModule::load(&path)?, &unseen)?;
    progress(&format!(
        "segmenter: mean IoU {iou:.4} on 100 unseen quadrats"
    ));

    let path = at("substrate_classifier.pt");
    classifier::train(progress)?.save(&path)?;
    let unseen: Vec<u64> = (5_000_000..5_000_600).collect();
    let accuracy = judge::accuracy(&CModule::load(&path)?, &unseen)?;
    progress(&format!(
        "classifier: accuracy {accuracy:.4} on 600 unseen substrates"
    ));

    samples::write(&at("README.md"), readme(iou, accuracy).as_bytes())?;
    let good = iou >= LEAST_IOU && accuracy >= LEAST_ACCURACY;
    if !good {
        println!("train: not good enough: IoU must reach {LEAST_IOU}, accuracy {LEAST_ACCURACY}");
    }
    Ok(good)
}

fn segmenter_yaml() -> String {
    format!(
        "\
# model-config.yaml of the quadrat segmenter, for the handler image_segmenter.
minWorkers: 1
maxWorkers: 2
batchSize: 8
maxBatchDelay: 5
responseTimeout: 60
handler:
  # Pictures are taken as they are; their sides must be multiples of 4.
  resize: none
  crop: none
  mean: {MEAN:?}
  std: {STD:?}
  output: map
"
    )
}

fn classifier_yaml() -> String {
    format!(
        "\
# model-config.yaml of the substrate classifier, for the handler image_classifier.
minWorkers: 1
maxWorkers: 2
batchSize: 8
maxBatchDelay: 5
responseTimeout: 60
handler:
  input_size: [64, 64]
  crop: none
  mean: {MEAN:?}
  std: {STD:?}
  topk: 3
"
    )
}

/// `index_to_name.json`: what the handlers call each class.
fn names() -> String {
    let entries: Vec<String> = CLASSES
        .iter()
        .enumerate()
        .map(|(index, class)| format!("  \"{index}\": \"{class}\""))
        .collect();
    format!("{{\n{}\n}}\n", entries.join(",\n"))
}

fn readme(iou: f64, accuracy: f64) -> String {
    let seed = demo::torch::SEED;
    format!(
        "\
# Fixtures

Tiny models and pictures of our own, for the tests and for a first try. Everything here is made by

    cargo xtask fixtures

which runs the program `train` of `crates/demo`: it generates pictures of the sea floor, trains on them (seed {seed}), traces
the models to TorchScript, and fails if they are not good enough. This page is written by it too.

| File | What it is |
|---|---|
| `quadrat_segmenter.pt` | input `[n, 3, h, w]` (sides multiples of 4), output scores `[n, 3, h, w]` for sand, seagrass, rock; \
mean IoU {iou:.3} on 100 unseen quadrats |
| `quadrat_segmenter.yaml` | its `model-config.yaml`, for the handler `image_segmenter` |
| `quadrat_index_to_name.json` | its `index_to_name.json`; the classifier's too |
| `substrate_classifier.pt` | input `[n, 3, 64, 64]`, output scores `[n, 3]`; accuracy {accuracy:.3} on 600 unseen substrates |
| `substrate_classifier.yaml` | its `model-config.yaml`, for the handler `image_classifier` |
| `double.pt` | `y = 2x` for a tensor of any shape, for the handler `base_handler` |
| `mlp.pt` | two linear layers, `[n, 4]` to `[n, 3]`, random weights from the seed |
| `quadrats/*.png` | generated quadrats; the share of each class of `<name>.png` is in `<name>.json` |
| `substrates/*.png` | generated substrates; the file name begins with the class |

Both image models take red, green, blue, divided by 255 and normalised with mean {MEAN:?} and deviation {STD:?}.

The pictures are the same on every machine (`crates/demo/src/samples.rs` names their seeds, and a test compares). Weights are
not, to the last digits, because the order of float additions depends on the number of threads; accuracy is what tests check.
"
    )
}
