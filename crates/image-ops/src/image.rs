//! The picture type: 8-bit samples, row after row, channels interleaved.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::ImageError;

/// The largest picture an operation of this crate will make (decoding has limits of its own). A picture one
/// pixel high, resized by its shorter side, would otherwise be allowed to take all memory.
pub(crate) const MAX_PIXELS: u64 = 2 * 89_478_485;

/// An 8-bit picture of `height` rows, `width` columns and 1 (grey) or 3 channels.
///
/// Sample (x, y, c) lies at `(y * width + x) * channels + c`. Three channels mean RGB unless the code that
/// made the picture says otherwise. Both sides are at least 1. Clones share the samples until one of them is changed.
#[derive(Clone)]
pub struct Image {
    width: u32,
    height: u32,
    channels: u8,
    data: Samples,
}

#[derive(Clone)]
enum Samples {
    Own(Arc<Vec<u8>>),
    /// Memory that somebody else laid out.
    Shared(Bytes),
}

impl Image {
    /// Wraps `data`, which must hold exactly `width * height * channels` samples.
    pub fn new(width: u32, height: u32, channels: u8, data: Vec<u8>) -> Result<Image, ImageError> {
        check_data(width, height, channels, data.len())?;
        let data = Samples::Own(Arc::new(data));
        Ok(Image {
            width,
            height,
            channels,
            data,
        })
    }

    /// The same over memory that others hold too, which is not copied.
    pub fn from_bytes(
        width: u32,
        height: u32,
        channels: u8,
        data: Bytes,
    ) -> Result<Image, ImageError> {
        check_data(width, height, channels, data.len())?;
        let data = Samples::Shared(data);
        Ok(Image {
            width,
            height,
            channels,
            data,
        })
    }

