//! Frames inside frames: each is laid out by itself and then stands in the one around it like any box.

use super::layers::{Laid, lay};
use super::picture::{Block, Picture};

/// Where everything stands, in pixels from the left upper corner.
pub(super) struct Places {
    pub(super) boxes: Vec<Rect>,
    /// By frame; the first is the whole picture.
    pub(super) frames: Vec<Rect>,
    /// The points of each line, its ends included.
    pub(super) lines: Vec<Vec<(f64, f64)>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Inside a frame: above, where its title stands, and on the other sides.
const TOP: f64 = 34.0;
const SIDE: f64 = 20.0;

/// A thing in a frame, in the order of its first box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Block(usize),
    Frame(usize),
}

struct Inside {
    items: Vec<Item>,
    /// Lines between items, each pair once.
    pairs: Vec<(usize, usize)>,
    laid: Laid,
}

pub(super) fn place(picture: &Picture) -> Places {
    let mut insides: Vec<Option<Inside>> = picture.frames.iter().map(|_| None).collect();
    let mut places = Places {
        boxes: picture.boxes.iter().map(size).collect(),
        frames: vec![Rect::default(); picture.frames.len()],
        lines: Vec::new(),
    };
    // Frames stand after those around them.
    for frame in (0..picture.frames.len()).rev() {
        let inside = arrange(picture, frame, &places);
        let (width, height) = (inside.laid.width, inside.laid.height);
        places.frames[frame].width = width + 2.0 * SIDE;
        places.frames[frame].height = height + TOP + SIDE;
        insides[frame] = Some(inside);
    }
    let insides: Vec<Inside> = insides.into_iter().flatten().collect();
    for (frame, inside) in insides.iter().enumerate() {
        let (x, y) = corner(&places.frames[frame]);
        for (item, at) in inside.items.iter().zip(&inside.laid.at) {
            let rect = match item {
                Item::Block(index) => &mut places.boxes[*index],
                Item::Frame(index) => &mut places.frames[*index],
            };
            rect.x = x + at.0;
            rect.y = y + at.1;
        }
    }
    places.lines = picture
        .lines
        .iter()
        .map(|line| route(picture, &insides, &places, line.from, line.to))
        .collect();
    part_ends(picture, &mut places);
    places
}

/// Where the inside of a frame begins.
fn corner(frame: &Rect) -> (f64, f64) {
    (frame.x + SIDE, frame.y + TOP)
}

fn size(block: &Block) -> Rect {
    let widest = |scale: f64, text: &str| {
        let letters = text.chars().count() as f64;
        letters * scale
    };
    let small = block
        .details
        .iter()
        .chain(&block.note)
        .map(|text| widest(6.4, text));
    let width = small.fold(widest(8.2, &block.title), f64::max);
    let lines = (block.details.len() + usize::from(block.note.is_some())) as f64;
    Rect {
        width: (width + 30.0).max(90.0),
        height: 32.0 + 16.0 * lines,
        ..Rect::default()
    }
}

fn arrange(picture: &Picture, frame: usize, places: &Places) -> Inside {
    let mut items: Vec<Item> = Vec::new();
    for index in 0..picture.boxes.len() {
        if let Some(item) = lift(picture, index, frame)
            && !items.contains(&item)
        {
            items.push(item);
        }
    }
    let position = |index: usize| {
        let item = lift(picture, index, frame)?;
        items.iter().position(|known| *known == item)
    };
    let mut pairs = Vec::new();
    for line in &picture.lines {
        if let (Some(from), Some(to)) = (position(line.from), position(line.to))
            && from != to
            && !pairs.contains(&(from, to))
        {
            pairs.push((from, to));
        }
    }
    let sizes: Vec<(f64, f64)> = items
        .iter()
        .map(|item| match item {
            Item::Block(index) => (places.boxes[*index].width, places.boxes[*index].height),
            Item::Frame(index) => (places.frames[*index].width, places.frames[*index].height),
        })
        .collect();
    let laid = lay(&sizes, &pairs);
    Inside { items, pairs, laid }
}

/// What of a frame a box is in: itself, a frame, or nothing.
fn lift(picture: &Picture, index: usize, frame: usize) -> Option<Item> {
    let mut item = Item::Block(index);
    let mut at = picture.boxes[index].frame;
    while at != frame {
        item = Item::Frame(at);
        at = picture.frames[at].parent?;
    }
    Some(item)
}

/// From the lower side of one box to the upper side of the other, with the bends of the frame that holds both.
fn route(
    picture: &Picture,
    insides: &[Inside],
    places: &Places,
    from: usize,
    to: usize,
) -> Vec<(f64, f64)> {
    let (start, end) = (&places.boxes[from], &places.boxes[to]);
    let mut points = vec![(start.x + start.width / 2.0, start.y + start.height)];
    let around = |index: usize| {
        std::iter::successors(Some(picture.boxes[index].frame), |frame| {
            picture.frames[*frame].parent
        })
    };
    let common = around(from).find(|frame| around(to).any(|other| other == *frame));
    if let Some(frame) = common
        && let (Some(one), Some(other)) = (lift(picture, from, frame), lift(picture, to, frame))
    {
        let inside = &insides[frame];
        let position = |item: Item| inside.items.iter().position(|known| *known == item);
        let pair = position(one).zip(position(other));
        let line = inside.pairs.iter().position(|known| Some(*known) == pair);
        let (x, y) = corner(&places.frames[frame]);
        // Out of an inner frame straight down, and into one straight from above.
        if let Item::Frame(inner) = one {
            points.push((
                points[0].0,
                places.frames[inner].y + places.frames[inner].height,
            ));
        }
        for bend in line.map_or(&[][..], |line| &inside.laid.bends[line]) {
            points.push((x + bend.0, y + bend.1));
        }
        if let Item::Frame(inner) = other {
            points.push((end.x + end.width / 2.0, places.frames[inner].y));
        }
    }
    points.push((end.x + end.width / 2.0, end.y));
    points
}

/// Lines that share a box begin and end beside one another, in the order of where they go.
fn part_ends(picture: &Picture, places: &mut Places) {
    for index in 0..picture.boxes.len() {
        for leaving in [true, false] {
            let mut lines: Vec<usize> = (0..picture.lines.len())
                .filter(|line| {
                    let line = &picture.lines[*line];
                    index == if leaving { line.from } else { line.to }
                })
                .collect();
            let next = |line: usize| {
                let points = &places.lines[line];
                if leaving {
                    points[1].0
                } else {
                    points[points.len() - 2].0
                }
            };
            lines.sort_by(|one, other| next(*one).total_cmp(&next(*other)));
            let rect = places.boxes[index];
            let count = lines.len() as f64;
            for (position, line) in lines.into_iter().enumerate() {
                let position = position as f64;
                let x = rect.x + rect.width * (0.2 + 0.6 * (position + 0.5) / count);
                let points = &mut places.lines[line];
                let last = points.len() - 1;
                points[if leaving { 0 } else { last }].0 = x;
            }
        }
    }
}
