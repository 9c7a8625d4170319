//! How fast to learn at which step.

/// The learning rate at `step` of `steps`: a linear rise over the first twentieth, then half a cosine down to nothing
/// (Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts).
pub(super) fn learning_rate(peak: f64, step: usize, steps: usize) -> f64 {
    let rise = steps as f64 / 20.0;
    let step = step as f64 + 1.0;
    if step < rise {
        return peak * step / rise;
    }
    let way = (step - rise) / (steps as f64 - rise);
    peak * 0.5 * (1.0 + (std::f64::consts::PI * way).cos())
}

#[cfg(test)]
mod tests {
    use super::learning_rate;

    #[test]
    fn rises_then_falls_to_nothing() {
        for (step, expected) in [(0, 0.1), (4, 0.5), (9, 1.0), (104, 0.5), (199, 0.0)] {
            let rate = learning_rate(1.0, step, 200);
            assert!((rate - expected).abs() < 1e-2, "step {step}: {rate}");
        }
    }
}
