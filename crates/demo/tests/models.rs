//! The committed models do what their README says, on pictures they were not trained on.

use std::path::PathBuf;

use demo::torch::judge;
use demo::torch::tag_reader;
use demo::{CLASSES, Tagged, samples};
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
fn colours_alone_tell_unseen_substrates_apart() {
    let unseen: Vec<u64> = (3_000_000..3_000_200).collect();
    let accuracy = judge::accuracy(&load("colour_classifier.pt"), &unseen).expect("it runs");
    assert!(accuracy >= 0.90, "accuracy {accuracy}");
}

/// A tagged quadrat as the detector takes it: `[1, 3, 256, 256]`, from 0 to 1.
fn bright(picture: &Tagged) -> Tensor {
    let (width, height) = (picture.width as i64, picture.height as i64);
    let bytes = Tensor::from_slice(&picture.rgb).view([1, height, width, 3]);
    bytes.permute([0, 3, 1, 2]).to_kind(Kind::Float) / 255.0
}

#[test]
fn every_tag_is_found_and_nothing_else() {
    let finder = load("tag_finder.pt");
    for seed in 3_000_000..3_000_040_u64 {
        let picture = Tagged::new(seed, (seed % 4) as usize);
        let rows = finder.forward_ts(&[bright(&picture)]).expect("it runs");
        let rows = Vec::<f32>::try_from(rows.flatten(0, -1)).expect("floats");
        let mut found: Vec<[f32; 4]> = rows
            .chunks_exact(6)
            .filter(|row| row[4] > 0.4)
            .map(|row| [row[0], row[1], row[2], row[3]])
            .collect();
        // The same square from two cells, when its centre lies between them.
        found.dedup_by(|a, b| a.iter().zip(*b).all(|(a, b)| (*a - b).abs() < 3.0));
        assert!(found.len() >= picture.tags.len(), "seed {seed}: {found:?}");
        for found in &found {
            let near = picture.tags.iter().any(|tag| {
                let side = tag.side as f32;
                let centre = |corner: usize| corner as f32 + side / 2.0;
                let expected = [centre(tag.left), centre(tag.top), side, side];
                let pairs = found.iter().zip(expected);
                pairs.map(|(a, b)| (a - b).abs()).all(|off| off <= 1.5)
            });
            assert!(near, "seed {seed}: {found:?} in {:?}", picture.tags);
        }
    }
}

#[test]
fn every_tag_is_read() {
    let reader = load("tag_reader.pt");
    for seed in 3_000_000..3_000_060_u64 {
        let picture = Tagged::new(seed, 2);
        let bright = bright(&picture);
        for tag in &picture.tags {
            // Not quite where the tag lies: a detector is a pixel off.
            let (left, top, side) = (tag.left - 1, tag.top as i64, tag.side as i64);
            let crop = bright.narrow(3, left as i64, side).narrow(2, top, side);
            let side = tag_reader::SIDE as i64;
            let crop = crop.internal_upsample_bilinear2d_aa([side, side], false, None, None);
            let scores = reader.forward_ts(&[crop]).expect("it runs");
            let digit = scores.argmax(1, false).int64_value(&[0]);
            assert_eq!(
                digit,
                i64::from(tag.digit),
                "seed {seed}: {tag:?}, {scores}"
            );
            let sure = scores.softmax(1, Kind::Float).max().double_value(&[]);
            assert!(sure > 0.5, "seed {seed}: {tag:?}, {sure}");
        }
    }
}

#[test]
fn rows_of_a_batch_are_as_if_alone() {
    for (name, shape) in [
        ("quadrat_segmenter.pt", &[3, 3, 64, 72][..]),
        ("substrate_classifier.pt", &[3, 3, 64, 64]),
        ("colour_classifier.pt", &[3, 3, 64, 64]),
        ("tag_finder.pt", &[3, 3, 64, 96]),
        ("tag_reader.pt", &[3, 3, 32, 32]),
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
