//! A picture to the class of each of its pixels.
//!
//! Without settings it is TorchServe's handler of that name: the classifiers' four steps, softmax over the classes, and
//! per pixel `[class, probability]`. With `output: map` the answer is compact: the class map, its size, and the share of
//! the picture that each class covers.

use std::num::NonZeroUsize;

use servable::{BatchError, Input, JobError, LoadError, Output, Signature, Tensor, Type, Value};
use tensor_ops::{Mask, MaskError, Scores};

use crate::batch::{self, Layout, Stages};
use crate::labels::Labels;
use crate::parameters::Parameters;
use crate::preparation::{IMAGENET, Preparation, Prepared};
use crate::signature::of_payload;
use crate::tensors::main_tensor;
use crate::{Bucketing, Handler, ModelContext, Network, picture};

pub(crate) struct ImageSegmenter {
    preparation: Preparation,
    labels: Labels,
    form: Form,
}

/// What an answer looks like.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// `[height, width, 2]`: class number and probability.
    Probabilities,
    /// Class map, size and cover.
    Map,
}

impl ImageSegmenter {
    pub(crate) fn load(context: &ModelContext<'_>) -> Result<Self, LoadError> {
        let parameters = Parameters::read(context)?;
        let forms = [("probabilities", Form::Probabilities), ("map", Form::Map)];
        let handler = ImageSegmenter {
            preparation: Preparation::load(context, &parameters, &IMAGENET)?,
            labels: Labels::load(context, &parameters)?,
            form: parameters
                .choice("output", &forms)?
                .unwrap_or(Form::Probabilities),
        };
        parameters.finish()?;
        Ok(handler)
    }

    fn map_answer(&self, mask: &Mask) -> Result<Value, JobError> {
        let classes = mask.classes().max(self.labels.len());
        let cover = mask.cover(classes).into_iter().enumerate();
        let (width, height) = mask.size();
        Ok(Value::map([
            (
                "image_size",
                Value::list([width, height].map(|side| Value::Int(side as i64))),
            ),
            (
                "seg_map",
                mask.tensor()
                    .map_err(|error| JobError::failed(error.to_string()))?
                    .into(),
            ),
            (
                "cover",
                Value::list(cover.map(|(class, share)| {
                    Value::map([
                        ("id", Value::Int(class as i64)),
                        ("name", self.labels.name(class).into()),
                        ("cover", Value::Float(share)),
                    ])
                })),
            ),
        ]))
    }
}

impl Handler for ImageSegmenter {
    fn predict(
        &mut self,
        network: &mut dyn Network,
        inputs: &[Input],
        threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        batch::run(self, network, inputs, threads)
    }

    fn bucketing(&self) -> Bucketing {
        self.preparation.bucketing()
    }

    fn signature(&self) -> Signature {
        let output = match self.form {
            Form::Probabilities => "tensor<float32>[?, ?, 2]",
            Form::Map => {
                "{image_size: list<int>, seg_map: tensor[?, ?], cover: list<{id: int, name: text, cover: float}>}"
            }
        };
        of_payload(Type::Image, output.parse().unwrap_or_default())
    }

    fn labels(&self) -> Vec<String> {
        self.labels.names()
    }

    fn example(&self) -> Option<Input> {
        Some(picture::example())
    }
}

impl Stages for ImageSegmenter {
    type Row = Prepared;

    fn preprocess(&self, input: &Input) -> Result<Prepared, JobError> {
        self.preparation.prepare(input)
    }

    fn layout(&self, row: &Prepared) -> Layout {
        row.layout()
    }

    fn write(&self, row: &Prepared, into: &mut [u8]) {
        self.preparation.write(row, into);
    }

    fn postprocess(&self, _: &Input, row: Prepared, result: Value) -> Result<Output, JobError> {
        let tensor = main_tensor(&result, &["out", "logits"])?;
        check_size(tensor, &row)?;
        let value = match self.form {
            Form::Probabilities => probabilities(tensor, row.size())?,
            Form::Map => self.map_answer(&Mask::of(tensor, row.size()).map_err(refused)?)?,
        };
        Ok(Output::new(value))
    }
}

fn probabilities(tensor: &Tensor, size: (usize, usize)) -> Result<Value, JobError> {
    let scores = Scores::of(tensor, size).map_err(refused)?;
    let shares = scores.probabilities();
    Ok(shares
        .map_err(|error| JobError::failed(error.to_string()))?
        .into())
}

fn refused(error: MaskError) -> JobError {
    JobError::failed(format!("the network's result is {error}"))
}

/// The result must have one cell per pixel of the network's input.
fn check_size(tensor: &Tensor, row: &Prepared) -> Result<(), JobError> {
    let input = row.layout().item;
    let fits = match (tensor.shape(), input.as_slice()) {
        ([.., height, width], [_, expected_height, expected_width]) => {
            (height, width) == (expected_height, expected_width)
        }
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(JobError::failed(format!(
            "the network's result does not fit its input: expected one cell per pixel of {:?}, found shape {:?}",
            input,
            tensor.shape()
        )))
    }
}

#[cfg(test)]
mod tests;
