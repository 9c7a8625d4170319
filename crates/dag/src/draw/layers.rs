//! Where things stand that point at one another: layers from top to bottom, few crossings, short lines.
//!
//! The usual steps (Sugiyama, Tagawa and Toda, 1981): longest paths give the layers, long lines get a place in every layer they
//! cross, barycentres the order, and each layer moves towards its neighbours as far as its own order allows, which is an
//! isotonic regression.

/// Sizes in, places out; all in pixels.
pub(super) struct Laid {
    /// Left upper corner of each item.
    pub(super) at: Vec<(f64, f64)>,
    /// Where the layer of each item begins and ends; a low item stands in its middle.
    pub(super) layer: Vec<(f64, f64)>,
    /// Points that each line goes through between its ends, from top to bottom.
    pub(super) bends: Vec<Vec<(f64, f64)>>,
    pub(super) width: f64,
    pub(super) height: f64,
}

const GAP_X: f64 = 34.0;
const GAP_Y: f64 = 54.0;
/// The room of a line that passes a layer.
const PASSAGE: f64 = 14.0;
/// With more passages than this, lines go straight and over what is there.
const MOST_PASSAGES: usize = 3000;
const SWEEPS: usize = 8;

/// An item, or the place where a line passes a layer.
struct Cell {
    width: f64,
    layer: usize,
    x: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// Where an item must stand, whatever points at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pin {
    Free,
    Top,
    Bottom,
}

/// Lays out items of these sizes. Lines go from items to later ones; others are left out of account.
pub(super) fn lay(sizes: &[(f64, f64)], pins: &[Pin], lines: &[(usize, usize)]) -> Laid {
    let layers = layers(pins, lines);
    let mut cells: Vec<Cell> = sizes
        .iter()
        .zip(&layers)
        .map(|(size, layer)| Cell {
            width: size.0,
            layer: *layer,
            x: 0.0,
            above: Vec::new(),
            below: Vec::new(),
        })
        .collect();
    let trails = connect(&mut cells, lines);
    let mut rows = rows(&cells);
    order(&mut rows, &mut cells);
    spread(&rows, &mut cells);

    let height_of = |layer: usize| {
        let heights = sizes.iter().zip(&layers).filter(|(_, at)| **at == layer);
        heights.map(|(size, _)| size.1).fold(0.0, f64::max)
    };
    let heights: Vec<f64> = (0..rows.len()).map(height_of).collect();
    let mut tops = Vec::new();
    let (mut y, mut bottom) = (0.0, 0.0);
    for (layer, &height) in heights.iter().enumerate() {
        tops.push((y, height));
        bottom = y + height;
        // Where lines only come in or leave, nothing stands and little room is needed.
        let next = heights.get(layer + 1).copied().unwrap_or_default();
        y = bottom
            + if height.min(next) > 0.0 {
                GAP_Y
            } else {
                GAP_Y / 3.0
            };
    }
    let left = cells
        .iter()
        .map(|cell| cell.x - cell.width / 2.0)
        .fold(f64::INFINITY, f64::min);
    let right = cells
        .iter()
        .map(|cell| cell.x + cell.width / 2.0)
        .fold(0.0, f64::max);
    let left = if left.is_finite() { left } else { 0.0 };
    Laid {
        at: sizes
            .iter()
            .zip(&cells)
            .map(|(size, cell)| {
                let (top, height) = tops[cell.layer];
                (cell.x - left - size.0 / 2.0, top + (height - size.1) / 2.0)
            })
            .collect(),
        layer: cells
            .iter()
            .take(sizes.len())
            .map(|cell| (tops[cell.layer].0, tops[cell.layer].0 + tops[cell.layer].1))
            .collect(),
        bends: trails
            .iter()
            .map(|trail| {
                trail
                    .iter()
                    .flat_map(|&cell| {
                        let (top, height) = tops[cells[cell].layer];
                        let x = cells[cell].x - left;
                        [(x, top), (x, top + height)]
                    })
                    .collect()
            })
            .collect(),
        width: right - left,
        height: bottom,
    }
}

/// The longest path to each item; what nothing points at stands just above what it points at.
fn layers(pins: &[Pin], lines: &[(usize, usize)]) -> Vec<usize> {
    let items = pins.len();
    let mut layers = vec![0; items];
    let mut sorted: Vec<(usize, usize)> = lines
        .iter()
        .copied()
        .filter(|(from, to)| from < to)
        .collect();
    sorted.sort_unstable();
    for &(from, to) in &sorted {
        layers[to] = layers[to].max(layers[from] + 1);
    }
    for item in 0..items {
        let entered = sorted.iter().any(|line| line.1 == item);
        let next = sorted
            .iter()
            .filter(|line| line.0 == item)
            .map(|line| layers[line.1])
            .min();
        if let (Pin::Free, false, Some(next)) = (pins[item], entered, next) {
            layers[item] = next - 1;
        }
    }
    let last = layers.iter().copied().max().unwrap_or_default();
    for (layer, pin) in layers.iter_mut().zip(pins) {
        if *pin == Pin::Bottom {
            *layer = last;
        }
    }
    layers
}

