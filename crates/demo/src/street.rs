//! A street, a car, and a number plate on it that can be read: the picture of the guide to number plates. No model of ours
//! learns from it; it is drawn, without chance, so that networks which were trained on photographs find something to read.

mod letters;
mod plate;
mod scene;

use plate::Plate;

/// Red, green and blue from 0 to 255.
type Rgb = [f32; 3];

/// The text of the committed picture.
pub const TEXT: &str = "X904AM78";

const WIDTH: usize = 960;
const HEIGHT: usize = 540;
/// Samples of a pixel, each way.
const SAMPLES: usize = 2;
/// The middle of the plate.
const PLATE: (f32, f32) = (430.0, 420.0);
const PIXELS_PER_MM: f32 = 95.0 / plate::WIDTH;
/// The plate hangs a little askew: how far x moves with y, and y with x.
const SKEW: (f32, f32) = (-0.05, 0.02);
/// The holder around it, in millimetres.
const HOLDER: f32 = 11.0;
const HOLDER_COLOUR: Rgb = [30.0, 34.0, 38.0];

/// A picture of 960 by 540 pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Street {
    pub width: usize,
    pub height: usize,
    /// Red, green and blue bytes, row by row from the top left.
    pub rgb: Vec<u8>,
}

impl Street {
    /// With that text on the plate: a letter, three digits, two letters, two or three digits. What plates do not have is left
    /// blank.
    pub fn new(text: &str) -> Self {
        let plate = Plate::new(text);
        let pixels = (0..WIDTH * HEIGHT).map(|at| pixel(&plate, at % WIDTH, at / WIDTH));
        let pixels = soften(&pixels.collect::<Vec<Rgb>>());
        let rgb = pixels.into_iter().flatten().map(|v| (v + 0.5) as u8);
        Street {
            width: WIDTH,
            height: HEIGHT,
            rgb: rgb.collect(),
        }
    }
}

/// The mean of what is seen at some places of a pixel.
fn pixel(plate: &Plate, column: usize, row: usize) -> Rgb {
    let place = |pixel: usize, sample: usize| pixel as f32 + (sample as f32 + 0.5) / SAMPLES as f32;
    let mut sum = [0.0; 3];
    for sample in 0..SAMPLES * SAMPLES {
        let (x, y) = (
            place(column, sample % SAMPLES),
            place(row, sample / SAMPLES),
        );
        let seen = colour(plate, x, y);
        sum = [0, 1, 2].map(|i| sum[i] + seen[i]);
    }
    sum.map(|v| v / (SAMPLES * SAMPLES) as f32)
}

fn colour(plate: &Plate, x: f32, y: f32) -> Rgb {
    let (dx, dy) = ((x - PLATE.0) / PIXELS_PER_MM, (y - PLATE.1) / PIXELS_PER_MM);
    let u = dx + SKEW.0 * dy + plate::WIDTH / 2.0;
    let v = dy + SKEW.1 * dx + plate::HEIGHT / 2.0;
    if let Some(colour) = plate.colour(u, v) {
        return colour;
    }
    let held = (-HOLDER..plate::WIDTH + HOLDER).contains(&u)
        && (-HOLDER..plate::HEIGHT + HOLDER).contains(&v);
    if held {
        return HOLDER_COLOUR;
    }
    let car = scene::CAR.iter().rev().find_map(|area| area.colour(x, y));
    car.unwrap_or_else(|| scene::backdrop(x, y))
}

/// As a lens would: every pixel becomes the mean of its neighbourhood weighted 1 2 1, each way; at the rim the edge repeats.
fn soften(pixels: &[Rgb]) -> Vec<Rgb> {
    let at =
        |column: usize, row: usize| pixels[row.min(HEIGHT - 1) * WIDTH + column.min(WIDTH - 1)];
    let mean = |a: Rgb, b: Rgb, c: Rgb| [0, 1, 2].map(|i| 0.25 * (a[i] + c[i]) + 0.5 * b[i]);
    let across = |column: usize, row: usize| {
        mean(
            at(column.saturating_sub(1), row),
            at(column, row),
            at(column + 1, row),
        )
    };
    let soft = |index: usize| {
        let (column, row) = (index % WIDTH, index / WIDTH);
        mean(
            across(column, row.saturating_sub(1)),
            across(column, row),
            across(column, row + 1),
        )
    };
    (0..pixels.len()).map(soft).collect()
}
