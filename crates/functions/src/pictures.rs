//! Functions from picture to picture, and to the numbers a network wants.

mod decode_image;
mod resize;

use crate::native::Native;

pub(crate) static ALL: &[&Native] = &[&decode_image::FUNCTION, &resize::FUNCTION];
