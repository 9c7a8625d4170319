//! OpenCV's kernels as two passes over floats, rounded once at the end.
//!
//! One target row at a time: the vertical pass blends source rows into a row of floats (long, contiguous
//! loops, which the compiler vectorises), and the horizontal pass picks from that row, which stays in the
//! first cache.

use super::Kernel;
use super::taps::Taps;
use crate::{Image, ImageError};

/// Both sizes are checked by the caller.
pub(super) fn resize(
    image: &Image,
    width: u32,
    height: u32,
    kernel: Kernel,
) -> Result<Image, ImageError> {
    let shrinks = width <= image.width() && height <= image.height();
    let columns = Taps::new(kernel, image.width(), width, shrinks);
    let rows = Taps::new(kernel, image.height(), height, shrinks);
    let mut target = Image::filled(width, height, image.channels(), 0)?;
    let mut blended = vec![0.0; image.row_len()];
    for y in 0..height as usize {
        let (positions, weights) = rows.of(y);
        blend_rows(image, positions, weights, &mut blended);
        let out = target.row_mut(y);
        match image.channels() {
            1 => pick_columns::<1>(&blended, &columns, out),
            _ => pick_columns::<3>(&blended, &columns, out),
        }
    }
    Ok(target)
}

/// `out[i] = sum over taps of weight * source row[i]`.
fn blend_rows(image: &Image, positions: &[usize], weights: &[f32], out: &mut [f32]) {
    let mut started = false;
    for (&position, &weight) in positions.iter().zip(weights) {
        if weight == 0.0 {
            continue;
        }
        let row = image.row(position);
        if started {
            for (sum, &v) in out.iter_mut().zip(row) {
                *sum += weight * f32::from(v);
            }
        } else {
            for (sum, &v) in out.iter_mut().zip(row) {
                *sum = weight * f32::from(v);
            }
            started = true;
        }
    }
}

/// Blends columns of `C` interleaved channels and rounds to 8 bits. The common numbers of taps are known to
/// the compiler, which then unrolls the innermost loop.
fn pick_columns<const C: usize>(row: &[f32], columns: &Taps, out: &mut [u8]) {
    let (pixels, _) = row.as_chunks::<C>();
    let (out, _) = out.as_chunks_mut::<C>();
    match columns.per_target() {
        2 => {
            for (target, (positions, weights)) in out.iter_mut().zip(columns.iter_fixed::<2>()) {
                *target = blend_pixels(pixels, positions, weights);
            }
        }
        4 => {
            for (target, (positions, weights)) in out.iter_mut().zip(columns.iter_fixed::<4>()) {
                *target = blend_pixels(pixels, positions, weights);
            }
        }
        _ => {
            for (target, (positions, weights)) in out.iter_mut().zip(columns.iter()) {
                *target = blend_pixels(pixels, positions, weights);
            }
        }
    }
}

#[inline(always)]
fn blend_pixels<const C: usize>(
    pixels: &[[f32; C]],
    positions: &[usize],
    weights: &[f32],
) -> [u8; C] {
    let mut sums = [0.0; C];
    for (&position, &weight) in positions.iter().zip(weights) {
        for (sum, v) in sums.iter_mut().zip(&pixels[position]) {
            *sum += weight * v;
        }
    }
    // The cast cuts to 0..=255.
    sums.map(|sum| (sum + 0.5) as u8)
}
