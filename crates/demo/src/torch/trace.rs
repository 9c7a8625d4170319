//! From a model in Rust to a TorchScript module, with proof that both compute the same.

use std::path::Path;

use tch::{CModule, Device, Kind, Tensor, nn};

use super::{Error, SEED};

/// How far a traced module may be from its original, in any number of any output.
const TOLERANCE: f64 = 1e-4;

/// Traces `forward` with an example of the first shape, and compares the two on random inputs of every shape. Weights
/// that `forward` uses must be frozen: they become constants of the module.
pub fn traced(
    name: &'static str,
    shapes: &[&[i64]],
    forward: impl Fn(&Tensor) -> Tensor,
) -> Result<CModule, Error> {
    let example = Tensor::f_rand(shapes[0], (Kind::Float, Device::Cpu))?;
    let mut closure = |inputs: &[Tensor]| vec![forward(&inputs[0])];
    let mut module = CModule::create_by_tracing(name, "forward", &[example], &mut closure)?;
    module.f_set_eval()?;
    for shape in shapes {
        let input = Tensor::f_randn(*shape, (Kind::Float, Device::Cpu))?;
        let difference = difference(&module.forward_ts(&[&input])?, &forward(&input))?;
        // Written so that a difference of NaN counts as one.
        let same = difference <= TOLERANCE;
        if !same {
            return Err(Error::Differs {
                model: name,
                shape: shape.to_vec(),
                difference,
            });
        }
    }
    Ok(module)
}

/// `y = 2x`, for any shape.
pub fn save_double(path: &Path) -> Result<(), Error> {
    let module = traced("Double", &[&[1, 4], &[8, 3, 5]], |x| x * 2.0)?;
    Ok(module.save(path)?)
}

/// `y = x`, for any shape: what a server costs around a network that does nothing.
pub fn save_echo(path: &Path) -> Result<(), Error> {
    let module = traced("Echo", &[&[1, 4], &[8, 3, 5]], Tensor::shallow_clone)?;
    Ok(module.save(path)?)
}

/// The first four numbers of each row, however many it has: what large tensors cost on their way.
pub fn save_first(path: &Path) -> Result<(), Error> {
    let module = traced("First", &[&[1, 4], &[8, 64]], |x| x.narrow(1, 0, 4))?;
    Ok(module.save(path)?)
}

/// Two linear layers, 4 to 8 to 3, with a ReLU between; weights from the seed, never trained.
pub fn save_mlp(path: &Path) -> Result<(), Error> {
    tch::manual_seed(SEED as i64);
    let mut store = nn::VarStore::new(Device::Cpu);
    let first = nn::linear(&store.root() / "first", 4, 8, nn::LinearConfig::default());
    let second = nn::linear(&store.root() / "second", 8, 3, nn::LinearConfig::default());
    store.freeze();
    let module = traced("Mlp", &[&[1, 4], &[8, 4]], |x| {
        x.apply(&first).relu().apply(&second)
    })?;
    Ok(module.save(path)?)
}

/// The largest distance between two numbers in the same place; infinite if the shapes differ.
fn difference(a: &Tensor, b: &Tensor) -> Result<f64, Error> {
    if a.size() != b.size() {
        return Ok(f64::INFINITY);
    }
    Ok(a.f_sub(b)?.f_abs()?.f_max()?.f_double_value(&[])?)
}
