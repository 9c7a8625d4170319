//! Pictures of floats, for chains of steps between which nothing may be rounded.

use crate::image::check_size;
use crate::resize::resize_floats;
use crate::{Image, ImageError, Kernel};

/// `height` rows of `width` pixels of three floats, red first. Both sides are at least 1.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatImage {
    width: u32,
    height: u32,
    data: Vec<f32>,
}

impl FloatImage {
    /// The samples as they are, 0 to 255; a grey picture has three equal channels.
    pub fn of(image: &Image) -> FloatImage {
        let data = match image.channels() {
            1 => image
                .data()
                .iter()
                .flat_map(|&v| [f32::from(v); 3])
                .collect(),
            _ => image.data().iter().map(|&v| f32::from(v)).collect(),
        };
        FloatImage {
            width: image.width(),
            height: image.height(),
            data,
        }
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn height(&self) -> u32 {
        self.height
    }

    /// Row after row, channels interleaved.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// `(v * scale - mean) / std` for each channel.
    #[must_use]
    pub fn normalized(mut self, scale: f32, mean: [f32; 3], std: [f32; 3]) -> FloatImage {
        for pixel in self.data.chunks_exact_mut(3) {
            for ((v, mean), std) in pixel.iter_mut().zip(mean).zip(std) {
                *v = (*v * scale - mean) / std;
            }
        }
        self
    }

    /// At another size, by one of OpenCV's kernels; the others are taken for `cv_linear`.
    pub fn resized(
        self,
        width: u32,
        height: u32,
        kernel: Kernel,
    ) -> Result<FloatImage, ImageError> {
        check_size(width, height).map_err(ImageError::of_resizing)?;
        if (width, height) == (self.width, self.height) {
            return Ok(self);
        }
        let data = resize_floats(&self, width, height, kernel);
        Ok(FloatImage {
            width,
            height,
            data,
        })
    }

    /// On a canvas of `value`, in its upper left corner; refuses a picture larger than the canvas.
    pub fn padded(
        self,
        width: u32,
        height: u32,
        value: [f32; 3],
    ) -> Result<FloatImage, ImageError> {
        if width < self.width || height < self.height {
            return Err(ImageError::PadTooSmall {
                width: self.width,
                height: self.height,
                target_width: width,
                target_height: height,
            });
        }
        check_size(width, height)?;
        let row_len = width as usize * 3;
        let mut data: Vec<f32> = Vec::with_capacity(row_len * height as usize);
        for row in self.data.chunks_exact(self.width as usize * 3) {
            data.extend_from_slice(row);
            data.extend((self.width..width).flat_map(|_| value));
        }
        data.extend(
            (self.height..height)
                .flat_map(|_| 0..width)
                .flat_map(|_| value),
        );
        Ok(FloatImage {
            width,
            height,
            data,
        })
    }

    /// `[3, height, width]`.
    pub fn planes(&self) -> Vec<f32> {
        (0..3)
            .flat_map(|channel| self.data.iter().skip(channel).step_by(3).copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resize;

    #[test]
    fn floats_are_resized_as_samples_are_but_for_rounding() {
        let data = (0..7 * 5 * 3).map(|v| (v * 37 % 251) as u8).collect();
        let image = Image::new(7, 5, 3, data).unwrap();
        for kernel in [Kernel::CvLinear, Kernel::CvArea] {
            for (width, height) in [(3, 2), (14, 11), (7, 9), (2, 9)] {
                let floats = FloatImage::of(&image)
                    .resized(width, height, kernel)
                    .unwrap();
                let samples = resize(&image, width, height, kernel).unwrap();
                for (float, sample) in floats.data().iter().zip(samples.data()) {
                    let difference = (float - f32::from(*sample)).abs();
                    assert!(
                        difference <= 0.51,
                        "{kernel} {width}x{height}: {float} for {sample}"
                    );
                }
            }
        }
    }

    #[test]
    fn steps_keep_fractions() {
        let image = Image::new(2, 1, 3, vec![0, 10, 255, 1, 10, 255]).unwrap();
        let small = FloatImage::of(&image)
            .resized(1, 1, Kernel::CvLinear)
            .unwrap();
        assert_eq!(small.data(), [0.5, 10.0, 255.0]);
        let padded = small.padded(2, 2, [1.0, 2.0, 3.0]).unwrap();
        assert_eq!(
            padded.planes(),
            [
                0.5, 1.0, 1.0, 1.0, 10.0, 2.0, 2.0, 2.0, 255.0, 3.0, 3.0, 3.0
            ]
        );
        let normal = padded.normalized(2.0, [1.0, 0.0, 0.0], [1.0, 1.0, 2.0]);
        assert_eq!(normal.data()[..3], [0.0, 20.0, 255.0]);
        assert!(normal.clone().padded(1, 2, [0.0; 3]).is_err());
        assert!(normal.resized(0, 1, Kernel::CvLinear).is_err());
    }
}
