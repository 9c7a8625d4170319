//! The tag reader: no training, only the ten digits as they are drawn. Input tags `[n, 3, 32, 32]` from 0 to 1, output
//! scores `[n, 10]`: how well the ink of a tag goes with that of each digit, as the cosine between the two.

use tch::{CModule, Kind, Tensor};

use super::{Error, trace};
use crate::tags;

/// Sides of the input.
pub const SIDE: usize = 32;
/// What a cosine is worth as a score: digits that go together by 0.8 then differ by a factor of a hundred.
const SHARPNESS: f64 = 24.0;

/// Makes the reader as a TorchScript module.
pub fn make() -> Result<CModule, Error> {
    let ink: Vec<f32> = (0..10).flat_map(|digit| tags::ink(digit, SIDE)).collect();
    let digits = directions(&Tensor::from_slice(&ink).view([10, -1])).transpose(0, 1);
    let shapes: [&[i64]; 2] = [&[1, 3, 32, 32], &[5, 3, 32, 32]];
    trace::traced("TagReader", &shapes, |tags| {
        // Orange is full of red, ink has none.
        let red = tags.narrow(1, 0, 1);
        directions(&(-red).flatten(1, 3)).matmul(&digits) * SHARPNESS
    })
}

/// Each row less its mean, of length 1.
fn directions(rows: &Tensor) -> Tensor {
    let centred = rows - rows.mean_dim([1_i64].as_slice(), true, Kind::Float);
    let length = centred
        .square()
        .sum_dim_intlist([1_i64].as_slice(), true, Kind::Float)
        .sqrt();
    centred / (length + 1e-6)
}
