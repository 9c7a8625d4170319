//! Tagged quadrats: a quadrat on which numbered tags lie, bright orange squares with a dark digit, as divers lay them out to
//! tell places apart. For the detector and the reader of the workflow `detect_read`.

use crate::Quadrat;
use crate::rng::Rng;

mod glyphs;

/// Of a tag; nothing in the sea is as orange.
const ORANGE: [u8; 3] = [250, 120, 20];
const INK: [u8; 3] = [20, 20, 30];

/// A tag is a grid of so many cells each way; the digit's 5 by 7 stand in its middle.
const CELLS: usize = 9;

/// Sides of tags in pixels, both ends included.
const SIDES: (usize, usize) = (36, 60);
/// Pixels between two tags, at least.
const GAP: usize = 24;
/// Pixels between a tag and the edge of the picture, at least.
const EDGE: usize = 6;

/// A picture and the tags that were laid on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    pub width: usize,
    pub height: usize,
    /// Red, green and blue bytes, `3 * width * height`, row by row from the top left.
    pub rgb: Vec<u8>,
    pub tags: Vec<Tag>,
}

/// One tag, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    pub left: usize,
    pub top: usize,
    pub side: usize,
    pub digit: u8,
}

impl Tagged {
    /// The picture that belongs to a seed, 256 by 256 pixels, with so many tags, or fewer if there is no room for them.
    pub fn new(seed: u64, tags: usize) -> Self {
        let Quadrat {
            width, height, rgb, ..
        } = Quadrat::new(seed);
        let mut picture = Tagged {
            width,
            height,
            rgb,
            tags: Vec::new(),
        };
        let mut rng = Rng::new(seed, 6);
        for _ in 0..100 * tags {
            if picture.tags.len() == tags {
                break;
            }
            let side = SIDES.0 + rng.below(SIDES.1 - SIDES.0 + 1);
            let tag = Tag {
                left: EDGE + rng.below(width - side - 2 * EDGE + 1),
                top: EDGE + rng.below(height - side - 2 * EDGE + 1),
                side,
                digit: rng.below(10) as u8,
            };
            if !picture.tags.iter().any(|other| other.is_near(&tag)) {
                picture.lay(tag, &mut rng);
            }
        }
        picture
    }

    fn lay(&mut self, tag: Tag, rng: &mut Rng) {
        for row in 0..tag.side {
            for column in 0..tag.side {
                let colour = tag.colour(column, row);
                let grain = (6.0 * rng.bell()) as i16;
                let start = 3 * ((tag.top + row) * self.width + tag.left + column);
                for (sample, of) in self.rgb[start..start + 3].iter_mut().zip(colour) {
                    *sample = (i16::from(of) + grain).clamp(0, 255) as u8;
                }
            }
        }
        self.tags.push(tag);
    }
}

impl Tag {
    /// The colour of one of its pixels, counted from its own corner, before the camera's grain.
    fn colour(&self, column: usize, row: usize) -> [u8; 3] {
        let cell = |pixel: usize| pixel * CELLS / self.side;
        if glyphs::is_ink(self.digit, cell(column), cell(row)) {
            INK
        } else {
            ORANGE
        }
    }

    fn is_near(&self, other: &Tag) -> bool {
        let apart = |one: usize, side: usize, two: usize, other_side: usize| {
            one >= two + other_side + GAP || two >= one + side + GAP
        };
        !apart(self.left, self.side, other.left, other.side)
            && !apart(self.top, self.side, other.top, other.side)
    }
}

/// How dark a tag is in each of `side` by `side` places, 0 for orange to 1 for ink, without any grain.
#[cfg(feature = "libtorch")]
pub(crate) fn ink(digit: u8, side: usize) -> Vec<f32> {
    // Enough pixels for one place that edges of cells fall right.
    let tag = Tag {
        left: 0,
        top: 0,
        side: side * CELLS,
        digit,
    };
    let mut ink = vec![0.0; side * side];
    for row in 0..tag.side {
        for column in 0..tag.side {
            if tag.colour(column, row) == INK {
                ink[row / CELLS * side + column / CELLS] += 1.0 / (CELLS * CELLS) as f32;
            }
        }
    }
    ink
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_picture_with_its_tags() {
        assert_eq!(Tagged::new(4, 3), Tagged::new(4, 3));
        assert_eq!(Tagged::new(4, 0).rgb, Quadrat::new(4).rgb);
    }

    #[test]
    fn tags_lie_in_the_picture_and_apart() {
        let mut digits = [0; 10];
        for seed in 0..30 {
            let picture = Tagged::new(seed, 3);
            assert_eq!(picture.tags.len(), 3, "seed {seed}");
            for (index, tag) in picture.tags.iter().enumerate() {
                digits[usize::from(tag.digit)] += 1;
                assert!(tag.left + tag.side <= 256 && tag.top + tag.side <= 256);
                let others = &picture.tags[index + 1..];
                assert!(!others.iter().any(|other| tag.is_near(other)));
            }
        }
        assert!(digits.iter().all(|count| *count > 0), "{digits:?}");
    }

    /// What the detector goes by.
    #[test]
    fn only_tags_are_orange() {
        let redder = |pixel: &[u8]| i16::from(pixel[0]) - i16::from(pixel[2]);
        for seed in 0..60 {
            let most = Quadrat::new(seed).rgb.chunks_exact(3).map(redder).max();
            assert!(most < Some(130), "seed {seed}: {most:?}");
        }
        let picture = Tagged::new(1, 1);
        let tag = picture.tags[0];
        let start = 3 * ((tag.top + 1) * picture.width + tag.left + 1);
        let corner = redder(&picture.rgb[start..start + 3]);
        assert!(corner > 200, "{corner}");
    }
}
