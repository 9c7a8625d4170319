//! What is measured: a network, the archive that serves it, a request for it, and how an answer is told right.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use demo::{Quadrat, samples};
use image_ops::{
    DecodeLimits, Image, Kernel, Normalize, Window, decode, encode_jpeg, resize, size,
};
use serde_json::Value;

use crate::store::Packed;

/// Sides of the picture that clients send, in pixels.
const PICTURE: usize = 720;
const JPEG_QUALITY: u8 = 90;

/// How far a number of an answer may be from libtorch's own.
const TOLERANCE: f64 = 1e-3;

pub struct Subject {
    pub name: &'static str,
    /// What it is, for a reader.
    pub title: &'static str,
    pub weights: PathBuf,
    handler: &'static str,
    /// Its `model-config.yaml`, but for the number of workers.
    config: &'static str,
    /// The body of a request.
    pub body: Vec<u8>,
    feed: Feed,
}

/// What the network reads for one request.
enum Feed {
    Numbers(Vec<f32>),
    Picture { jpeg: Vec<u8>, fit: Fit },
}

/// How a picture becomes a square.
#[derive(Clone, Copy)]
enum Fit {
    /// Squeezed to this side.
    Squeeze(u32),
    /// Its shorter side to 256, the middle of it.
    Crop(u32),
}

/// The names of all subjects that are compared as models.
pub const NAMES: [&str; 4] = ["classifier", "echo", "mlp", "resnet18"];

impl Subject {
    /// The subject of that name; `folder` holds the networks that are made for benches.
    pub fn new(name: &str, folder: &Path) -> Result<Self> {
        let fixture = |file: &str| samples::default_folder().join(file);
        let batching = "batchSize: 8\nmaxBatchDelay: 5\n";
        let numbers = |name, title, weights, values: &[f32]| {
            let body = serde_json::to_vec(values).context("numbers are JSON")?;
            Ok(Subject {
                name,
                title,
                weights,
                handler: "base_handler",
                config: batching,
                body,
                feed: Feed::Numbers(values.to_vec()),
            })
        };
        let picture = |name, title, weights, config, fit| {
            let jpeg = picture()?;
            Ok(Subject {
                name,
                title,
                weights,
                handler: "image_classifier",
                config,
                body: jpeg.clone(),
                feed: Feed::Picture { jpeg, fit },
            })
        };
        match name {
            "classifier" => picture(
                "classifier",
                "demo classifier, 720 × 720 JPEG to 64 × 64",
                fixture("substrate_classifier.pt"),
                "batchSize: 8\nmaxBatchDelay: 5\nhandler:\n  input_size: [64, 64]\n  crop: none\n",
                Fit::Squeeze(64),
            ),
            "echo" => numbers(
                "echo",
                "echo, four numbers as JSON",
                folder.join("echo.pt"),
                &[0.5, -1.25, 3.0, 8.0],
            ),
            "mlp" => numbers(
                "mlp",
                "MLP 4-8-3, four numbers as JSON",
                fixture("mlp.pt"),
                &[0.5, -1.25, 3.0, 8.0],
            ),
            "resnet18" => picture(
                "resnet18",
                "ResNet-18, 720 × 720 JPEG to 224 × 224",
                folder.join("resnet18.pt"),
                batching,
                Fit::Crop(224),
            ),
            // Not one of the names: what the bare loop runs beside a workflow.
            "segmenter" => picture(
                "segmenter",
                "demo segmenter, 720 × 720 JPEG to 256 × 256",
                fixture("quadrat_segmenter.pt"),
                batching,
                Fit::Squeeze(256),
            ),
            other => bail!(
                "there is no model {other:?}: there are {}",
                NAMES.join(", ")
            ),
        }
    }

    /// Where it is asked.
    pub fn path(&self) -> String {
        format!("/predictions/{}", self.name)
    }

    /// Its archive's configuration, as an operator would write it for a machine that serves this model.
    pub(crate) fn config(&self, workers: usize) -> String {
        format!(
            "minWorkers: {workers}\nmaxWorkers: {workers}\n{}",
            self.config
        )
    }

    pub(crate) fn packed<'a>(&'a self, config: &'a str) -> Packed<'a> {
        Packed {
            name: self.name,
            version: "1.0",
            handler: self.handler,
            weights: &self.weights,
            config,
        }
    }

    /// The shape of what the network reads for one request.
    pub(crate) fn shape(&self) -> Vec<usize> {
        match &self.feed {
            Feed::Numbers(numbers) => vec![numbers.len()],
            Feed::Picture {
                fit: Fit::Squeeze(side) | Fit::Crop(side),
                ..
            } => vec![3, *side as usize, *side as usize],
        }
    }

