//! A picture to the objects in it.
//!
//! TorchServe's handler of that name: samples divided by 255 and nothing else, the network called with a list of
//! pictures of any sizes, as torchvision's detectors take it, and answered with
//! `[{label: [x1, y1, x2, y2], "score": s}, …]` for whatever scores high enough.

use std::num::NonZeroUsize;

use servable::{BatchError, Input, JobError, LoadError, Output, Signature, Tensor, Type, Value};
use tensor_ops::numbers;

use crate::batch::{mismatched, refuse_explanation};
use crate::labels::Labels;
use crate::parameters::Parameters;
use crate::preparation::{Preparation, TO_TENSOR};
use crate::signature::of_payload;
use crate::{Handler, ModelContext, Network, picture};

pub(crate) struct ObjectDetector {
    preparation: Preparation,
    labels: Labels,
    /// The least score that is answered.
    threshold: f32,
}

impl ObjectDetector {
    pub(crate) fn load(context: &ModelContext<'_>) -> Result<Self, LoadError> {
        let parameters = Parameters::read(context)?;
        let handler = ObjectDetector {
            preparation: Preparation::load(context, &parameters, &TO_TENSOR)?,
            labels: Labels::load(context, &parameters)?,
            threshold: parameters.number("threshold")?.unwrap_or(0.5) as f32,
        };
        if handler.preparation.crops() {
            return Err(parameters.refuse("crop", "a detector looks at the whole picture"));
        }
        parameters.finish()?;
        Ok(handler)
    }

    /// The picture, and how far its boxes must be stretched to lie in it as it came.
    fn preprocess(&self, input: &Input) -> Result<(Tensor, (f64, f64)), JobError> {
        refuse_explanation(input)?;
        let prepared = self.preparation.prepare(input)?;
        Ok((self.preparation.tensor(&prepared)?, prepared.reduction()))
    }

    fn postprocess(&self, found: &Value, reduction: (f64, f64)) -> Result<Output, JobError> {
        let boxes = member(found, "boxes")?;
        let labels = member(found, "labels")?;
        let scores = member(found, "scores")?;
        let count = scores.len();
        if boxes.shape() != [count, 4] && boxes.len() != count * 4 || labels.len() != count {
            return Err(JobError::failed(format!(
                "the network's result does not fit together: boxes {boxes:?}, labels {labels:?}, scores {scores:?}"
            )));
        }
        let (boxes, labels, scores) = (numbers(boxes), numbers(labels), numbers(scores));
        let (across, down) = reduction;
        let objects = scores
            .iter()
            .zip(labels.iter())
            .zip(boxes.chunks_exact(4))
            .filter(|((score, _), _)| **score >= self.threshold)
            .map(|((score, label), corners)| {
                let corners = corners
                    .iter()
                    .zip([across, down, across, down])
                    .map(|(corner, stretch)| Value::Float(f64::from(*corner) * stretch));
                let mut name = self.labels.name(*label as usize);
                if name == SCORE {
                    // An object holds a name once, and this one is taken.
                    name = format!("{name} ({label})");
                }
                Value::map([
                    (name, Value::list(corners)),
                    (SCORE.into(), Value::Float(f64::from(*score))),
                ])
            });
        Ok(Output::new(Value::list(objects)))
    }
}

const SCORE: &str = "score";

impl Handler for ObjectDetector {
    fn predict(
        &mut self,
        network: &mut dyn Network,
        inputs: &[Input],
        threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        let prepared: Vec<_> = inputs.iter().map(|input| self.preprocess(input)).collect();
        let pictures: Vec<_> = prepared
            .iter()
            .flatten()
            .map(|(picture, _)| Value::Tensor(picture.clone()))
            .collect();
        let total = pictures.len();
        let result = if total == 0 {
            Value::list([])
        } else {
            network.forward(&[Value::list(pictures)], threads)?
        };
        let detections = detections(&result)
            .filter(|found| found.len() == total)
            .ok_or_else(|| mismatched(&result, total))?;
        let mut detections = detections.iter();
        Ok(prepared
            .into_iter()
            .map(|row| {
                let (_, reduction) = row?;
                let found = detections
                    .next()
                    .expect("as many as pictures, checked above");
                self.postprocess(found, reduction)
            })
            .collect())
    }

    fn signature(&self) -> Signature {
        of_payload(Type::Image, Type::list(Type::Json))
    }

    fn labels(&self) -> Vec<String> {
        self.labels.names()
    }

    fn example(&self) -> Option<Input> {
        Some(picture::example())
    }
}

/// One map per picture: the result itself, or the second of (losses, detections), which scripted detectors return.
fn detections(result: &Value) -> Option<&[Value]> {
    match result {
        Value::List(items) => match items.as_ref() {
            [Value::Map(_), Value::List(found)] => Some(found),
            found => Some(found),
        },
        Value::Map(_) => Some(std::slice::from_ref(result)),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::Tensor(_) => None,
    }
}

fn member<'v>(found: &'v Value, name: &str) -> Result<&'v Tensor, JobError> {
    match found.get(name) {
        Some(Value::Tensor(tensor)) => Ok(tensor),
        Some(_) | None => Err(JobError::failed(format!(
            "the network's result for a picture holds no tensor `{name}`"
        ))),
    }
}

#[cfg(test)]
mod tests;
