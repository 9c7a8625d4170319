//! The texts among the fixtures: configurations, names, and the page that says what is what.

use demo::CLASSES;
use demo::torch::{MEAN, STD, tag_reader};

pub(crate) fn segmenter_yaml() -> String {
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

pub(crate) fn classifier_yaml() -> String {
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

pub(crate) fn colours_yaml() -> String {
    format!(
        "\
# model-config.yaml of the colour classifier, for the handler image_classifier.
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

pub(crate) fn finder_yaml() -> String {
    "\
# model-config.yaml of the tag detector, for the handler base_handler: pictures as numbers in, rows for `nms` out.
minWorkers: 1
maxWorkers: 2
batchSize: 8
maxBatchDelay: 5
responseTimeout: 60
handler:
  dtype: float32
  shape: [-1, 3, -1, -1]
  batched: true
"
    .into()
}

pub(crate) fn reader_yaml() -> String {
    format!(
        "\
# model-config.yaml of the tag reader, for the handler image_classifier. Its classes are digits, so they need no names.
minWorkers: 1
maxWorkers: 2
batchSize: 16
maxBatchDelay: 5
responseTimeout: 60
handler:
  input_size: [{0}, {0}]
  crop: none
  mean: 0
  std: 1
  topk: 1
",
        tag_reader::SIDE
    )
}

/// `index_to_name.json`: what the handlers call each class.
pub(crate) fn names() -> String {
    let entries: Vec<String> = CLASSES
        .iter()
        .enumerate()
        .map(|(index, class)| format!("  \"{index}\": \"{class}\""))
        .collect();
    format!("{{\n{}\n}}\n", entries.join(",\n"))
}

pub(crate) fn readme(iou: f64, accuracy: f64, colours: f64) -> String {
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
| `colour_classifier.pt` | the same from mean and deviation of the colours alone; accuracy {colours:.3} on the same substrates |
| `colour_classifier.yaml` | its `model-config.yaml`, for the handler `image_classifier` |
| `tag_finder.pt` | input `[n, 3, h, w]` from 0 to 1, output rows `[n, rows, 6]` for `nms`: where tags lie |
| `tag_finder.yaml` | its `model-config.yaml`, for the handler `base_handler` |
| `tag_reader.pt` | input `[n, 3, 32, 32]` from 0 to 1, output scores `[n, 10]`: the digit on a tag |
| `tag_reader.yaml` | its `model-config.yaml`, for the handler `image_classifier` |
| `double.pt` | `y = 2x` for a tensor of any shape, for the handler `base_handler` |
| `mlp.pt` | two linear layers, `[n, 4]` to `[n, 3]`, random weights from the seed |
| `quadrats/*.png` | generated quadrats; the share of each class of `<name>.png` is in `<name>.json` |
| `substrates/*.png` | generated substrates; the file name begins with the class |
| `tags/*.png` | quadrats with numbered tags; where they lie and what is on them is in `<name>.json` |
| `street.png` | a drawn car with the number plate X904AM78, which networks that were trained on photographs find and read |

The segmenter and the classifiers take red, green, blue, divided by 255 and normalised with mean {MEAN:?} and deviation {STD:?}.

The pictures are the same on every machine (`crates/demo/src/samples.rs` names their seeds, and a test compares). Weights are
not, to the last digits, because the order of float additions depends on the number of threads; accuracy is what tests check.
"
    )
}
