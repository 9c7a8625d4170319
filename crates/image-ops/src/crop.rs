//! Cutting pictures down and padding them up.

use crate::{Image, ImageError};

/// A rectangle of whole pixels: columns `x..x + width`, rows `y..y + height`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl Window {
    /// All of a picture.
    pub fn whole(image: &Image) -> Window {
        Window {
            x: 0,
            y: 0,
            width: image.width(),
            height: image.height(),
        }
    }

    /// The middle `width` x `height` of a picture that is at least as large, where torchvision's
    /// `center_crop` puts it; `None` for a smaller picture, which [`center_crop`] would pad.
    pub fn centred(image: &Image, width: u32, height: u32) -> Option<Window> {
        (width <= image.width() && height <= image.height()).then(|| Window {
            x: half(image.width() - width),
            y: half(image.height() - height),
            width,
            height,
        })
    }

    pub(crate) fn check_inside(&self, image: &Image) -> Result<(), ImageError> {
        self.check_within(image.width(), image.height())
    }

    /// Fails when the window is empty or leaves a picture of this size.
    pub(crate) fn check_within(&self, width: u32, height: u32) -> Result<(), ImageError> {
        if self.width == 0 || self.height == 0 {
            return Err(ImageError::ZeroSize {
                width: self.width,
                height: self.height,
            });
        }
        let fits = |start: u32, len: u32, limit: u32| {
            start.checked_add(len).is_some_and(|end| end <= limit)
        };
        if fits(self.x, self.width, width) && fits(self.y, self.height, height) {
            return Ok(());
        }
        Err(ImageError::Window {
            x: self.x,
            y: self.y,
            width: self.width,
            height: self.height,
            image_width: width,
            image_height: height,
        })
    }
}

/// Python's `int(round(d / 2.0))`, which sends halves to the even neighbour.
fn half(d: u32) -> u32 {
    (f64::from(d) / 2.0).round_ties_even() as u32
}

/// The columns `x..x + width` and rows `y..y + height`, which must lie inside the picture.
pub fn crop(image: &Image, x: u32, y: u32, width: u32, height: u32) -> Result<Image, ImageError> {
    let window = Window {
        x,
        y,
        width,
        height,
    };
    window.check_inside(image)?;
    let channels = usize::from(image.channels());
    let (from, to) = (x as usize * channels, (x + width) as usize * channels);
    let mut data = Vec::with_capacity((to - from) * height as usize);
    for row in y..y + height {
        data.extend_from_slice(&image.row(row as usize)[from..to]);
    }
    Image::new(width, height, image.channels(), data)
}

/// The middle of the picture, as torchvision's `center_crop`: a side that is too short is first padded with
/// 0 on both ends, the odd pixel going to the right or below.
pub fn center_crop(image: &Image, width: u32, height: u32) -> Result<Image, ImageError> {
    let before = |target: u32, side: u32| target.saturating_sub(side) / 2;
    let (left, top) = (before(width, image.width()), before(height, image.height()));
    let (padded_width, padded_height) = (width.max(image.width()), height.max(image.height()));
    let padded;
    let source = if (padded_width, padded_height) == (image.width(), image.height()) {
        image
    } else {
        padded = place(image, padded_width, padded_height, 0, left, top)?;
        &padded
    };
    let (x, y) = (half(padded_width - width), half(padded_height - height));
    crop(source, x, y, width, height)
}

/// Where the picture sits on a larger canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Corner {
    /// Padding on the right and below.
    #[default]
    TopLeft,
    TopRight,
    BottomLeft,
    BottomRight,
    /// Padding all around, the odd pixel on the right and below.
    Centre,
}

/// The picture on a `width` x `height` canvas of `value`; refuses a picture larger than the canvas.
pub fn pad(
    image: &Image,
    width: u32,
    height: u32,
    value: u8,
    corner: Corner,
) -> Result<Image, ImageError> {
    let (Some(dx), Some(dy)) = (
        width.checked_sub(image.width()),
        height.checked_sub(image.height()),
    ) else {
        return Err(ImageError::PadTooSmall {
            width: image.width(),
            height: image.height(),
            target_width: width,
            target_height: height,
        });
    };
    let (left, top) = match corner {
        Corner::TopLeft => (0, 0),
        Corner::TopRight => (dx, 0),
        Corner::BottomLeft => (0, dy),
        Corner::BottomRight => (dx, dy),
        Corner::Centre => (dx / 2, dy / 2),
    };
    place(image, width, height, value, left, top)
}

