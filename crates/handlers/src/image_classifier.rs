//! A picture to the names of its likeliest classes.
//!
//! Without settings it is TorchServe's handler of that name: shorter side to 256, the middle 224 x 224, ImageNet's mean
//! and deviation, softmax, and the five best classes as `{label: probability}`, best first.

use std::num::NonZeroUsize;

use servable::{BatchError, Input, JobError, LoadError, Output, Signature, Type, Value};
use tensor_ops::{best, softmax};

use crate::batch::{self, Layout, Stages};
use crate::labels::Labels;
use crate::parameters::Parameters;
use crate::preparation::{IMAGENET, Preparation, Prepared};
use crate::scores::class_scores;
use crate::signature::of_payload;
use crate::tensors::main_tensor;
use crate::{Bucketing, Handler, ModelContext, Network, picture};

pub(crate) struct ImageClassifier {
    preparation: Preparation,
    labels: Labels,
    topk: usize,
}

impl ImageClassifier {
    pub(crate) fn load(context: &ModelContext<'_>) -> Result<Self, LoadError> {
        let parameters = Parameters::read(context)?;
        let handler = ImageClassifier {
            preparation: Preparation::load(context, &parameters, &IMAGENET)?,
            labels: Labels::load(context, &parameters)?,
            topk: parameters.count("topk")?.unwrap_or(5),
        };
        parameters.finish()?;
        Ok(handler)
    }
}

impl Handler for ImageClassifier {
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
        of_payload(Type::Image, Type::Json)
    }

    fn labels(&self) -> Vec<String> {
        self.labels.names()
    }

    fn example(&self) -> Option<Input> {
        Some(picture::example())
    }
}

impl Stages for ImageClassifier {
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

    fn postprocess(&self, _: &Input, _: Prepared, result: Value) -> Result<Output, JobError> {
        let scores = main_tensor(&result, &["logits", "out"])?;
        let probabilities = softmax(&class_scores(scores)?);
        let classes = best(&probabilities, self.topk);
        Ok(Output::new(self.labels.answer(classes)))
    }
}

#[cfg(test)]
mod tests;
