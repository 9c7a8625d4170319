//! OpenCV's kernels on pictures of floats: the same taps as for 8 bits, nothing rounded and nothing cut.

use super::Kernel;
use super::taps::Taps;
use crate::FloatImage;

/// All sides are at least 1.
pub(super) fn resize(image: &FloatImage, width: u32, height: u32, kernel: Kernel) -> Vec<f32> {
    let shrinks = width <= image.width() && height <= image.height();
    let columns = Taps::new(kernel, image.width(), width, shrinks);
    let rows = Taps::new(kernel, image.height(), height, shrinks);
    let row_len = image.width() as usize * 3;
    let mut out = Vec::with_capacity(width as usize * height as usize * 3);
    let mut blended = vec![0f32; row_len];
    for y in 0..height as usize {
        blended.fill(0.0);
        let (positions, weights) = rows.of(y);
        for (&position, &weight) in positions.iter().zip(weights) {
            let row = &image.data()[position * row_len..(position + 1) * row_len];
            for (sum, v) in blended.iter_mut().zip(row) {
                *sum += weight * v;
            }
        }
        let (pixels, _) = blended.as_chunks::<3>();
        for (positions, weights) in columns.iter() {
            let mut sums = [0f32; 3];
            for (&position, &weight) in positions.iter().zip(weights) {
                for (sum, v) in sums.iter_mut().zip(&pixels[position]) {
                    *sum += weight * v;
                }
            }
            out.extend(sums);
        }
    }
    out
}
