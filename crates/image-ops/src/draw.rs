//! Drawing on pictures: what a model said, over what it was said of.
//!
//! For people's eyes alone; no network is shown any of it.

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts};

use crate::{Image, ImageError};

/// The side of a letter that is drawn at scale 1.
pub const LETTER: u32 = 8;

/// The outline of a rectangle, from one corner to the other, both included; what lies outside the picture is left out.
///
/// `thickness` pixels wide, growing inwards. Grey pictures take the colour's mean.
pub fn rectangle(
    image: &mut Image,
    [left, top, right, bottom]: [i64; 4],
    thickness: u32,
    colour: [u8; 3],
) {
    let thickness = i64::from(thickness);
    let sides = [
        [left, top, right, top + thickness - 1],
        [left, bottom - thickness + 1, right, bottom],
        [left, top, left + thickness - 1, bottom],
        [right - thickness + 1, top, right, bottom],
    ];
    for side in sides {
        fill(image, side, colour);
    }
}

/// Fills a rectangle, corners included; what lies outside the picture is left out.
pub fn fill(image: &mut Image, [left, top, right, bottom]: [i64; 4], colour: [u8; 3]) {
    let (width, height) = (i64::from(image.width()), i64::from(image.height()));
    for y in top.max(0)..=bottom.min(height - 1) {
        for x in left.max(0)..=right.min(width - 1) {
            put(image, x, y, colour);
        }
    }
}

/// A line of text, its upper left corner at `(x, y)`, each letter `8 · scale` pixels wide and high. Letters that the font does
/// not have (it has those of Latin-1) are drawn as `?`.
pub fn text(image: &mut Image, (x, y): (i64, i64), text: &str, scale: u32, colour: [u8; 3]) {
    let scale = i64::from(scale);
    let step = i64::from(LETTER) * scale;
    for (place, letter) in text.chars().enumerate() {
        let glyph = BASIC_FONTS.get(letter).or_else(|| LATIN_FONTS.get(letter));
        let Some(glyph) = glyph.or_else(|| BASIC_FONTS.get('?')) else {
            continue;
        };
        let left = x.saturating_add((place as i64).saturating_mul(step));
        for (row, bits) in (0..).zip(glyph) {
            for column in (0..i64::from(LETTER)).filter(|column| bits >> column & 1 == 1) {
                let (dot_x, dot_y) = (
                    left.saturating_add(column * scale),
                    y.saturating_add(row * scale),
                );
                let dot = [
                    dot_x,
                    dot_y,
                    dot_x.saturating_add(scale - 1),
                    dot_y.saturating_add(scale - 1),
                ];
                fill(image, dot, colour);
            }
        }
    }
}

/// One picture over another of the same size and channels: `over · share + under · (1 - share)`, rounded; `share` from 0 to 1.
///
/// # Errors
///
/// Says so where the sizes or channels differ.
pub fn blend(under: &Image, over: &Image, share: f32) -> Result<Image, ImageError> {
    let shape = |image: &Image| (image.width(), image.height(), image.channels());
    if shape(under) != shape(over) {
        return Err(ImageError::Overlay {
            width: under.width(),
            height: under.height(),
            over_width: over.width(),
            over_height: over.height(),
        });
    }
    let mixed = under.data().iter().zip(over.data()).map(|(&under, &over)| {
        let mixed = f32::from(over) * share + f32::from(under) * (1.0 - share);
        // The cast stays within 0 to 255, whatever the share.
        mixed.round() as u8
    });
    let mixed = mixed.collect();
    Image::new(under.width(), under.height(), under.channels(), mixed)
}

/// The colour of the pixel there, which is inside.
fn put(image: &mut Image, x: i64, y: i64, colour: [u8; 3]) {
    let channels = usize::from(image.channels());
    let at = (y as usize * image.width() as usize + x as usize) * channels;
    let mean = colour.iter().map(|part| u16::from(*part)).sum::<u16>() / 3;
    match &mut image.data_mut()[at..at + channels] {
        [grey] => *grey = mean as u8,
        pixel => pixel.copy_from_slice(&colour[..channels.min(3)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture as text: `#` where it is not black.
    fn shown(image: &Image) -> Vec<String> {
        let rows = image.data().chunks(image.width() as usize);
        let dot = |&value: &u8| if value > 0 { '#' } else { '.' };
        rows.map(|row| row.iter().map(dot).collect()).collect()
    }

    fn black(width: u32, height: u32) -> Image {
        Image::filled(width, height, 1, 0).expect("a picture")
    }

    #[test]
    fn an_outline_is_cut_at_the_edges() {
        let mut image = black(5, 4);
        rectangle(&mut image, [1, 1, 3, 3], 1, [255; 3]);
        assert_eq!(shown(&image), [".....", ".###.", ".#.#.", ".###."]);
        let mut image = black(4, 3);
        rectangle(&mut image, [-2, -5, 1, 1], 1, [255; 3]);
        assert_eq!(shown(&image), [".#..", "##..", "...."]);
        rectangle(&mut image, [i64::MIN / 2, 5, i64::MAX / 2, 9], 2, [255; 3]);
        assert_eq!(shown(&image), [".#..", "##..", "...."]);
    }

    #[test]
    fn letters_have_their_shape() {
        let mut image = black(8, 8);
        text(&mut image, (0, 0), "L", 1, [255; 3]);
        let expected = [
            "####....", ".##.....", ".##.....", ".##.....", ".##...#.", ".##..##.", "#######.",
            "........",
        ];
        assert_eq!(shown(&image), expected);
        let mut large = black(16, 16);
        text(&mut large, (0, 0), "L", 2, [255; 3]);
        assert_eq!(shown(&large)[1], "########........");
        // Outside, and unknown.
        text(&mut image, (-100, 3), "\u{4e00}", 1, [255; 3]);
        assert_eq!(shown(&image), expected);
    }

    #[test]
    fn pictures_are_mixed_by_their_share() {
        let under = Image::new(2, 1, 1, vec![0, 100]).expect("a picture");
        let over = Image::new(2, 1, 1, vec![200, 101]).expect("a picture");
        let mixed = blend(&under, &over, 0.25).expect("of one size");
        assert_eq!(mixed.data(), [50, 100]);
        assert!(blend(&under, &black(1, 2), 0.5).is_err());
    }

    #[test]
    fn colours_have_their_channels() {
        let mut image = Image::filled(1, 1, 3, 0).expect("a picture");
        fill(&mut image, [0, 0, 0, 0], [1, 2, 3]);
        assert_eq!(image.data(), [1, 2, 3]);
    }
}
