//! The committed models do what their README says, on pictures they were not trained on.

use std::path::PathBuf;

use demo::torch::judge;
use demo::{CLASSES, samples};
use tch::{CModule, Kind, Tensor};

fn load(name: &str) -> CModule {
    let path: PathBuf = samples::default_folder().join(name);
    CModule::load(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn segmenter_reaches_its_iou_on_unseen_quadrats() {
    let unseen: Vec<u64> = (3_000_000..3_000_040).collect();
    let iou = judge::mean_iou(&load("quadrat_segmenter.pt"), &unseen).expect("it runs");
    assert!(iou >= 0.90, "mean IoU {iou}");
}

#[test]
fn segmenter_finds_the_cover_of_the_committed_quadrats() {
    let segmenter = load("quadrat_segmenter.pt");
    for sample in samples::QUADRATS {
        let mut quadrat = sample.quadrat();
        let truth = quadrat.cover();
        quadrat.mask = judge::segment(&segmenter, &quadrat).expect("it runs");
        for ((class, truth), seen) in CLASSES.iter().zip(truth).zip(quadrat.cover()) {
            let name = sample.name;
            assert!(
                (truth - seen).abs() <= 0.05,
                "{name}: {class} covers {truth:.3}, the model sees {seen:.3}"
            );
        }
    }
}

#[test]
fn segmenter_answers_in_the_size_of_the_picture() {
    let segmenter = load("quadrat_segmenter.pt");
    for (height, width) in [(4, 8), (100, 68), (240, 320)] {
        let input = Tensor::rand([2, 3, height, width], (Kind::Float, tch::Device::Cpu));
        let scores = segmenter.forward_ts(&[input]).expect("it runs");
        assert_eq!(scores.size(), [2, 3, height, width]);
    }
}

#[test]
fn classifier_reaches_its_accuracy_on_unseen_substrates() {
    let unseen: Vec<u64> = (3_000_000..3_000_200).collect();
    let accuracy = judge::accuracy(&load("substrate_classifier.pt"), &unseen).expect("it runs");
    assert!(accuracy >= 0.95, "accuracy {accuracy}");
}

#[test]
fn rows_of_a_batch_are_as_if_alone() {
    for (name, shape) in [
        ("quadrat_segmenter.pt", &[3, 3, 64, 72][..]),
        ("substrate_classifier.pt", &[3, 3, 64, 64]),
        ("mlp.pt", &[3, 4]),
    ] {
        let model = load(name);
        let batch = Tensor::rand(shape, (Kind::Float, tch::Device::Cpu));
        let together = model.forward_ts(&[&batch]).expect(name);
        for row in 0..3 {
            let alone = model.forward_ts(&[batch.narrow(0, row, 1)]).expect(name);
            let difference = (alone - together.narrow(0, row, 1)).abs().max();
            let difference = difference.double_value(&[]);
            assert!(difference < 1e-4, "{name}, row {row}: {difference}");
        }
    }
}

#[test]
fn double_doubles() {
    let input = Tensor::from_slice(&[0.0_f32, 1.0, -2.5]);
    let output = load("double.pt").forward_ts(&[input]).expect("it runs");
    let output = Vec::<f32>::try_from(output).expect("floats");
    assert_eq!(output, [0.0, 2.0, -5.0]);
}
