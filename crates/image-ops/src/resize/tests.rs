//! The kernels against the rules written out pixel by pixel, which is slow and obvious.

use proptest::prelude::*;

use super::*;

/// One axis of a rule: for each target position, every source position's weight.
fn weights(kernel: Kernel, n: usize, target: usize, shrinks: bool) -> Vec<Vec<f64>> {
    let scale = n as f64 / target as f64;
    (0..target)
        .map(|d| {
            let mut weights = vec![0.0; n];
            let middle = (d as f64 + 0.5) * scale;
            let mut add = |s: f64, w: f64| weights[s.clamp(0.0, n as f64 - 1.0) as usize] += w;
            match kernel {
                Kernel::CvLinear => {
                    let s = (middle - 0.5).floor();
                    add(s, 1.0 - (middle - 0.5 - s));
                    add(s + 1.0, middle - 0.5 - s);
                }
                Kernel::CvCubic => {
                    let s = (middle - 0.5).floor();
                    for k in -1..=2 {
                        let at = s + f64::from(k);
                        add(at, keys(middle - 0.5 - at, -0.75));
                    }
                }
                Kernel::CvArea if shrinks => {
                    for s in 0..n {
                        let from = (d as f64 * scale).max(s as f64);
                        let to = ((d + 1) as f64 * scale).min(s as f64 + 1.0);
                        add(s as f64, (to - from).max(0.0) / scale);
                    }
                }
                Kernel::CvArea => {
                    let growth = target as f64 / n as f64;
                    let s = (d as f64 * (1.0 / growth)).floor();
                    let f = ((d + 1) as f64 - (s + 1.0) * growth) as f32;
                    let f = if f <= 0.0 { 0.0 } else { f64::from(f.fract()) };
                    add(s, 1.0 - f);
                    add(s + 1.0, f);
                }
                Kernel::PilBilinear | Kernel::PilBicubic | Kernel::PilLanczos => {
                    for s in 0..n {
                        let t = (s as f64 + 0.5 - middle) / scale.max(1.0);
                        add(s as f64, antialiased(kernel, t));
                    }
                    let sum: f64 = weights.iter().sum();
                    weights.iter_mut().for_each(|w| *w /= sum);
                }
            }
            weights
        })
        .collect()
}

fn antialiased(kernel: Kernel, t: f64) -> f64 {
    match kernel {
        Kernel::PilBicubic => keys(t, -0.5),
        Kernel::PilLanczos if t.abs() < 3.0 => sinc(t) * sinc(t / 3.0),
        Kernel::PilLanczos => 0.0,
        Kernel::PilBilinear | Kernel::CvLinear | Kernel::CvArea | Kernel::CvCubic => {
            (1.0 - t.abs()).max(0.0)
        }
    }
}

fn keys(t: f64, a: f64) -> f64 {
    let t = t.abs();
    if t < 1.0 {
        (a + 2.0) * t.powi(3) - (a + 3.0) * t.powi(2) + 1.0
    } else if t < 2.0 {
        a * (t.powi(3) - 5.0 * t.powi(2) + 8.0 * t - 4.0)
    } else {
        0.0
    }
}

