//! A ResNet-18 with random weights: what benches measure where the weights do not matter, but their number does. Input
//! `[n, 3, 224, 224]`, output scores `[n, 1000]`; 45 MB, so it is made when it is wanted and not committed.

use std::path::Path;

use tch::nn::{self, Module, ModuleT};
use tch::{Device, Kind, Tensor};

use super::{Error, SEED, trace};

/// ImageNet's number of classes.
const CLASSES: i64 = 1000;
/// Channels of the four stages; each has two blocks.
const STAGES: [i64; 4] = [64, 128, 256, 512];

/// Writes the traced network; the same seed gives the same weights.
pub fn save(path: &Path) -> Result<(), Error> {
    tch::manual_seed(SEED as i64);
    let mut store = nn::VarStore::new(Device::Cpu);
    let net = Net::new(&store.root());
    store.freeze();
    let shapes: [&[i64]; 2] = [&[1, 3, 224, 224], &[8, 3, 224, 224]];
    let module = trace::traced("ResNet18", &shapes, |x| net.forward(x))?;
    Ok(module.save(path)?)
}

#[derive(Debug)]
struct Net {
    stem: Convolution,
    blocks: Vec<Block>,
    head: nn::Linear,
}

impl Net {
    fn new(path: &nn::Path<'_>) -> Self {
        let mut blocks = Vec::new();
        let mut from = STAGES[0];
        for (stage, to) in STAGES.into_iter().enumerate() {
            for half in 0..2 {
                let stride = if stage > 0 && half == 0 { 2 } else { 1 };
                let path = path / format!("stage{stage}") / half;
                blocks.push(Block::new(&path, from, to, stride));
                from = to;
            }
        }
        Net {
            stem: Convolution::new(&(path / "stem"), 3, STAGES[0], 7, 2),
            blocks,
            head: nn::linear(path / "head", from, CLASSES, nn::LinearConfig::default()),
        }
    }
}

impl Module for Net {
    fn forward(&self, input: &Tensor) -> Tensor {
        let mut map =
            self.stem
                .forward(input)
                .relu()
                .max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        for block in &self.blocks {
            map = block.forward(&map);
        }
        // The mean rather than a flattening view, which would carry the example's batch size into the trace.
        map.mean_dim([2_i64, 3].as_slice(), false, Kind::Float)
            .apply(&self.head)
    }
}

/// Two convolutions and a way around them.
#[derive(Debug)]
struct Block {
    first: Convolution,
    second: Convolution,
    /// What brings the way around to the same shape, where it is not.
    around: Option<Convolution>,
}

impl Block {
    fn new(path: &nn::Path<'_>, from: i64, to: i64, stride: i64) -> Self {
        Block {
            first: Convolution::new(&(path / "first"), from, to, 3, stride),
            second: Convolution::new(&(path / "second"), to, to, 3, 1),
            around: (from != to).then(|| Convolution::new(&(path / "around"), from, to, 1, stride)),
        }
    }
}

impl Module for Block {
    fn forward(&self, input: &Tensor) -> Tensor {
        let map = self.second.forward(&self.first.forward(input).relu());
        let around = match &self.around {
            Some(around) => around.forward(input),
            None => input.shallow_clone(),
        };
        (map + around).relu()
    }
}

/// A convolution that keeps the size but for its stride, normalised as after a training.
#[derive(Debug)]
struct Convolution {
    convolution: nn::Conv2D,
    norm: nn::BatchNorm,
}

impl Convolution {
    fn new(path: &nn::Path<'_>, from: i64, to: i64, side: i64, stride: i64) -> Self {
        let config = nn::ConvConfig {
            stride,
            padding: side / 2,
            bias: false,
            ..nn::ConvConfig::default()
        };
        Convolution {
            convolution: nn::conv2d(path / "convolution", from, to, side, config),
            norm: nn::batch_norm2d(path / "norm", to, nn::BatchNormConfig::default()),
        }
    }
}

impl Module for Convolution {
    fn forward(&self, input: &Tensor) -> Tensor {
        self.norm.forward_t(&input.apply(&self.convolution), false)
    }
}
