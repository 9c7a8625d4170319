//! What one request's preprocess costs, step by step. Run with `cargo bench -p image-ops`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use image_ops::{
    DecodeLimits, Image, Kernel, Normalize, Window, decode, encode_jpeg, letterbox, resize, size,
};

/// A picture with structure at every scale, so that neither codec nor kernel has an easy time.
fn picture(width: u32, height: u32) -> Image {
    let sample = |i: u32| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        let wave = (f64::from(x * (c + 1)) / 17.0).sin() * (f64::from(y) / 23.0).cos();
        (128.0 + 100.0 * wave) as u8 ^ (x * y % 13) as u8
    };
    let data = (0..width * height * 3).map(sample).collect();
    Image::new(width, height, 3, data).expect("the samples fit the size")
}

fn decoding(c: &mut Criterion) {
    let jpeg = encode_jpeg(&picture(720, 720), 90).expect("the picture can be encoded");
    let limits = DecodeLimits::default();
    c.bench_function("decode jpeg 720x720", |b| {
        b.iter(|| decode(black_box(&jpeg), &limits))
    });
}

fn resizing(c: &mut Criterion) {
    let square = picture(720, 720);
    for kernel in Kernel::ALL {
        c.bench_function(&format!("resize 720 to 256 {kernel}"), |b| {
            b.iter(|| resize(black_box(&square), 256, 256, kernel))
        });
    }
    let car = picture(780, 439);
    for kernel in [Kernel::CvArea, Kernel::CvLinear, Kernel::CvCubic] {
        c.bench_function(&format!("resize 780x439 to 1920x1080 {kernel}"), |b| {
            b.iter(|| resize(black_box(&car), 1920, 1080, kernel))
        });
    }
    let full = picture(1920, 1080);
    let geometry = size::letterbox(1920, 1080, 1280, 32);
    c.bench_function("letterbox 1920x1080 to 1280x736", |b| {
        b.iter(|| letterbox(black_box(&full), &geometry))
    });
}

fn normalizing(c: &mut Criterion) {
    let image = picture(256, 256);
    let window = Window::centred(&image, 224, 224).expect("the picture is larger than its crop");
    let normalize = Normalize::imagenet();
    let mut out = vec![0.0; 3 * 224 * 224];
    c.bench_function("normalise 224 of 256", |b| {
        b.iter(|| normalize.write_window(black_box(&image), window, &mut out))
    });
}

criterion_group!(benches, decoding, resizing, normalizing);
criterion_main!(benches);
