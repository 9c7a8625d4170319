//! Which source positions make one target position, and with what weights: the rules of OpenCV's kernels,
//! for one axis. Positions outside are moved to the border.

use super::Kernel;

/// The taps of every target position of one axis.
///
/// All positions have the same number of taps; unused ones weigh 0 and point at a valid position.
pub(super) struct Taps {
    per_target: usize,
    positions: Vec<usize>,
    weights: Vec<f32>,
}

impl Taps {
    /// For `kernel` from `n` to `target` samples, both at least 1. `shrinks` says that neither axis of the
    /// picture grows, on which `cv_area` depends.
    pub(super) fn new(kernel: Kernel, n: u32, target: u32, shrinks: bool) -> Taps {
        match kernel {
            Kernel::CvArea if shrinks => area(n, target),
            Kernel::CvArea => Taps::collect(2, target, |d| area_growing(d, n, target)),
            Kernel::CvCubic => Taps::collect(4, target, |d| cubic(d, n, target)),
            Kernel::CvLinear | Kernel::PilBilinear | Kernel::PilBicubic | Kernel::PilLanczos => {
                Taps::collect(2, target, |d| linear(d, n, target))
            }
        }
    }

    /// Positions and weights for target position `d`.
    pub(super) fn of(&self, d: usize) -> (&[usize], &[f32]) {
        let range = d * self.per_target..(d + 1) * self.per_target;
        (&self.positions[range.clone()], &self.weights[range])
    }

    /// Taps per target position.
    pub(super) fn per_target(&self) -> usize {
        self.per_target
    }

    /// Positions and weights of all targets, in order, when there are exactly `K` of them for each.
    pub(super) fn iter_fixed<const K: usize>(
        &self,
    ) -> impl Iterator<Item = (&[usize; K], &[f32; K])> {
        debug_assert_eq!(self.per_target, K);
        let (positions, _) = self.positions.as_chunks::<K>();
        let (weights, _) = self.weights.as_chunks::<K>();
        positions.iter().zip(weights)
    }

    /// Positions and weights of all targets, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[usize], &[f32])> {
        let positions = self.positions.chunks_exact(self.per_target);
        positions.zip(self.weights.chunks_exact(self.per_target))
    }

    fn collect<const K: usize>(
        per_target: usize,
        target: u32,
        tap: impl Fn(u32) -> [(usize, f32); K],
    ) -> Taps {
        let (positions, weights) = (0..target).flat_map(tap).unzip();
        Taps {
            per_target,
            positions,
            weights,
        }
    }
}

/// `(d + 0.5) * n / target - 0.5`: the source position under the middle of target position `d`.
fn centre(d: u32, n: u32, target: u32) -> f64 {
    (f64::from(d) + 0.5) * f64::from(n) / f64::from(target) - 0.5
}

/// The valid position nearest to `s`.
fn clamped(s: f64, n: u32) -> usize {
    s.clamp(0.0, f64::from(n - 1)) as usize
}

/// Two neighbours by distance; a repeated border pixel makes the blend flat outside.
fn linear(d: u32, n: u32, target: u32) -> [(usize, f32); 2] {
    let x = centre(d, n, target);
    let s = x.floor();
    let f = (x - s) as f32;
    [(clamped(s, n), 1.0 - f), (clamped(s + 1.0, n), f)]
}

/// OpenCV's `cv_area` when a side grows: each source pixel stays flat but for a blend at its edge.
///
/// In OpenCV's own order of operations: where target and source pixels begin at the same place, the quotient of a quotient
/// falls just short of it, and the flat piece starts a pixel later.
fn area_growing(d: u32, n: u32, target: u32) -> [(usize, f32); 2] {
    let growth = f64::from(target) / f64::from(n);
    let s = (f64::from(d) * (1.0 / growth)).floor();
    let f = (f64::from(d) + 1.0 - (s + 1.0) * growth) as f32;
    let f = if f <= 0.0 { 0.0 } else { f - f.floor() };
    [(clamped(s, n), 1.0 - f), (clamped(s + 1.0, n), f)]
}

/// Keys' cubic convolution with a = -0.75 (R. G. Keys, 1981).
fn cubic(d: u32, n: u32, target: u32) -> [(usize, f32); 4] {
    const A: f64 = -0.75;
    let near = |t: f64| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0; // |t| <= 1
    let far = |t: f64| ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A; // 1 < |t| < 2
    let x = centre(d, n, target);
    let s = x.floor();
    let f = x - s;
    [
        (clamped(s - 1.0, n), far(1.0 + f) as f32),
        (clamped(s, n), near(f) as f32),
        (clamped(s + 1.0, n), near(1.0 - f) as f32),
        (clamped(s + 2.0, n), far(2.0 - f) as f32),
    ]
}

/// The mean over `[d * n / target, (d + 1) * n / target)`, border pixels by the covered fraction.
fn area(n: u32, target: u32) -> Taps {
    let scale = f64::from(n) / f64::from(target);
    let per_target = scale.ceil() as usize + 1;
    let mut positions = Vec::with_capacity(per_target * target as usize);
    let mut weights = Vec::with_capacity(per_target * target as usize);
    for d in 0..target {
        let (from, to) = (f64::from(d) * scale, f64::from(d + 1) * scale);
        let first = from.floor();
        for k in 0..per_target {
            let s = first + k as f64;
            let covered = (to.min(s + 1.0) - from.max(s)).max(0.0);
            positions.push(clamped(s, n));
            weights.push((covered / scale) as f32);
        }
    }
    Taps {
        per_target,
        positions,
        weights,
    }
}