    /// A picture with every sample equal to `value`.
    pub fn filled(width: u32, height: u32, channels: u8, value: u8) -> Result<Image, ImageError> {
        check_size(width, height)?;
        // Within MAX_PIXELS and at most 255 channels, so this fits; `new` refuses wrong channel counts.
        let len = width as usize * height as usize * usize::from(channels.min(3));
        Image::new(width, height, channels, vec![value; len])
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn height(&self) -> u32 {
        self.height
    }

    /// 1 or 3.
    pub fn channels(&self) -> u8 {
        self.channels
    }

    pub fn data(&self) -> &[u8] {
        match &self.data {
            Samples::Own(data) => data,
            Samples::Shared(data) => data,
        }
    }

    /// The samples, to be changed in place; copied first where others hold them too.
    pub fn data_mut(&mut self) -> &mut [u8] {
        if let Samples::Shared(data) = &self.data {
            self.data = Samples::Own(Arc::new(data.to_vec()));
        }
        match &mut self.data {
            Samples::Own(data) => Arc::make_mut(data).as_mut_slice(),
            Samples::Shared(_) => unreachable!("made its own above"),
        }
    }

    /// The samples, copied where others hold them too.
    pub fn into_data(self) -> Vec<u8> {
        match self.data {
            Samples::Own(data) => Arc::unwrap_or_clone(data),
            Samples::Shared(data) => data.into(),
        }
    }

    /// The samples for sharing, without a copy.
    pub fn into_bytes(self) -> Bytes {
        struct Kept(Arc<Vec<u8>>);
        impl AsRef<[u8]> for Kept {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        match self.data {
            Samples::Own(data) => Bytes::from_owner(Kept(data)),
            Samples::Shared(data) => data,
        }
    }

    /// One channel by the luma weights of ITU-R 601-2 in 16-bit fixed point, as Pillow's mode "L".
    /// A grey picture is returned as it is.
    pub fn to_grey(&self) -> Image {
        if self.channels == 1 {
            return self.clone();
        }
        let luma = |px: &[u8]| {
            let sum =
                u32::from(px[0]) * 19_595 + u32::from(px[1]) * 38_470 + u32::from(px[2]) * 7_471;
            ((sum + 0x8000) >> 16) as u8
        };
        self.with_channels(1, self.data().chunks_exact(3).map(luma).collect())
    }

    /// Three equal channels from a grey picture; a colour picture is returned as it is.
    pub fn into_rgb(self) -> Image {
        if self.channels == 3 {
            return self;
        }
        let tripled = self.data().iter().flat_map(|&v| [v, v, v]).collect();
        self.with_channels(3, tripled)
    }

    /// A picture of this size over `data`, which must be as long as that takes.
    fn with_channels(&self, channels: u8, data: Vec<u8>) -> Image {
        Image {
            channels,
            data: Samples::Own(Arc::new(data)),
            ..*self
        }
    }

    /// The first and third channel exchanged: RGB becomes BGR. Nothing happens to a grey picture.
    pub fn swap_red_blue(&mut self) {
        if self.channels == 3 {
            for px in self.data_mut().chunks_exact_mut(3) {
                px.swap(0, 2);
            }
        }
    }

    /// Samples in one row.
    pub(crate) fn row_len(&self) -> usize {
        self.width as usize * usize::from(self.channels)
    }

    /// Row `y`, which must be below the height.
    pub(crate) fn row(&self, y: usize) -> &[u8] {
        let len = self.row_len();
        &self.data()[y * len..(y + 1) * len]
    }

    pub(crate) fn row_mut(&mut self, y: usize) -> &mut [u8] {
        let len = self.row_len();
        &mut self.data_mut()[y * len..(y + 1) * len]
    }
}

/// Refuses a picture that its samples do not make.
fn check_data(width: u32, height: u32, channels: u8, found: usize) -> Result<(), ImageError> {
    if channels != 1 && channels != 3 {
        return Err(ImageError::Channels { channels });
    }
    if width == 0 || height == 0 {
        return Err(ImageError::ZeroSize { width, height });
    }
    let expected = (u64::from(width) * u64::from(height)).saturating_mul(u64::from(channels));
    if found as u64 != expected {
        return Err(ImageError::DataLength {
            width,
            height,
            channels,
            expected,
            found,
        });
    }
    Ok(())
}

/// Refuses sizes with an empty side and sizes nobody can mean.
pub(crate) fn check_size(width: u32, height: u32) -> Result<(), ImageError> {
    if width == 0 || height == 0 {
        return Err(ImageError::ZeroSize { width, height });
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ImageError::TooLarge {
            width,
            height,
            limit: MAX_PIXELS,
        });
    }
    Ok(())
}

impl PartialEq for Image {
    fn eq(&self, other: &Image) -> bool {
        let shape = |image: &Image| (image.width, image.height, image.channels);
        shape(self) == shape(other) && self.data() == other.data()
    }
}

impl Eq for Image {}

/// The size, not the samples: a picture in a log line must stay one line.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({}x{}x{})", self.width, self.height, self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_must_fit_its_data() {
        let check = |w, h, c, len, expected: Result<(), ImageError>| {
            assert_eq!(Image::new(w, h, c, vec![0; len]).map(|_| ()), expected);
        };
        check(2, 3, 1, 6, Ok(()));
        check(2, 3, 3, 18, Ok(()));
        check(2, 3, 4, 24, Err(ImageError::Channels { channels: 4 }));
        check(
            0,
            3,
            3,
            0,
            Err(ImageError::ZeroSize {
                width: 0,
                height: 3,
            }),
        );
        let short = ImageError::DataLength {
            width: 2,
            height: 3,
            channels: 3,
            expected: 18,
            found: 17,
        };
        check(2, 3, 3, 17, Err(short));
        assert!(Image::new(u32::MAX, u32::MAX, 3, Vec::new()).is_err());
        assert!(Image::filled(u32::MAX, u32::MAX, 3, 0).is_err());
    }

    #[test]
    fn samples_are_shared_until_they_are_changed() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        let image = Image::from_bytes(1, 1, 3, bytes.clone()).unwrap();
        assert_eq!(image.data().as_ptr(), bytes.as_ptr());
        let mut changed = image.clone();
        changed.swap_red_blue();
        assert_eq!(
            (image.data(), changed.data()),
            (&[1, 2, 3][..], &[3, 2, 1][..])
        );
        let place = changed.data().as_ptr();
        let copy = changed.clone();
        assert_eq!(changed.into_bytes().as_ptr(), place);
        assert_eq!(copy.into_bytes().as_ptr(), place);
        assert!(Image::from_bytes(1, 1, 3, Bytes::from_static(&[1])).is_err());
    }

    #[test]
    fn grey_is_pillows_luma() {
        // Computed with the published formula by hand.
        for (rgb, grey) in [
            ([255, 255, 255], 255),
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([1, 1, 1], 1),
            ([12, 200, 77], 130),
        ] {
            let image = Image::new(1, 1, 3, rgb.to_vec()).unwrap();
            assert_eq!(image.to_grey().data(), [grey], "{rgb:?}");
        }
    }

    #[test]
    fn grey_and_back_keeps_grey_values() {
        let grey = Image::new(256, 1, 1, (0..=255).collect()).unwrap();
        assert_eq!(grey.clone().into_rgb().to_grey(), grey);
    }
}
