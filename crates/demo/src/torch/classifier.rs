//! The substrate classifier: three strided convolutions, the mean over the picture, one linear layer. Input
//! `[n, 3, 64, 64]`, output scores `[n, 3]`.

use tch::nn::{self, Module, OptimizerConfig};
use tch::{CModule, Device, Kind, Tensor};

use super::{Error, Progress, SEED, data, judge, schedule, trace};
use crate::CLASSES;
use crate::rng::Rng;

/// Pictures to learn from.
const PICTURES: u64 = 1500;
const EPOCHS: usize = 10;
const BATCH: usize = 50;
const LEARNING_RATE: f64 = 4e-3;

/// Trains a classifier and gives it as a TorchScript module.
pub fn train(progress: Progress<'_>) -> Result<CModule, Error> {
    tch::manual_seed(SEED as i64);
    let mut rng = Rng::new(SEED, 5);
    let seeds: Vec<u64> = (1_000_000..1_000_000 + PICTURES).collect();
    let (inputs, classes) = data::substrates(&seeds);
    let validation: Vec<u64> = (2_000_000..2_000_100).collect();
    let mut store = nn::VarStore::new(Device::Cpu);
    let net = Net::new(&store.root());
    let mut adam = nn::Adam::default().build(&store, LEARNING_RATE)?;
    let steps_per_epoch = seeds.len() / BATCH;
    for epoch in 0..EPOCHS {
        let mut sum = 0.0;
        for step in epoch * steps_per_epoch..(epoch + 1) * steps_per_epoch {
            adam.set_lr(schedule::learning_rate(
                LEARNING_RATE,
                step,
                EPOCHS * steps_per_epoch,
            ));
            let picked: Vec<i64> = (0..BATCH).map(|_| rng.below(seeds.len()) as i64).collect();
            let picked = Tensor::from_slice(&picked);
            let mut batch = inputs.index_select(0, &picked);
            if rng.chance(0.5) {
                batch = batch.flip([3]);
            }
            if rng.chance(0.5) {
                batch = batch.flip([2]);
            }
            let loss = net
                .forward(&batch)
                .cross_entropy_for_logits(&classes.index_select(0, &picked));
            adam.backward_step(&loss);
            sum += loss.f_double_value(&[])?;
        }
        store.freeze();
        let accuracy = judge::accuracy(&traced(&net)?, &validation)?;
        store.unfreeze();
        progress(&format!(
            "classifier, epoch {}/{EPOCHS}: loss {:.4}, accuracy {accuracy:.3}",
            epoch + 1,
            sum / steps_per_epoch as f64,
        ));
    }
    store.freeze();
    traced(&net)
}

fn traced(net: &Net) -> Result<CModule, Error> {
    let shapes: [&[i64]; 3] = [&[1, 3, 64, 64], &[8, 3, 64, 64], &[2, 3, 80, 72]];
    trace::traced("SubstrateClassifier", &shapes, |x| net.forward(x))
}

#[derive(Debug)]
struct Net {
    convolutions: [nn::Conv2D; 3],
    head: nn::Linear,
}

impl Net {
    fn new(path: &nn::Path<'_>) -> Self {
        let conv = |name: &str, from, to| {
            let config = nn::ConvConfig {
                stride: 2,
                padding: 1,
                ..nn::ConvConfig::default()
            };
            nn::conv2d(path / name, from, to, 3, config)
        };
        let classes = CLASSES.len() as i64;
        Net {
            convolutions: [
                conv("conv1", 3, 16),
                conv("conv2", 16, 32),
                conv("conv3", 32, 48),
            ],
            head: nn::linear(path / "head", 48, classes, nn::LinearConfig::default()),
        }
    }
}

impl Module for Net {
    fn forward(&self, input: &Tensor) -> Tensor {
        let mut map = input.shallow_clone();
        for convolution in &self.convolutions {
            map = map.apply(convolution).relu();
        }
        map.mean_dim([2_i64, 3].as_slice(), false, Kind::Float)
            .apply(&self.head)
    }
}
