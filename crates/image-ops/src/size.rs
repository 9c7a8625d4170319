//! How large a picture should become: arithmetic alone, in double precision, without the picture.
//!
//! Where these rules truncate or come out one pixel short, they do so because the models' original
//! services do; their clients depend on it. All sides given must be at least 1. A result may have a side of
//! 0 when the picture is extremely narrow; [`crate::resize()`] refuses that.

/// The longer side becomes `size`, or now and then one less: `trunc(size / max * side)` for both sides, the
/// product being a floating one (513 always fits, 333 for a side of 41 gives 332).
pub fn fit_longest_side(width: u32, height: u32, size: u32) -> (u32, u32) {
    let r = f64::from(size) / f64::from(width.max(height));
    (
        (r * f64::from(width)) as u32,
        (r * f64::from(height)) as u32,
    )
}

/// torchvision's `Resize(size)`: the shorter side becomes `size`, the longer `trunc(size * long / short)`.
pub fn fit_shortest_side(width: u32, height: u32, size: u32) -> (u32, u32) {
    let longer = |long: u32, short: u32| {
        (u64::from(size) as f64 * f64::from(long) / f64::from(short)) as u32
    };
    if width <= height {
        (size, longer(height, width))
    } else {
        (longer(width, height), size)
    }
}

/// At most about `budget` pixels: larger pictures get `s = sqrt(budget / pixels)` and truncated sides.
/// Unchanged when `budget` is negative or not exceeded.
pub fn pixel_budget(width: u32, height: u32, budget: i64) -> (u32, u32) {
    let pixels = u64::from(width) * u64::from(height);
    match u64::try_from(budget) {
        Ok(budget) if pixels > budget => {
            let s = (budget as f64 / pixels as f64).sqrt();
            (
                (s * f64::from(width)) as u32,
                (s * f64::from(height)) as u32,
            )
        }
        _ => (width, height),
    }
}

/// How a picture lies in the input of a detector: scaled by one factor, bordered to the network's size.
///
/// A point of the picture lies at `(x * r + left, y * r + top)`, up to rounding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Letterbox {
    /// The picture before.
    pub image_width: u32,
    pub image_height: u32,
    /// The network's input.
    pub width: u32,
    pub height: u32,
    /// The picture inside it, without the borders.
    pub scaled_width: u32,
    pub scaled_height: u32,
    /// Borders, in pixels.
    pub left: u32,
    pub right: u32,
    pub top: u32,
    pub bottom: u32,
    /// Network pixels per picture pixel.
    pub r: f64,
}

/// YOLOv5's automatic shape: the longer side is `size`, both are then raised to a multiple of `stride`.
///
/// 1920x1080 for 1280 and stride 32 is scaled to 1280x720 in a network of 1280x736.
pub fn letterbox(width: u32, height: u32, size: u32, stride: u32) -> Letterbox {
    let (w, h, t) = (f64::from(width), f64::from(height), f64::from(stride));
    let g = f64::from(size) / w.max(h);
    let raised = |side: f64| ((side * g).trunc() / t).ceil() * t;
    let (network_w, network_h) = (raised(w), raised(h));
    let r = (network_h / h).min(network_w / w);
    let (scaled_w, scaled_h) = ((w * r).round_ties_even(), (h * r).round_ties_even());
    let (dw, dh) = ((network_w - scaled_w) / 2.0, (network_h - scaled_h) / 2.0);
    let before = |d: f64| (d - 0.1).round_ties_even() as u32;
    let after = |d: f64| (d + 0.1).round_ties_even() as u32;
    Letterbox {
        image_width: width,
        image_height: height,
        width: network_w as u32,
        height: network_h as u32,
        scaled_width: scaled_w as u32,
        scaled_height: scaled_h as u32,
        left: before(dw),
        right: after(dw),
        top: before(dh),
        bottom: after(dh),
        r,
    }
}

#[cfg(test)]
mod tests;
