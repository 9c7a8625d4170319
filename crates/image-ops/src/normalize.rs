//! 8-bit samples to the floats a network wants, written planar straight into the caller's buffer.
//!
//! The last step of every preprocess. The buffer is a slice of the batch's, so a picture is never copied
//! once more, and a crop costs nothing because only the window is read.

use crate::crop::Window;
use crate::{Image, ImageError};

/// Which channel comes first in the output; the picture itself is RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelOrder {
    #[default]
    Rgb,
    Bgr,
}

/// `(v * scale - mean) / std` for every sample, per output channel.
///
/// Each of the 256 possible samples is computed once, in single precision as torch does, and looked up;
/// that is as fast as the memory and the same number every time. Build it once per model.
#[derive(Debug, Clone)]
pub struct Normalize {
    order: ChannelOrder,
    tables: Box<[[f32; 256]; 3]>,
}

impl Normalize {
    /// `mean` and `std` belong to output channels, so in the order `order`. A grey picture uses the first.
    /// A deviation of 0 gives infinities, as a division in torch would.
    pub fn new(mean: [f32; 3], std: [f32; 3], order: ChannelOrder, scale: f64) -> Normalize {
        let mut tables = Box::new([[0.0; 256]; 3]);
        for (table, (mean, std)) in tables.iter_mut().zip(mean.into_iter().zip(std)) {
            for (v, entry) in table.iter_mut().enumerate() {
                *entry = ((v as f64 * scale) as f32 - mean) / std;
            }
        }
        Normalize { order, tables }
    }

    /// torchvision's `ToTensor`: samples to 0..=1, RGB.
    pub fn to_tensor() -> Normalize {
        Normalize::new([0.0; 3], [1.0; 3], ChannelOrder::Rgb, 1.0 / 255.0)
    }

    /// `ToTensor`, then the mean and deviation of ImageNet, RGB.
    pub fn imagenet() -> Normalize {
        let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        Normalize::new(mean, std, ChannelOrder::Rgb, 1.0 / 255.0)
    }

    /// Writes the whole picture as `[channels, height, width]`; `out` must be exactly that long.
    pub fn write(&self, image: &Image, out: &mut [f32]) -> Result<(), ImageError> {
        self.write_window(image, Window::whole(image), out)
    }

    /// Writes a part of the picture as `[channels, window height, window width]`; `out` must be exactly
    /// that long, and the window must lie inside the picture.
    pub fn write_window(
        &self,
        image: &Image,
        window: Window,
        out: &mut [f32],
    ) -> Result<(), ImageError> {
        self.write_into(image, window, out, (window.width, window.height), (0, 0))
    }

    /// Writes a part of the picture into a larger `[channels, canvas height, canvas width]` buffer with its
    /// corner at column `at.0`, row `at.1`. What lies around it keeps the values it had, which is how
    /// padding is done: fill first, then write.
    pub fn write_into(
        &self,
        image: &Image,
        window: Window,
        out: &mut [f32],
        canvas: (u32, u32),
        at: (u32, u32),
    ) -> Result<(), ImageError> {
        window.check_inside(image)?;
        let room = Window {
            x: at.0,
            y: at.1,
            ..window
        };
        room.check_within(canvas.0, canvas.1)?;
        let plane = canvas.0 as usize * canvas.1 as usize;
        let expected = plane * usize::from(image.channels());
        if out.len() != expected {
            return Err(ImageError::OutputLength {
                expected,
                found: out.len(),
            });
        }
        let channels = usize::from(image.channels());
        let (left, width) = (window.x as usize, window.width as usize);
        for y in 0..window.height as usize {
            let row = image.row(window.y as usize + y);
            let samples = &row[left * channels..(left + width) * channels];
            let start = (at.1 as usize + y) * canvas.0 as usize + at.0 as usize;
            if channels == 1 {
                grey_row(samples, &self.tables[0], &mut out[start..start + width]);
            } else {
                let (first, rest) = out.split_at_mut(plane);
                let (second, third) = rest.split_at_mut(plane);
                let planes = [first, second, third].map(|p| &mut p[start..start + width]);
                self.colour_row(samples, planes);
            }
        }
        Ok(())
    }