fn sinc(t: f64) -> f64 {
    let x = t * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

fn naive(image: &Image, width: u32, height: u32, kernel: Kernel) -> Vec<u8> {
    let shrinks = width <= image.width() && height <= image.height();
    let channels = usize::from(image.channels());
    let columns = weights(kernel, image.width() as usize, width as usize, shrinks);
    let rows = weights(kernel, image.height() as usize, height as usize, shrinks);
    let rounds_between = kernel.name().starts_with("pil_");
    let across = |y: usize, weights: &[f64], c: usize| -> f64 {
        let row = image.row(y);
        let sum: f64 = (0..weights.len())
            .map(|x| weights[x] * f64::from(row[x * channels + c]))
            .sum();
        if rounds_between {
            (sum + 0.5).floor().clamp(0.0, 255.0)
        } else {
            sum
        }
    };
    let mut out = Vec::new();
    for row in &rows {
        for column in &columns {
            for c in 0..channels {
                let used = (0..row.len()).filter(|&y| row[y] != 0.0);
                let sum: f64 = used.map(|y| row[y] * across(y, column, c)).sum();
                out.push((sum + 0.5) as u8);
            }
        }
    }
    out
}

fn sizes() -> impl Strategy<Value = (u32, u32, u32, u32, u8)> {
    (
        1..24u32,
        1..24u32,
        1..40u32,
        1..40u32,
        prop_oneof![Just(1u8), Just(3u8)],
    )
}

fn case() -> impl Strategy<Value = (Image, u32, u32)> {
    sizes().prop_flat_map(|(w, h, tw, th, c)| {
        let len = w as usize * h as usize * usize::from(c);
        proptest::collection::vec(any::<u8>(), len)
            .prop_map(move |data| (Image::new(w, h, c, data).unwrap(), tw, th))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn kernels_follow_their_rules((image, width, height) in case()) {
        for kernel in Kernel::ALL {
            let found = resize(&image, width, height, kernel).unwrap();
            prop_assert_eq!((found.width(), found.height()), (width, height));
            let expected = if (width, height) == (image.width(), image.height()) {
                image.data().to_vec()
            } else {
                naive(&image, width, height, kernel)
            };
            // Pillow's rule rounds twice, so a sum that lies on the edge in both passes can miss twice.
            let both_sides = width != image.width() && height != image.height();
            let rounds_twice = both_sides && kernel.name().starts_with("pil_");
            let tolerance = if rounds_twice { 2 } else { 1 };
            for (i, (a, b)) in found.data().iter().zip(&expected).enumerate() {
                prop_assert!(
                    a.abs_diff(*b) <= tolerance,
                    "{} {:?} to {}x{}: sample {} is {}, expected {}",
                    kernel, image, width, height, i, a, b
                );
            }
        }
    }
}

#[test]
fn flat_pictures_stay_flat() {
    for kernel in Kernel::ALL {
        for value in [0, 1, 127, 254, 255] {
            for (w, h) in [(1, 1), (5, 40), (64, 3), (100, 99)] {
                let image = Image::filled(17, 13, 3, value).unwrap();
                let found = resize(&image, w, h, kernel).unwrap();
                assert!(
                    found.data().iter().all(|&v| v == value),
                    "{kernel} {value} {w}x{h}"
                );
            }
        }
    }
}

#[test]
fn impossible_sizes_are_refused() {
    let image = Image::filled(4, 4, 3, 7).unwrap();
    let check = |width, height, expected: &str| {
        for kernel in Kernel::ALL {
            let error = resize(&image, width, height, kernel).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    };
    check(
        0,
        3,
        "a picture cannot be 0x3: both sides must be at least 1",
    );
    check(
        3,
        0,
        "a picture cannot be 3x0: both sides must be at least 1",
    );
    let vast = "resized to 4294967295x2 it would exceed the limit of 178956970 pixels";
    check(u32::MAX, 2, vast);
}

/// Target pixel 50 of 100 begins where source pixel 39 of 78 does, and OpenCV still shows pixel 38 there.
#[test]
fn growing_areas_begin_where_opencv_has_them() {
    let ramp = Image::new(78, 1, 1, (0..78).map(|x| x * 3).collect()).unwrap();
    let grown = resize(&ramp, 100, 1, Kernel::CvArea).unwrap();
    assert_eq!(grown.data()[..6], [0, 2, 4, 6, 9, 12]);
    assert_eq!(grown.data()[48..53], [112, 114, 114, 119, 121]);
}

#[test]
fn names_are_the_ones_of_configuration() {
    for kernel in Kernel::ALL {
        assert_eq!(Kernel::from_name(kernel.name()), Ok(kernel));
    }
    let error = Kernel::from_name("bilinear").unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown resize kernel \"bilinear\", expected one of \
         cv_linear, cv_area, cv_cubic, pil_bilinear, pil_bicubic, pil_lanczos"
    );
}
