//! Functions on what segmenters say: scores to masks, masks to shares and pictures.

mod argmax_map;
mod class_map;
mod cover;
mod pseudo_color_png;

use dag::FunctionError;
use servable::Tensor;
use tensor_ops::Mask;

use crate::given::wrong;
use crate::native::Native;

pub(crate) static ALL: &[&Native] = &[
    &argmax_map::FUNCTION,
    &class_map::FUNCTION,
    &cover::FUNCTION,
    &pseudo_color_png::FUNCTION,
];

/// Class numbers, `[height, width]` or `[1, height, width]`, as a mask.
fn mask_of(name: &str, tensor: &Tensor) -> Result<Mask, FunctionError> {
    let (&[height, width] | &[1, height, width]) = tensor.shape() else {
        let reason = format!(
            "is not a mask: expected class numbers of shape [height, width], found {tensor:?}"
        );
        return Err(wrong(name, reason));
    };
    if tensor_ops::integers(tensor).is_none() {
        return Err(wrong(
            name,
            format!("is not a mask: expected integers, found {tensor:?}"),
        ));
    }
    if tensor.is_empty() {
        return Err(wrong(name, format!("is an empty mask: {tensor:?}")));
    }
    Mask::of(tensor, (width, height)).map_err(|error| wrong(name, format!("is {error}")))
}