    fn colour_row(&self, samples: &[u8], planes: [&mut [f32]; 3]) {
        let [first, second, third] = &*self.tables;
        let [a, b, c] = planes;
        let (pixels, _) = samples.as_chunks::<3>();
        let outputs = a.iter_mut().zip(b).zip(c).zip(pixels);
        match self.order {
            ChannelOrder::Rgb => {
                for (((a, b), c), px) in outputs {
                    *a = first[usize::from(px[0])];
                    *b = second[usize::from(px[1])];
                    *c = third[usize::from(px[2])];
                }
            }
            ChannelOrder::Bgr => {
                for (((a, b), c), px) in outputs {
                    *a = first[usize::from(px[2])];
                    *b = second[usize::from(px[1])];
                    *c = third[usize::from(px[0])];
                }
            }
        }
    }
}

fn grey_row(samples: &[u8], table: &[f32; 256], out: &mut [f32]) {
    for (out, &v) in out.iter_mut().zip(samples) {
        *out = table[usize::from(v)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_pixels() -> Image {
        Image::new(2, 1, 3, vec![0, 51, 102, 153, 204, 255]).unwrap()
    }

    fn check(normalize: &Normalize, image: &Image, expected: &[f32]) {
        let mut out = vec![f32::NAN; expected.len()];
        normalize.write(image, &mut out).unwrap();
        for (found, expected) in out.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{out:?}");
        }
    }

    #[test]
    fn planes_follow_one_another() {
        let expected = [0.0, 0.6, 0.2, 0.8, 0.4, 1.0];
        check(&Normalize::to_tensor(), &two_pixels(), &expected);
    }

    #[test]
    fn bgr_reverses_the_planes_and_keeps_the_means_with_the_output() {
        let normalize = Normalize::new([1.0, 0.0, 0.0], [0.5, 1.0, 2.0], ChannelOrder::Bgr, 1.0);
        let expected = [202.0, 508.0, 51.0, 204.0, 0.0, 76.5];
        check(&normalize, &two_pixels(), &expected);
    }

    #[test]
    fn grey_uses_the_first_mean() {
        let normalize = Normalize::new([0.1307; 3], [0.3081; 3], ChannelOrder::Rgb, 1.0 / 255.0);
        let image = Image::new(2, 1, 1, vec![0, 255]).unwrap();
        check(&normalize, &image, &[-0.424_212_9, 2.821_486_5]);
    }

    #[test]
    fn to_tensor_is_exactly_a_division_by_255() {
        let image = Image::new(256, 1, 1, (0..=255).collect()).unwrap();
        let mut out = [0.0; 256];
        Normalize::to_tensor().write(&image, &mut out).unwrap();
        for (v, found) in out.iter().enumerate() {
            assert_eq!(found.to_bits(), (v as f32 / 255.0).to_bits(), "{v}");
        }
    }

    #[test]
    fn a_window_equals_a_crop() {
        let image = Image::new(5, 4, 3, (0..60).collect()).unwrap();
        let window = Window {
            x: 1,
            y: 2,
            width: 3,
            height: 2,
        };
        let normalize = Normalize::imagenet();
        let (mut direct, mut cropped) = ([0.0; 18], [1.0; 18]);
        normalize.write_window(&image, window, &mut direct).unwrap();
        let crop = crate::crop(&image, 1, 2, 3, 2).unwrap();
        normalize.write(&crop, &mut cropped).unwrap();
        assert_eq!(direct, cropped);
    }

    #[test]
    fn a_canvas_keeps_what_lies_around() {
        let image = Image::new(1, 1, 1, vec![255]).unwrap();
        let mut out = [7.0; 6];
        let whole = Window::whole(&image);
        let normalize = Normalize::to_tensor();
        normalize
            .write_into(&image, whole, &mut out, (3, 2), (1, 1))
            .unwrap();
        assert_eq!(out, [7.0, 7.0, 7.0, 7.0, 1.0, 7.0]);
        let outside = normalize.write_into(&image, whole, &mut out, (3, 2), (3, 1));
        assert!(matches!(outside, Err(ImageError::Window { .. })));
    }

    #[test]
    fn a_buffer_of_the_wrong_length_is_refused() {
        for len in [0, 5, 7] {
            let found = Normalize::to_tensor().write(&two_pixels(), &mut vec![0.0; len]);
            let expected = ImageError::OutputLength {
                expected: 6,
                found: len,
            };
            assert_eq!(found, Err(expected));
        }
    }
}
