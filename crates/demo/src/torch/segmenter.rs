//! The quadrat segmenter: a small fully convolutional network. Input `[n, 3, h, w]`, output scores `[n, 3, h, w]`, for
//! any `n` and any sides that are multiples of 4.
//!
//! Two strided convolutions make a map of a quarter of the size; residual blocks of various dilation (after Yu and
//! Koltun, "Multi-scale context aggregation by dilated convolutions", ICLR 2016) let each of its points see a square of
//! about 140 pixels; scores are scaled up in two steps, and the finer map corrects them half way.

use tch::nn::{self, Module, OptimizerConfig};
use tch::{CModule, Device, Reduction, Tensor};

use super::{Error, Progress, SEED, data, judge, schedule, trace};
use crate::rng::Rng;
use crate::{CLASSES, Quadrat};

/// Pictures to learn from.
const PICTURES: u64 = 1800;
const EPOCHS: usize = 12;
const STEPS_PER_EPOCH: usize = 75;
const BATCH: usize = 12;
/// Side of the pieces that the model is trained on, in pixels.
const SIDE: usize = 128;
const LEARNING_RATE: f64 = 3e-3;
/// Of the residual blocks: ever wider, and a last look at the neighbours.
const DILATIONS: [i64; 5] = [1, 2, 4, 8, 1];

/// Trains a segmenter and gives it as a TorchScript module.
pub fn train(progress: Progress<'_>) -> Result<CModule, Error> {
    tch::manual_seed(SEED as i64);
    let mut rng = Rng::new(SEED, 4);
    let pictures = training_pictures();
    let validation: Vec<u64> = (2_000_000..2_000_010).collect();
    let mut store = nn::VarStore::new(Device::Cpu);
    let net = Net::new(&store.root());
    let mut adam = nn::Adam::default().build(&store, LEARNING_RATE)?;
    for epoch in 0..EPOCHS {
        let mut sum = 0.0;
        for step in epoch * STEPS_PER_EPOCH..(epoch + 1) * STEPS_PER_EPOCH {
            adam.set_lr(schedule::learning_rate(
                LEARNING_RATE,
                step,
                EPOCHS * STEPS_PER_EPOCH,
            ));
            let (inputs, masks) = data::pieces(&pictures, BATCH, SIDE, &mut rng);
            let loss = net.forward(&inputs).cross_entropy_loss(
                &masks,
                None::<&Tensor>,
                Reduction::Mean,
                -100, // No pixel goes unlabelled.
                0.0,
            );
            adam.backward_step(&loss);
            sum += loss.f_double_value(&[])?;
        }
        store.freeze();
        let iou = judge::mean_iou(&traced(&net)?, &validation)?;
        store.unfreeze();
        progress(&format!(
            "segmenter, epoch {}/{EPOCHS}: loss {:.4}, mean IoU {iou:.4}",
            epoch + 1,
            sum / STEPS_PER_EPOCH as f64,
        ));
    }
    store.freeze();
    traced(&net)
}

/// Many small ones, because what a model lacks first is variety.
fn training_pictures() -> Vec<Quadrat> {
    let seeds: Vec<u64> = (1_000_000..1_000_000 + PICTURES).collect();
    data::generate(&seeds, |seed| Quadrat::detail(seed, SIDE + 16))
}

fn traced(net: &Net) -> Result<CModule, Error> {
    let shapes: [&[i64]; 4] = [
        &[1, 3, 64, 64],
        &[8, 3, 64, 64],
        &[2, 3, 100, 136],
        &[1, 3, 256, 256],
    ];
    trace::traced("QuadratSegmenter", &shapes, |x| net.forward(x))
}

#[derive(Debug)]
struct Net {
    half: nn::Conv2D,
    quarter: nn::Conv2D,
    blocks: Vec<nn::Conv2D>,
    coarse: nn::Conv2D,
    fine: nn::Conv2D,
}

impl Net {
    fn new(path: &nn::Path<'_>) -> Self {
        let classes = CLASSES.len() as i64;
        let blocks = DILATIONS.iter().enumerate().map(|(index, &dilation)| {
            let path = path / "blocks" / index;
            conv(&path, (32, 32, 3), 1, dilation)
        });
        Net {
            half: conv(&(path / "half"), (3, 16, 5), 2, 1),
            quarter: conv(&(path / "quarter"), (16, 32, 3), 2, 1),
            blocks: blocks.collect(),
            coarse: conv(&(path / "coarse"), (32, classes, 1), 1, 1),
            fine: conv(&(path / "fine"), (16, classes, 3), 1, 1),
        }
    }
}

impl Module for Net {
    fn forward(&self, input: &Tensor) -> Tensor {
        let half = input.apply(&self.half).relu();
        let mut quarter = half.apply(&self.quarter).relu();
        for block in &self.blocks {
            quarter = &quarter + quarter.apply(block).relu();
        }
        let scores = doubled(&quarter.apply(&self.coarse)) + half.apply(&self.fine);
        doubled(&scores)
    }
}

/// A convolution that keeps the size at stride 1; channels in, channels out, side of the kernel.
fn conv(
    path: &nn::Path<'_>,
    (from, to, side): (i64, i64, i64),
    stride: i64,
    dilation: i64,
) -> nn::Conv2D {
    let config = nn::ConvConfig {
        stride,
        dilation,
        padding: dilation * (side - 1) / 2,
        ..nn::ConvConfig::default()
    };
    nn::conv2d(path, from, to, side, config)
}

/// Twice as wide and high. By a factor, because a size would be baked into the trace.
fn doubled(map: &Tensor) -> Tensor {
    map.upsample_bilinear2d_vec(None::<i64>, false, [2.0, 2.0])
}
