//! Pillow's anti-aliased kernels, through `fast_image_resize` for its SIMD.
//!
//! Pillow goes across first and cuts to 8 bits before it goes down. The crate would go down first, which
//! differs by many grey levels where a kernel overshoots, so it is called once for each direction.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::Kernel;
use crate::{Image, ImageError};

/// Both sizes are checked by the caller.
pub(super) fn resize(
    image: &Image,
    width: u32,
    height: u32,
    kernel: Kernel,
) -> Result<Image, ImageError> {
    let filter = match kernel {
        Kernel::PilBicubic => FilterType::CatmullRom, // Keys' kernel with a = -0.5
        Kernel::PilLanczos => FilterType::Lanczos3,
        Kernel::PilBilinear | Kernel::CvLinear | Kernel::CvArea | Kernel::CvCubic => {
            FilterType::Bilinear
        }
    };
    if width == image.width() {
        return one_pass(image, width, height, filter);
    }
    let across = one_pass(image, width, image.height(), filter)?;
    if height == image.height() {
        return Ok(across);
    }
    one_pass(&across, width, height, filter)
}

/// One call of the crate, in which at most one side may change.
fn one_pass(
    image: &Image,
    width: u32,
    height: u32,
    filter: FilterType,
) -> Result<Image, ImageError> {
    let mut target = Image::filled(width, height, image.channels(), 0)?;
    // By pixel type, because the crate's untyped call compiles its code for all types there are.
    match image.channels() {
        1 => convolve::<U8>(image, &mut target, filter),
        _ => convolve::<U8x3>(image, &mut target, filter),
    }
    Ok(target)
}

/// Resizes to the size of `target`. `P` must be the pixel type of both.
fn convolve<P: PixelTrait>(image: &Image, target: &mut Image, filter: FilterType) {
    let (width, height) = (target.width(), target.height());
    let source = TypedImageRef::<P>::from_buffer(image.width(), image.height(), image.data())
        .expect("an Image holds exactly the samples its size demands");
    let mut view = TypedImage::<P>::from_buffer(width, height, target.data_mut())
        .expect("an Image holds exactly the samples its size demands");
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .use_alpha(false);
    Resizer::new()
        .resize_typed(&source, &mut view, &options)
        .expect("nothing is cropped, so nothing can lie outside");
}
