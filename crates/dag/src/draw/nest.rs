//! Frames inside frames: each is laid out by itself and then stands in the one around it like any box.

use std::collections::{HashMap, HashSet};

use super::layers::{Laid, Pin, lay};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Item {
    Block(usize),
    Frame(usize),
    /// Where a line, by its index, comes into the frame from outside, or leaves it.
    Enter(usize),
    Leave(usize),
}

struct Inside {
    items: Vec<Item>,
    positions: HashMap<Item, usize>,
    /// Which line of the layout joins two items.
    pairs: HashMap<(usize, usize), usize>,
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
                Item::Enter(_) | Item::Leave(_) => continue,
            };
            rect.x = x + at.0;
            rect.y = y + at.1;
        }
    }
    places.lines = (0..picture.lines.len())
        .map(|line| route(picture, &insides, &places, line))
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
    let mut leaving: Vec<Item> = Vec::new();
    for (index, line) in picture.lines.iter().enumerate() {
        let ends = [line.from, line.to].map(|end| lift(picture, end, frame));
        match ends {
            [None, Some(_)] => items.push(Item::Enter(index)),
            [Some(_), None] => leaving.push(Item::Leave(index)),
            [None, None] | [Some(_), Some(_)] => {}
        }
    }
    // Whose lines come in stands after the places where they do.
    let mut found = HashSet::new();
    for index in 0..picture.boxes.len() {
        items.extend(lift(picture, index, frame).filter(|item| found.insert(*item)));
    }
    items.extend(leaving);
    let positions: HashMap<Item, usize> = items
        .iter()
        .enumerate()
        .map(|(index, item)| (*item, index))
        .collect();
    let mut pairs = Vec::new();
    let mut known = HashSet::new();
    for index in 0..picture.lines.len() {
        if let Some(pair) = pair(picture, index, frame, &positions)
            && known.insert(pair)
        {
            pairs.push(pair);
        }
    }
    let sizes: Vec<(f64, f64)> = items
        .iter()
        .map(|item| match item {
            Item::Block(index) => (places.boxes[*index].width, places.boxes[*index].height),
            Item::Frame(index) => (places.frames[*index].width, places.frames[*index].height),
            Item::Enter(_) | Item::Leave(_) => (6.0, 0.0),
        })
        .collect();
    let pins: Vec<Pin> = items
        .iter()
        .map(|item| match item {
            Item::Block(_) | Item::Frame(_) => Pin::Free,
            Item::Enter(_) => Pin::Top,
            Item::Leave(_) => Pin::Bottom,
        })
        .collect();
    let laid = lay(&sizes, &pins, &pairs);
    let pairs = pairs
        .into_iter()
        .enumerate()
        .map(|(line, pair)| (pair, line))
        .collect();
    Inside {
        items,
        positions,
        pairs,
        laid,
    }
}

/// The items of a frame between which a line goes, if it goes there at all.
fn pair(
    picture: &Picture,
    index: usize,
    frame: usize,
    positions: &HashMap<Item, usize>,
) -> Option<(usize, usize)> {
    let line = &picture.lines[index];
    let (from, to) = match (
        lift(picture, line.from, frame),
        lift(picture, line.to, frame),
    ) {
        (Some(from), Some(to)) => (from, to),
        (Some(from), None) => (from, Item::Leave(index)),
        (None, Some(to)) => (Item::Enter(index), to),
        (None, None) => return None,
    };
    let pair = (*positions.get(&from)?, *positions.get(&to)?);
    (pair.0 != pair.1).then_some(pair)
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

/// From the lower side of one box to the upper side of the other, through all frames between them.
fn route(picture: &Picture, insides: &[Inside], places: &Places, index: usize) -> Vec<(f64, f64)> {
    let line = &picture.lines[index];
    let (start, end) = (&places.boxes[line.from], &places.boxes[line.to]);
    let around = |index: usize| {
        std::iter::successors(Some(picture.boxes[index].frame), |frame| {
            picture.frames[*frame].parent
        })
    };
    let out: Vec<usize> = around(line.from).collect();
    let into: Vec<usize> = around(line.to).collect();
    let common = out
        .iter()
        .find(|frame| into.contains(frame))
        .copied()
        .unwrap_or_default();
    let outwards = out.iter().take_while(|frame| **frame != common);
    let inwards = into.iter().take_while(|frame| **frame != common);
    let mut points = vec![(start.x + start.width / 2.0, start.y + start.height)];
    let frames = outwards
        .chain([&common])
        .chain(inwards.collect::<Vec<_>>().into_iter().rev());
    for &frame in frames {
        let inside = &insides[frame];
        let rect = &places.frames[frame];
        let (x, y) = corner(rect);
        let place = |item: Item| {
            let position = inside.positions.get(&item)?;
            Some(x + inside.laid.at[*position].0 + 3.0)
        };
        if let Some(x) = place(Item::Enter(index)) {
            points.push((x, rect.y));
            points.push((x, y));
        }
        if let Some(pair) = pair(picture, index, frame, &inside.positions) {
            // Past what is taller beside it straight down.
            let bottom = y + inside.laid.layer[pair.0].1;
            if let Some(&(x, above)) = points.last()
                && bottom > above + 4.0
            {
                points.push((x, bottom));
            }
            let bends = inside
                .pairs
                .get(&pair)
                .map_or(&[][..], |line| &inside.laid.bends[*line]);
            points.extend(bends.iter().map(|bend| (x + bend.0, y + bend.1)));
            let top = y + inside.laid.layer[pair.1].0;
            if inside.items[pair.1] == Item::Block(line.to) && top + 4.0 < end.y {
                points.push((end.x + end.width / 2.0, top));
            }
        }
        if let Some(x) = place(Item::Leave(index)) {
            points.push((x, rect.y + rect.height));
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
            // Where it turns aside for the first time.
            let next = |line: usize| {
                let points = &places.lines[line];
                let own = end_of(points, leaving);
                let mut others = points
                    .iter()
                    .map(|point| point.0)
                    .filter(|x| (x - own).abs() > 0.5);
                if leaving {
                    others.next()
                } else {
                    others.next_back()
                }
                .unwrap_or(own)
            };
            lines.sort_by(|one, other| next(*one).total_cmp(&next(*other)));
            let rect = places.boxes[index];
            let count = lines.len() as f64;
            for (position, line) in lines.into_iter().enumerate() {
                let position = position as f64;
                let x = rect.x + rect.width * (0.2 + 0.6 * (position + 0.5) / count);
                let points = &mut places.lines[line];
                let own = end_of(points, leaving);
                let all = points.len() - 1;
                let straight = |point: &&mut (f64, f64)| (point.0 - own).abs() <= 0.5;
                if leaving {
                    points[..all]
                        .iter_mut()
                        .take_while(straight)
                        .for_each(|point| point.0 = x);
                } else {
                    points[1..]
                        .iter_mut()
                        .rev()
                        .take_while(straight)
                        .for_each(|point| point.0 = x);
                }
            }
        }
    }
}

fn end_of(points: &[(f64, f64)], leaving: bool) -> f64 {
    let end = if leaving {
        points.first()
    } else {
        points.last()
    };
    end.map_or(0.0, |point| point.0)
}