    pub(crate) fn takes_numbers(&self) -> bool {
        matches!(self.feed, Feed::Numbers(_))
    }

    /// What a handler does before the network: everything from the bytes of a request, for pictures. `into` is as long
    /// as the shape says.
    pub(crate) fn prepare(&self, into: &mut [f32]) -> Result<()> {
        match &self.feed {
            Feed::Numbers(numbers) => into.copy_from_slice(numbers),
            Feed::Picture { jpeg, fit } => {
                let image = decode(jpeg, &DecodeLimits::default())?.into_rgb();
                let (width, height) = match *fit {
                    Fit::Squeeze(side) => (side, side),
                    Fit::Crop(_) => size::fit_shortest_side(image.width(), image.height(), 256),
                };
                let image = resize(&image, width, height, Kernel::PilBilinear)?;
                let window = match *fit {
                    Fit::Squeeze(_) => Window::whole(&image),
                    Fit::Crop(side) => Window::centred(&image, side, side)
                        .context("the picture is smaller than what is cut from it")?,
                };
                Normalize::imagenet().write_window(&image, window, into)?;
            }
        }
        Ok(())
    }

    /// Whether an answer's body says what libtorch alone says (`expected`: the network's output for one request).
    pub(crate) fn is_right(&self, body: &[u8], expected: &[f32]) -> bool {
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return false;
        };
        match &self.feed {
            Feed::Numbers(_) => same_numbers(&answer, expected),
            Feed::Picture { .. } => best_class(&answer) == argmax(expected),
        }
    }
}

fn picture() -> Result<Vec<u8>> {
    let quadrat = Quadrat::sized(69, PICTURE, PICTURE);
    let side = u32::try_from(PICTURE)?;
    let image = Image::new(side, side, 3, quadrat.rgb)?;
    Ok(encode_jpeg(&image, JPEG_QUALITY)?)
}

fn same_numbers(answer: &Value, expected: &[f32]) -> bool {
    let Some(numbers) = answer.as_array() else {
        return false;
    };
    let close = |(number, expected): (&Value, &f32)| {
        number
            .as_f64()
            .is_some_and(|number| (number - f64::from(*expected)).abs() < TOLERANCE)
    };
    numbers.len() == expected.len() && numbers.iter().zip(expected).all(close)
}

/// The first label of an answer `{"7": 0.9, …}`, best first, as a number.
fn best_class(answer: &Value) -> Option<usize> {
    answer.as_object()?.keys().next()?.parse().ok()
}

fn argmax(scores: &[f32]) -> Option<usize> {
    let best = scores
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b));
    best.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, answer: &str, expected: &[f32], right: bool) {
        let subject = Subject::new(name, Path::new("/nowhere")).expect("a subject");
        assert_eq!(
            subject.is_right(answer.as_bytes(), expected),
            right,
            "{name}: {answer}"
        );
    }

    #[test]
    fn answers_are_compared_with_libtorchs_own() {
        check("mlp", "[1.0, 2.0001]", &[1.0, 2.0], true);
        check("mlp", "[1.0, 2.1]", &[1.0, 2.0], false);
        check("mlp", "[1.0]", &[1.0, 2.0], false);
        check("mlp", "{}", &[1.0, 2.0], false);
        check(
            "classifier",
            r#"{"1": 0.9, "0": 0.1}"#,
            &[-3.0, 2.0, 1.0],
            true,
        );
        check(
            "classifier",
            r#"{"0": 0.9, "1": 0.1}"#,
            &[-3.0, 2.0, 1.0],
            false,
        );
        check("classifier", "", &[-3.0, 2.0, 1.0], false);
    }

    #[test]
    fn an_unknown_model_is_named() {
        let error = Subject::new("bert", Path::new("/nowhere"))
            .err()
            .expect("there is none");
        assert_eq!(
            error.to_string(),
            "there is no model \"bert\": there are classifier, echo, mlp, resnet18"
        );
    }

    #[test]
    fn pictures_become_what_the_network_reads() {
        let subject = Subject::new("classifier", Path::new("/nowhere")).expect("a subject");
        let mut numbers = vec![9.0; subject.shape().iter().product()];
        subject.prepare(&mut numbers).expect("a picture of ours");
        // Normalised samples of 0 to 255 lie between -2.2 and 2.7.
        assert!(numbers.iter().all(|number| (-2.2..2.7).contains(number)));
    }
}
