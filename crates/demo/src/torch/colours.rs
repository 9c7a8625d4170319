//! The colour classifier: a second opinion on substrates, for the workflow `ensemble`. It sees no shapes at all, only the mean
//! and the deviation of red, green and blue over the picture; two small layers judge by these. Input `[n, 3, 64, 64]`,
//! output scores `[n, 3]`.

use tch::nn::{self, Module, OptimizerConfig};
use tch::{CModule, Device, Kind, Tensor};

use super::{Error, Progress, SEED, data, judge, schedule, trace};
use crate::CLASSES;

/// Pictures to learn from, all of them at every step: each is but six numbers.
const PICTURES: u64 = 900;
const STEPS: usize = 500;
const LEARNING_RATE: f64 = 2e-2;

/// Trains the classifier, in seconds, and gives it as a TorchScript module.
pub fn train(progress: Progress<'_>) -> Result<CModule, Error> {
    tch::manual_seed(SEED as i64);
    let seeds: Vec<u64> = (1_000_000..1_000_000 + PICTURES).collect();
    let (inputs, classes) = data::substrates(&seeds);
    let inputs = colours(&inputs);
    let mut store = nn::VarStore::new(Device::Cpu);
    let net = Net::new(&store.root());
    let mut adam = nn::Adam::default().build(&store, LEARNING_RATE)?;
    for step in 0..STEPS {
        adam.set_lr(schedule::learning_rate(LEARNING_RATE, step, STEPS));
        let loss = net.forward(&inputs).cross_entropy_for_logits(&classes);
        adam.backward_step(&loss);
    }
    store.freeze();
    let shapes: [&[i64]; 3] = [&[1, 3, 64, 64], &[8, 3, 64, 64], &[2, 3, 80, 72]];
    let module = trace::traced("ColourClassifier", &shapes, |x| net.forward(&colours(x)))?;
    let validation: Vec<u64> = (2_000_000..2_000_100).collect();
    let accuracy = judge::accuracy(&module, &validation)?;
    progress(&format!("colours: accuracy {accuracy:.3}"));
    Ok(module)
}

/// Mean and deviation of each channel: `[n, 6]`.
fn colours(pictures: &Tensor) -> Tensor {
    let over = [2_i64, 3];
    let mean = pictures.mean_dim(over.as_slice(), true, Kind::Float);
    let variance = (pictures - &mean)
        .square()
        .mean_dim(over.as_slice(), false, Kind::Float);
    Tensor::cat(&[mean.flatten(1, 3), (variance + 1e-6).sqrt()], 1)
}

#[derive(Debug)]
struct Net {
    hidden: nn::Linear,
    head: nn::Linear,
}

impl Net {
    fn new(path: &nn::Path<'_>) -> Self {
        let linear =
            |name: &str, from, to| nn::linear(path / name, from, to, nn::LinearConfig::default());
        Net {
            hidden: linear("hidden", 6, 24),
            head: linear("head", 24, CLASSES.len() as i64),
        }
    }
}

impl Module for Net {
    fn forward(&self, colours: &Tensor) -> Tensor {
        colours.apply(&self.hidden).relu().apply(&self.head)
    }
}
