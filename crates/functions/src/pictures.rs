//! Functions from picture to picture, and to the numbers a network wants.

mod decode_image;
mod encode_png;
mod letterbox;
mod normalize;
mod pad_to;
mod resize;
mod size_of;
mod transforms;

use dag::FunctionError;
use image_ops::{Image, Normalize};
use servable::Value;

use crate::given::{check_size, failed, made};
use crate::native::Native;

pub(crate) static ALL: &[&Native] = &[
    &decode_image::FUNCTION,
    &resize::FUNCTION,
    &pad_to::FUNCTION,
    &letterbox::FUNCTION,
    &normalize::FUNCTION,
    &transforms::FUNCTION,
    &encode_png::FUNCTION,
    &size_of::FUNCTION,
];

/// A picture as `float32 [channels, height, width]`, or with a first dimension of 1 before that.
fn planes(image: &Image, normalize: &Normalize, batch: bool) -> Result<Value, FunctionError> {
    let sides = [
        image.channels().into(),
        image.height() as usize,
        image.width() as usize,
    ];
    let mut shape = if batch { vec![1] } else { Vec::new() };
    shape.extend(sides);
    let mut numbers = vec![0f32; check_size(&shape, size_of::<f32>())?];
    normalize.write(image, &mut numbers).map_err(failed)?;
    made(shape, numbers)
}