/// Joins neighbours, with passages in between; the passages of each line.
fn connect(cells: &mut Vec<Cell>, lines: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let length =
        |&(from, to): &(usize, usize)| cells[to].layer.saturating_sub(cells[from].layer + 1);
    let straight = lines.iter().map(length).sum::<usize>() > MOST_PASSAGES;
    let mut trails = Vec::new();
    for &(from, to) in lines {
        let (first, last) = (cells[from].layer + 1, cells[to].layer);
        let mut trail = Vec::new();
        let mut before = from;
        if from < to && !straight {
            for layer in first..last {
                let cell = cells.len();
                cells.push(Cell {
                    width: PASSAGE,
                    layer,
                    x: 0.0,
                    above: vec![before],
                    below: Vec::new(),
                });
                cells[before].below.push(cell);
                trail.push(cell);
                before = cell;
            }
            cells[before].below.push(to);
            cells[to].above.push(before);
        }
        trails.push(trail);
    }
    trails
}

fn rows(cells: &[Cell]) -> Vec<Vec<usize>> {
    let count = cells.iter().map(|cell| cell.layer + 1).max().unwrap_or(0);
    let mut rows = vec![Vec::new(); count];
    for (index, cell) in cells.iter().enumerate() {
        rows[cell.layer].push(index);
    }
    rows
}

/// Each row by the mean position of its neighbours, downwards and upwards in turn.
fn order(rows: &mut [Vec<usize>], cells: &mut [Cell]) {
    let mut position = vec![0.0; cells.len()];
    let number = |row: &[usize], position: &mut [f64]| {
        for (index, &cell) in row.iter().enumerate() {
            let index = index as f64;
            position[cell] = index;
        }
    };
    for row in rows.iter() {
        number(row, &mut position);
    }
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        for step in 0..rows.len() {
            let row = if down { step } else { rows.len() - 1 - step };
            let wish = |cell: usize| {
                let neighbours = if down {
                    &cells[cell].above
                } else {
                    &cells[cell].below
                };
                mean(neighbours.iter().map(|&other| position[other])).unwrap_or(position[cell])
            };
            let mut wishes: Vec<(f64, usize)> =
                rows[row].iter().map(|&cell| (wish(cell), cell)).collect();
            wishes.sort_by(|one, other| one.0.total_cmp(&other.0));
            rows[row] = wishes.into_iter().map(|(_, cell)| cell).collect();
            number(&rows[row], &mut position);
        }
    }
}

/// Moves each row towards its neighbours without changing its order.
fn spread(rows: &[Vec<usize>], cells: &mut [Cell]) {
    for row in rows {
        let wishes = vec![0.0; row.len()];
        settle(row, &wishes, cells);
    }
    for sweep in 0..SWEEPS {
        for step in 0..rows.len() {
            let row = if sweep % 2 == 0 {
                step
            } else {
                rows.len() - 1 - step
            };
            let wish = |&cell: &usize| {
                let neighbours = || cells[cell].above.iter().chain(&cells[cell].below);
                // A line that passes several layers does so straight.
                let passages = neighbours()
                    .filter(|&&other| is_passage(&cells[cell]) && is_passage(&cells[other]));
                mean(passages.map(|&other| cells[other].x))
                    .or_else(|| mean(neighbours().map(|&other| cells[other].x)))
                    .unwrap_or(cells[cell].x)
            };
            let wishes: Vec<f64> = rows[row].iter().map(wish).collect();
            settle(&rows[row], &wishes, cells);
        }
    }
}

/// The places nearest to the wishes (least squares) at which nothing overlaps.
fn settle(row: &[usize], wishes: &[f64], cells: &mut [Cell]) {
    let mut offset = 0.0;
    // Neighbours that push one another move as one: mean wish, and how many.
    let mut groups: Vec<(f64, f64)> = Vec::new();
    let mut offsets = Vec::new();
    for (index, (&cell, wish)) in row.iter().zip(wishes).enumerate() {
        if index > 0 {
            let before = cells[row[index - 1]].width;
            offset += f64::midpoint(before, cells[cell].width) + GAP_X;
        }
        offsets.push(offset);
        groups.push((wish - offset, 1.0));
        while let [.., (one, ones), (other, others)] = groups[..]
            && one > other
        {
            let both = (one * ones + other * others) / (ones + others);
            groups.truncate(groups.len() - 2);
            groups.push((both, ones + others));
        }
    }
    let mut places = groups
        .iter()
        .flat_map(|(place, count)| std::iter::repeat_n(*place, *count as usize));
    for (&cell, offset) in row.iter().zip(offsets) {
        cells[cell].x = places.next().unwrap_or_default() + offset;
    }
}

/// No box is as narrow.
fn is_passage(cell: &Cell) -> bool {
    cell.width <= PASSAGE
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}
