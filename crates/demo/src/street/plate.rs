//! A Russian number plate of one line, 520 x 112 millimetres: a letter, three digits, two letters, and the region in a field of
//! its own at the right.

use super::Rgb;
use super::letters;

pub(super) const WIDTH: f32 = 520.0;
pub(super) const HEIGHT: f32 = 112.0;

const PAPER: Rgb = [232.0, 234.0, 236.0];
const INK: Rgb = [22.0, 22.0, 26.0];
/// The flag, from the top.
const FLAG: [Rgb; 3] = [
    [235.0, 235.0, 235.0],
    [60.0, 80.0, 170.0],
    [190.0, 50.0, 50.0],
];
/// Characters before the region.
const FRONT: usize = 6;
/// Where the field of the region begins.
const REGION: f32 = 398.0;

#[derive(Debug)]
pub(super) struct Plate {
    characters: Vec<Character>,
}

#[derive(Debug)]
struct Character {
    character: char,
    corner: (f32, f32),
    size: (f32, f32),
    stroke: f32,
}

impl Plate {
    pub(super) fn new(text: &str) -> Self {
        let mut characters = Vec::new();
        let mut x = 34.0;
        for character in text.chars().take(FRONT) {
            let (width, height) = if character.is_ascii_digit() {
                (42.0, 64.0)
            } else {
                (44.0, 46.0)
            };
            characters.push(Character {
                character,
                corner: (x, 82.0 - height),
                size: (width, height),
                stroke: 10.5,
            });
            x += width + 16.0;
        }
        let region = text.chars().skip(FRONT);
        let mut x = 457.0 - (41.0 * region.clone().count() as f32 - 13.0) / 2.0;
        for character in region {
            characters.push(Character {
                character,
                corner: (x, 16.0),
                size: (28.0, 48.0),
                stroke: 9.0,
            });
            x += 41.0;
        }
        Plate { characters }
    }

    /// What is at a place, in millimetres from the upper left; `None` beside the plate.
    pub(super) fn colour(&self, x: f32, y: f32) -> Option<Rgb> {
        let rim = x.min(WIDTH - x).min(y).min(HEIGHT - y);
        if rim < 0.0 {
            return None;
        }
        let lines = (3.0..7.0).contains(&rim) || (rim > 3.0 && (x - REGION).abs() < 2.2);
        if lines || self.is_ink(x, y) || is_country(x, y) {
            return Some(INK);
        }
        let stripe = ((y - 78.0) / 7.0).floor();
        if (462.0..492.0).contains(&x) && (0.0..3.0).contains(&stripe) {
            return Some(FLAG[stripe as usize]);
        }
        Some(PAPER)
    }

    fn is_ink(&self, x: f32, y: f32) -> bool {
        self.characters.iter().any(|one| {
            let inside = (x - one.corner.0, y - one.corner.1);
            letters::distance(one.character, inside, one.size) < one.stroke / 2.0
        })
    }
}

/// The three letters of the country, too small to be more than dashes.
fn is_country(x: f32, y: f32) -> bool {
    let place = x - 416.0;
    (80.0..98.0).contains(&y) && (0.0..42.0).contains(&place) && place % 14.0 < 9.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plate_has_its_text_and_ends_at_its_rim() {
        let plate = Plate::new("T111TT77");
        // The bar of the first letter, beside its stem, the rim, and outside.
        assert_eq!(plate.colour(56.0, 37.0), Some(INK));
        assert_eq!(plate.colour(42.0, 60.0), Some(PAPER));
        assert_eq!(plate.colour(5.0, 60.0), Some(INK));
        assert_eq!(plate.colour(-0.1, 60.0), None);
        assert_eq!(plate.colour(200.0, 112.1), None);
    }
}
