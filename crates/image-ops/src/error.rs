//! What can be wrong with a request to make or change a picture. Unreadable bytes are [`crate::DecodeError`].

use thiserror::Error;

/// A picture, size or buffer that does not fit its purpose.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImageError {
    #[error("a picture has 1 or 3 channels, not {channels}")]
    Channels { channels: u8 },
    #[error(
        "a {width}x{height} picture with {channels} channels takes {expected} bytes, not {found}"
    )]
    DataLength {
        width: u32,
        height: u32,
        channels: u8,
        expected: u64,
        found: usize,
    },
    #[error("a picture cannot be {width}x{height}: both sides must be at least 1")]
    ZeroSize { width: u32, height: u32 },
    #[error("a picture of {width}x{height} would exceed the limit of {limit} pixels")]
    TooLarge { width: u32, height: u32, limit: u64 },
    #[error("resized to {width}x{height} it would exceed the limit of {limit} pixels")]
    ResizedTooLarge { width: u32, height: u32, limit: u64 },
    #[error("unknown resize kernel {name:?}, expected one of {expected}")]
    UnknownKernel {
        name: String,
        expected: &'static str,
    },
    #[error(
        "the window {width}x{height} at ({x}, {y}) leaves the {image_width}x{image_height} picture"
    )]
    Window {
        x: u32,
        y: u32,
        width: u32,
        height: u32,
        image_width: u32,
        image_height: u32,
    },
    #[error(
        "the picture is {width}x{height}, too large to be padded to {target_width}x{target_height}"
    )]
    PadTooSmall {
        width: u32,
        height: u32,
        target_width: u32,
        target_height: u32,
    },
    #[error(
        "the letterbox is for a {expected_width}x{expected_height} picture, this one is {width}x{height}"
    )]
    LetterboxMismatch {
        expected_width: u32,
        expected_height: u32,
        width: u32,
        height: u32,
    },
    #[error(
        "a picture of {over_width}x{over_height} cannot be laid over one of {width}x{height}, or differs in channels"
    )]
    Overlay {
        width: u32,
        height: u32,
        over_width: u32,
        over_height: u32,
    },
    #[error("the output buffer holds {found} values, the window needs {expected}")]
    OutputLength { expected: usize, found: usize },
}

impl ImageError {
    /// The same, of a picture that there is and that was to become so large.
    pub(crate) fn of_resizing(self) -> Self {
        if let ImageError::TooLarge {
            width,
            height,
            limit,
        } = self
        {
            ImageError::ResizedTooLarge {
                width,
                height,
                limit,
            }
        } else {
            self
        }
    }
}
