//! Makes every committed fixture anew: `train [folder]`, by default into this workspace's `tests/fixtures`. Takes about
//! two minutes on two cores, and fails when a model is not good enough. `cargo xtask fixtures` runs it.
//!
//! Two parts of it, in seconds each, leave the trained models of the others as they are: `train --workflow-models FOLDER`
//! makes those that only the shipped workflows use, `train --bench-models FOLDER` the networks that only benches want,
//! which are not committed.
#![allow(clippy::print_stdout, reason = "tells how training goes")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use demo::samples;
use demo::torch::{
    Progress, classifier, colours, judge, save_bench_models, segmenter, tag_finder, tag_reader,
    trace,
};
use tch::CModule;

mod texts;

/// What the committed models must reach on pictures they have not seen.
const LEAST_IOU: f64 = 0.90;
const LEAST_ACCURACY: f64 = 0.95;
/// Of the classifier that sees colours alone.
const LEAST_ACCURACY_OF_COLOURS: f64 = 0.90;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    let made = match (first, arguments.next()) {
        (Some(flag), Some(folder)) if flag == "--bench-models" => {
            save_bench_models(Path::new(&folder))
                .map(|()| true)
                .map_err(Into::into)
        }
        (Some(flag), Some(folder)) if flag == "--workflow-models" => {
            let progress = &mut |line: &str| println!("{line}");
            make_workflow_models(Path::new(&folder), progress)
                .map(|accuracy| accuracy >= LEAST_ACCURACY_OF_COLOURS)
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
    samples::write(
        &at("quadrat_segmenter.yaml"),
        texts::segmenter_yaml().as_bytes(),
    )?;
    samples::write(
        &at("substrate_classifier.yaml"),
        texts::classifier_yaml().as_bytes(),
    )?;
    samples::write(&at("quadrat_index_to_name.json"), texts::names().as_bytes())?;
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

    let colours = make_workflow_models(folder, progress)?;
    let page = texts::readme(iou, accuracy, colours);
    samples::write(&at("README.md"), page.as_bytes())?;
    let good =
        iou >= LEAST_IOU && accuracy >= LEAST_ACCURACY && colours >= LEAST_ACCURACY_OF_COLOURS;
    if !good {
        println!(
            "train: not good enough: IoU must reach {LEAST_IOU}, accuracy {LEAST_ACCURACY}, of colours alone \
             {LEAST_ACCURACY_OF_COLOURS}"
        );
    }
    Ok(good)
}

/// Writes what only the shipped workflows use; the accuracy of the classifier among them.
fn make_workflow_models(folder: &Path, progress: Progress<'_>) -> Result<f64, Box<dyn Error>> {
    let at = |name: &str| folder.join(name);
    samples::write_pictures(folder)?;
    for (name, text) in [
        ("colour_classifier.yaml", texts::colours_yaml()),
        ("tag_finder.yaml", texts::finder_yaml()),
        ("tag_reader.yaml", texts::reader_yaml()),
    ] {
        samples::write(&at(name), text.as_bytes())?;
    }
    tag_finder::make()?.save(at("tag_finder.pt"))?;
    tag_reader::make()?.save(at("tag_reader.pt"))?;
    let path = at("colour_classifier.pt");
    colours::train(progress)?.save(&path)?;
    let unseen: Vec<u64> = (5_000_000..5_000_600).collect();
    let accuracy = judge::accuracy(&CModule::load(&path)?, &unseen)?;
    progress(&format!(
        "colours: accuracy {accuracy:.4} on 600 unseen substrates"
    ));
    Ok(accuracy)
}
