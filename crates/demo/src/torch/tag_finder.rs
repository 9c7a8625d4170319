//! The tag detector: no training, only arithmetic. Input pictures `[n, 3, height, width]` from 0 to 1; output rows
//! as YOLO's heads give them, `[n, rows, 6]`: centre-x, centre-y, width, height in pixels, objectness, and the score of the one
//! class. One row for each square of 8 by 8 pixels.
//!
//! Where a picture is far redder than blue there is a tag; closing by a square that is wider than a digit's strokes fills
//! the digit in. Eroding the filled squares ring by ring counts, in each pixel, how far the nearest edge is (a distance
//! transform in the chessboard metric; Rosenfeld and Pfaltz, "Distance functions on digital pictures", Pattern Recognition
//! 1968): the highest count of a square is half its side, and stands in its centre.

use tch::{CModule, Kind, Tensor};

use super::{Error, trace};

/// How much redder than blue, from 0 to 1.
const REDNESS: f64 = 0.65;
/// Wider than any stroke, narrower than the gap between two tags.
const CLOSING: i64 = 13;
/// Half the side of the largest tag that is measured rightly.
const RINGS: usize = 36;
/// Half the side from which on objectness is 1.
const CERTAIN: f64 = 32.0;
/// Pixels to the side of an output cell.
const CELL: i64 = 8;
/// A row counts where no other one within so many cells stands for a larger square.
const NEIGHBOURS: i64 = 4;

/// Makes the detector as a TorchScript module.
pub fn make() -> Result<CModule, Error> {
    let shapes: [&[i64]; 3] = [&[1, 3, 256, 256], &[2, 3, 192, 256], &[1, 3, 61, 97]];
    trace::traced("TagFinder", &shapes, find)
}

fn find(pictures: &Tensor) -> Tensor {
    let redness = pictures.narrow(1, 0, 1) - pictures.narrow(1, 2, 1);
    let tags = redness.gt(REDNESS).to_kind(Kind::Float);
    // Nothing lies outside, so that a tag at the edge ends there.
    let tags = tags.constant_pad_nd([CLOSING; 4]);
    let filled = shrunk(&grown(&tags, CLOSING), CLOSING);
    let mut left = filled;
    let mut depth = left.shallow_clone();
    for _ in 1..RINGS {
        left = shrunk(&left, 3);
        depth += &left;
    }
    let depth = depth.constant_pad_nd([-CLOSING; 4]);
    let (deepest, place) =
        depth.max_pool2d_with_indices([CELL, CELL], [CELL, CELL], [0, 0], [1, 1], true);
    let window = 2 * NEIGHBOURS + 1;
    let around = deepest.max_pool2d(
        [window, window],
        [1, 1],
        [NEIGHBOURS, NEIGHBOURS],
        [1, 1],
        false,
    );
    let is_centre = deepest.ge_tensor(&around).to_kind(Kind::Float);
    let objectness = (&deepest / CERTAIN).clamp(0.0, 1.0) * is_centre;

    // Where the deepest pixel is: columns and rows counted from 0, whatever the size.
    let ones = depth.ones_like();
    let centre = |along: i64| {
        let positions = ones.cumsum(along, Kind::Float) - 0.5;
        let picked = positions
            .flatten(2, 3)
            .gather(2, &place.flatten(2, 3), false);
        picked.transpose(1, 2)
    };
    let rows = |map: &Tensor| map.flatten(2, 3).transpose(1, 2);
    let side = rows(&(&deepest * 2.0));
    let scores = rows(&deepest.ones_like());
    Tensor::cat(
        &[
            centre(3),
            centre(2),
            side.shallow_clone(),
            side,
            rows(&objectness),
            scores,
        ],
        2,
    )
}

fn grown(map: &Tensor, side: i64) -> Tensor {
    map.max_pool2d([side, side], [1, 1], [side / 2, side / 2], [1, 1], false)
}

fn shrunk(map: &Tensor, side: i64) -> Tensor {
    -grown(&-map, side)
}
