//! Changing the size of a picture, with the kernel the model was trained behind.
//!
//! `pil_*` kernels widen with the reduction (anti-aliasing), `cv_linear` and `cv_cubic` do not, and
//! `cv_area` averages when shrinking. All are separable and work on each channel alone. Against OpenCV and
//! Pillow the results differ by at most one grey level on the reference pictures; `pil_*` round between
//! their two passes, so two are possible there in rare cases.

mod float;
mod opencv;
mod pillow;
mod taps;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use crate::image::check_size;
use crate::{FloatImage, Image, ImageError};

/// A resampling rule. Names as in configuration: `cv_linear`, `cv_area`, `cv_cubic`, `pil_bilinear`,
/// `pil_bicubic`, `pil_lanczos`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// OpenCV's `INTER_LINEAR`: two neighbours, however much the picture shrinks.
    CvLinear,
    /// OpenCV's `INTER_AREA`: the mean of the covered area when both sides shrink, else a linear blend that
    /// keeps flat areas flat (which is not `CvLinear`).
    CvArea,
    /// OpenCV's `INTER_CUBIC`: four neighbours, Keys' kernel with a = -0.75.
    CvCubic,
    /// Pillow's `BILINEAR`: a triangle, stretched by the reduction.
    PilBilinear,
    /// Pillow's `BICUBIC`: Keys' kernel with a = -0.5, stretched by the reduction.
    PilBicubic,
    /// Pillow's `LANCZOS`: radius 3, stretched by the reduction.
    PilLanczos,
}

const NAMES: &str = "cv_linear, cv_area, cv_cubic, pil_bilinear, pil_bicubic, pil_lanczos";

impl Kernel {
    /// All kernels, in the order of their declaration.
    pub const ALL: [Kernel; 6] = [
        Kernel::CvLinear,
        Kernel::CvArea,
        Kernel::CvCubic,
        Kernel::PilBilinear,
        Kernel::PilBicubic,
        Kernel::PilLanczos,
    ];

    /// The kernel with this configuration name.
    pub fn from_name(name: &str) -> Result<Kernel, ImageError> {
        Kernel::ALL
            .into_iter()
            .find(|kernel| kernel.name() == name)
            .ok_or_else(|| ImageError::UnknownKernel {
                name: name.to_owned(),
                expected: NAMES,
            })
    }

    pub fn name(self) -> &'static str {
        match self {
            Kernel::CvLinear => "cv_linear",
            Kernel::CvArea => "cv_area",
            Kernel::CvCubic => "cv_cubic",
            Kernel::PilBilinear => "pil_bilinear",
            Kernel::PilBicubic => "pil_bicubic",
            Kernel::PilLanczos => "pil_lanczos",
        }
    }
}

impl FromStr for Kernel {
    type Err = ImageError;

    fn from_str(name: &str) -> Result<Kernel, ImageError> {
        Kernel::from_name(name)
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Floats at exactly `width` x `height`, which the caller has checked; kernels other than OpenCV's are taken for `cv_linear`.
pub(crate) fn resize_floats(
    image: &FloatImage,
    width: u32,
    height: u32,
    kernel: Kernel,
) -> Vec<f32> {
    float::resize(image, width, height, kernel)
}

/// The picture at exactly `width` x `height`; its own size gives back the same samples, whatever the kernel.
///
/// Fails when a side is 0, or the result would exceed 178,956,970 pixels.
pub fn resize(image: &Image, width: u32, height: u32, kernel: Kernel) -> Result<Image, ImageError> {
    check_size(width, height).map_err(ImageError::of_resizing)?;
    if (width, height) == (image.width(), image.height()) {
        return Ok(image.clone());
    }
    match kernel {
        Kernel::CvLinear | Kernel::CvArea | Kernel::CvCubic => {
            opencv::resize(image, width, height, kernel)
        }
        Kernel::PilBilinear | Kernel::PilBicubic | Kernel::PilLanczos => {
            pillow::resize(image, width, height, kernel)
        }
    }
}
