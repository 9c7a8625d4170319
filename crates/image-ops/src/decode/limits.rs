//! How much a decoder may take, decided from the header before any sample is decoded.

use super::DecodeError;

/// Pillow refuses pictures above this number of pixels as decompression bombs.
const BOMB_PIXELS: u64 = 2 * 89_478_485;
/// What [`BOMB_PIXELS`] take at three bytes each, rounded up to a round number.
const BOMB_BYTES: usize = 512 << 20;

/// Bounds on one picture. The default accepts what Pillow accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Width times height.
    pub max_pixels: u64,
    /// Bytes of the decoded picture in the layout of its file: 4 a pixel with alpha, 8 with 16-bit alpha.
    /// The decoder's working memory comes on top.
    pub max_bytes: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits {
            max_pixels: BOMB_PIXELS,
            max_bytes: BOMB_BYTES,
        }
    }
}

impl DecodeLimits {
    /// No bound at all, for files whose origin is trusted. A short file can then ask for gigabytes.
    pub fn unlimited_pixels() -> Self {
        DecodeLimits {
            max_pixels: u64::MAX,
            max_bytes: usize::MAX,
        }
    }

    /// Refuses a picture by its header. `pixel_bytes` is the size of one pixel as the file stores it.
    pub(super) fn check(
        &self,
        width: u32,
        height: u32,
        pixel_bytes: u8,
    ) -> Result<(), DecodeError> {
        let pixels = u64::from(width) * u64::from(height);
        let by_bytes = self.max_bytes as u64 / u64::from(pixel_bytes.max(1));
        let limit = self.max_pixels.min(by_bytes);
        if pixels > limit {
            return Err(DecodeError::TooLarge {
                width,
                height,
                limit,
            });
        }
        Ok(())
    }
}
