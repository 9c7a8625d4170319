//! Pictures on plain buffers: decode, resize, crop, letterbox, normalise, encode.
//!
//! A picture travels through the files in this order: [`decode()`] turns bytes into an [`Image`], [`size`]
//! says how large it should become, [`resize()`] and [`letterbox()`] make it so, [`crop()`] cuts it, and
//! [`Normalize`] writes it as planar floats straight into the caller's batch buffer. [`encode`] is the
//! way back to bytes.
//!
//! [`detection`] turns what a detector says of a picture into boxes in it, [`palette`] holds colours of classes;
//! [`draw`] puts either over the picture, for people.
//!
//! Not here: tensors, devices, threads, async and files; every function works on slices and returns.
//! Handlers and the workflow functions call this crate.
//!
//! Two families of resize kernels exist because models are sensitive to which one trained them:
//! `cv_*` behave as OpenCV's, `pil_*` as Pillow's. See [`Kernel`].

pub mod crop;
pub mod decode;
pub mod detection;
pub mod draw;
pub mod encode;
mod error;
mod float;
mod image;
pub mod letterbox;
pub mod normalize;
pub mod palette;
pub mod resize;
pub mod size;

pub use crate::crop::{Corner, Window, center_crop, crop, pad};
pub use crate::decode::{
    DecodeError, DecodeLimits, DecodeOptions, Format, Header, decode, decode_with, is_turned, probe,
};
pub use crate::encode::{EncodeError, encode_jpeg, encode_palette_png, encode_png};
pub use crate::error::ImageError;
pub use crate::float::FloatImage;
pub use crate::image::Image;
pub use crate::letterbox::letterbox;
pub use crate::normalize::{ChannelOrder, Normalize};
pub use crate::resize::{Kernel, resize};
pub use crate::size::Letterbox;
