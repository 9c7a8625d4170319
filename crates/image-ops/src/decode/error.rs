//! Why bytes did not become a picture. All of it is the sender's fault.

use std::io;

use image::error::LimitErrorKind;
use thiserror::Error;

use super::Format;

/// One line each, fit for a client to read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("the picture is empty: no bytes were sent")]
    Empty,
    #[error("the bytes are not a picture: expected JPEG, PNG, BMP, WebP or GIF")]
    NotAPicture,
    #[error("{what} are not supported: expected JPEG, PNG, BMP, WebP or GIF of a common kind")]
    Unsupported { what: String },
    #[error("the {format} picture is cut short")]
    Truncated { format: Format },
    #[error("the {format} picture is damaged: {reason}")]
    Corrupt { format: Format, reason: String },
    /// `limit` is the number of pixels allowed for a picture of this kind.
    #[error("the picture is {width}x{height}, more than the {limit} pixels allowed")]
    TooLarge { width: u32, height: u32, limit: u64 },
}

impl DecodeError {
    pub(super) fn corrupt(format: Format, reason: impl ToString) -> Self {
        DecodeError::Corrupt {
            format,
            reason: one_line(&reason.to_string()),
        }
    }

    /// `size` is what the header said, or zeros when it could not be read.
    pub(super) fn from_image(format: Format, size: (u32, u32), error: image::ImageError) -> Self {
        if ends_early(&error) {
            return DecodeError::Truncated { format };
        }
        match error {
            image::ImageError::Limits(limit) if limit.kind() != LimitErrorKind::DimensionError => {
                DecodeError::corrupt(format, "decoding it takes more memory than allowed")
            }
            image::ImageError::Limits(_) => DecodeError::TooLarge {
                width: size.0,
                height: size.1,
                limit: u64::from(u32::MAX),
            },
            image::ImageError::Unsupported(error) => DecodeError::Unsupported {
                what: one_line(&format!("{format} pictures of this kind ({error})")),
            },
            image::ImageError::Decoding(error) => DecodeError::corrupt(format, error),
            image::ImageError::IoError(error) => DecodeError::corrupt(format, error),
            image::ImageError::Encoding(_) | image::ImageError::Parameter(_) => {
                DecodeError::corrupt(format, "the decoder could not read it")
            }
        }
    }
}

/// Whether the error was, at the bottom, that the bytes ran out.
fn ends_early(error: &image::ImageError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = match error {
        image::ImageError::IoError(error) => Some(error),
        image::ImageError::Decoding(error) => Some(error),
        image::ImageError::Encoding(_)
        | image::ImageError::Parameter(_)
        | image::ImageError::Limits(_)
        | image::ImageError::Unsupported(_) => None,
    };
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::UnexpectedEof
        {
            return true;
        }
        // The GIF decoder has no kind for it, only this text.
        if error.to_string() == "Unexpected End of File" {
            return true;
        }
        cause = error.source();
    }
    false
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