/// The picture with its corner at (`left`, `top`) of a canvas that has room for it there.
pub(crate) fn place(
    image: &Image,
    width: u32,
    height: u32,
    value: u8,
    left: u32,
    top: u32,
) -> Result<Image, ImageError> {
    let room = Window {
        x: left,
        y: top,
        ..Window::whole(image)
    };
    room.check_within(width, height)?;
    let mut canvas = Image::filled(width, height, image.channels(), value)?;
    let from = left as usize * usize::from(image.channels());
    let to = from + image.row_len();
    for y in 0..image.height() as usize {
        canvas.row_mut(top as usize + y)[from..to].copy_from_slice(image.row(y));
    }
    Ok(canvas)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One grey row or column block whose samples are 1, 2, 3, ...
    fn counting(width: u32, height: u32) -> Image {
        let data = (1..=(width * height) as u8).collect();
        Image::new(width, height, 1, data).unwrap()
    }

    #[test]
    fn crop_takes_the_named_pixels() {
        let image = counting(4, 3);
        let check = |(x, y, w, h), expected: &[u8]| {
            assert_eq!(crop(&image, x, y, w, h).unwrap().data(), expected);
        };
        check((0, 0, 4, 3), image.data());
        check((1, 1, 2, 2), &[6, 7, 10, 11]);
        check((3, 2, 1, 1), &[12]);
    }

    #[test]
    fn crop_moves_whole_pixels_of_three_channels() {
        let image = Image::new(2, 1, 3, vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(crop(&image, 1, 0, 1, 1).unwrap().data(), [4, 5, 6]);
    }

    #[test]
    fn crop_refuses_what_lies_outside() {
        let image = counting(4, 3);
        for (x, y, w, h) in [
            (3, 0, 2, 1),
            (0, 3, 1, 1),
            (u32::MAX, 0, 2, 1),
            (0, 0, 0, 1),
        ] {
            assert!(crop(&image, x, y, w, h).is_err(), "{x} {y} {w} {h}");
        }
    }

    #[test]
    fn centre_crop_rounds_halves_to_even() {
        // A row of 1..=n: the first sample of the crop tells its offset.
        let check = |n: u32, width: u32, offset: u8| {
            let cropped = center_crop(&counting(n, 1), width, 1).unwrap();
            assert_eq!(cropped.data()[0], offset + 1, "{n} to {width}");
            let window = Window::centred(&counting(n, 1), width, 1).unwrap();
            assert_eq!(window.x, u32::from(offset), "{n} to {width}");
        };
        check(10, 10, 0);
        check(10, 9, 0); // 0.5
        check(10, 7, 2); // 1.5
        check(10, 5, 2); // 2.5
        check(10, 3, 4); // 3.5
    }

    #[test]
    fn centre_crop_pads_what_is_smaller() {
        let check = |(w, h), (cw, ch), expected: &[u8]| {
            let cropped = center_crop(&counting(w, h), cw, ch).unwrap();
            assert_eq!((cropped.width(), cropped.height()), (cw, ch));
            assert_eq!(cropped.data(), expected);
        };
        check((2, 1), (5, 1), &[0, 1, 2, 0, 0]);
        check((1, 2), (3, 2), &[0, 1, 0, 0, 2, 0]);
        // Too narrow and too high at once: padded across, cut along.
        check((1, 5), (2, 2), &[3, 0, 4, 0]);
        assert_eq!(Window::centred(&counting(2, 1), 5, 1), None);
    }

    #[test]
    fn padding_keeps_the_picture_in_its_corner() {
        let check = |corner, expected: &[u8]| {
            let padded = pad(&counting(1, 1), 3, 2, 9, corner).unwrap();
            assert_eq!(padded.data(), expected, "{corner:?}");
        };
        check(Corner::TopLeft, &[1, 9, 9, 9, 9, 9]);
        check(Corner::TopRight, &[9, 9, 1, 9, 9, 9]);
        check(Corner::BottomLeft, &[9, 9, 9, 1, 9, 9]);
        check(Corner::BottomRight, &[9, 9, 9, 9, 9, 1]);
        check(Corner::Centre, &[9, 1, 9, 9, 9, 9]);
        let refused = pad(&counting(4, 1), 3, 2, 9, Corner::TopLeft);
        assert!(matches!(refused, Err(ImageError::PadTooSmall { .. })));
    }
}
