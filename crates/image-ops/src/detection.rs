//! From a YOLO detector's numbers to boxes in the picture: decoding raw levels, suppression, and the way back through the
//! letterbox.
//!
//! Formulas are YOLOv5's; the network's input is laid out by [`crate::size::letterbox`].

use std::cmp::Ordering;

/// One box: corners in pixels, how sure the network is, and of what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
    pub confidence: f32,
    pub class: usize,
}

/// What is kept of a detector's rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suppression {
    /// Objectness and score must both be greater.
    pub confidence: f32,
    /// A box that overlaps a better one by more is dropped.
    pub iou: f32,
    /// The most boxes that are kept.
    pub max: usize,
    /// The most boxes that are compared, best first.
    pub candidates: usize,
    /// Whether only boxes of one class drop each other.
    pub class_aware: bool,
}

/// Columns of a row before the classes: centre-x, centre-y, width, height, objectness.
pub const FIXED_COLUMNS: usize = 5;

/// The boxes of rows of `columns` numbers (centre-x, centre-y, width, height, objectness, a score for each class), best
/// first, in the coordinates of the rows.
///
/// `score = objectness * best class score`. Greedy suppression: a box is dropped when its intersection over union with a
/// kept one is greater than the limit. Rows with numbers that are not finite are passed over, and so are all rows where
/// there is no class.
pub fn suppress(rows: &[f32], columns: usize, rule: &Suppression) -> Vec<Detection> {
    if columns <= FIXED_COLUMNS {
        return Vec::new();
    }
    let rows = rows.chunks_exact(columns);
    let mut found: Vec<_> = rows
        .filter_map(|row| detection(row, rule.confidence))
        .collect();
    // Stable, so that of equal boxes the first one wins.
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    found.truncate(rule.candidates);
    let mut kept: Vec<Detection> = Vec::new();
    for candidate in found {
        if kept.len() >= rule.max {
            break;
        }
        let covered = kept.iter().any(|better| {
            (better.class == candidate.class || !rule.class_aware)
                && overlap(better, &candidate) > rule.iou
        });
        if !covered {
            kept.push(candidate);
        }
    }
    kept
}

fn detection(row: &[f32], least: f32) -> Option<Detection> {
    let (fixed, classes) = row.split_first_chunk::<FIXED_COLUMNS>()?;
    let &[x, y, width, height, objectness] = fixed;
    if objectness.partial_cmp(&least) != Some(Ordering::Greater) {
        return None;
    }
    let (class, best) = best_class(classes)?;
    let detection = Detection {
        left: x - width / 2.0,
        top: y - height / 2.0,
        right: x + width / 2.0,
        bottom: y + height / 2.0,
        confidence: objectness * best,
        class,
    };
    let Detection {
        left,
        top,
        right,
        bottom,
        confidence,
        ..
    } = detection;
    let finite = [left, top, right, bottom, confidence]
        .iter()
        .all(|number| number.is_finite());
    (finite && confidence > least).then_some(detection)
}

/// The class with the highest score; the lowest of equals.
fn best_class(scores: &[f32]) -> Option<(usize, f32)> {
    let mut scores = scores.iter().copied().enumerate();
    let first = scores.next()?;
    Some(scores.fold(first, |best, next| {
        if next.1 > best.1 || best.1.is_nan() {
            next
        } else {
            best
        }
    }))
}

/// Intersection over union; not a number for two boxes without area, which then overlap by nothing.
fn overlap(a: &Detection, b: &Detection) -> f32 {
    let area = |d: &Detection| (d.right - d.left) * (d.bottom - d.top);
    let width = (a.right.min(b.right) - a.left.max(b.left)).max(0.0);
    let height = (a.bottom.min(b.bottom) - a.top.max(b.top)).max(0.0);
    let both = width * height;
    both / (area(a) + area(b) - both)
}

/// The two sizes between which boxes travel, as width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    pub network: (f32, f32),
    pub image: (f32, f32),
}

impl Detection {
    /// The box in the picture, cut to it: `(x - pad) / gain` with `gain = min(H / h, W / w)` and the unrounded
    /// `pad = ((W - w * gain) / 2, (H - h * gain) / 2)`.
    #[must_use]
    pub fn in_picture(self, sizes: &Sizes) -> Detection {
        let ((network_w, network_h), (w, h)) = (sizes.network, sizes.image);
        let gain = (network_h / h).min(network_w / w);
        let pad_x = (network_w - w * gain) / 2.0;
        let pad_y = (network_h - h * gain) / 2.0;
        let x = |x: f32| ((x - pad_x) / gain).clamp(0.0, w);
        let y = |y: f32| ((y - pad_y) / gain).clamp(0.0, h);
        Detection {
            left: x(self.left),
            top: y(self.top),
            right: x(self.right),
            bottom: y(self.bottom),
            ..self
        }
    }
}

/// How the numbers of one raw level lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelLayout {
    /// `[anchors, rows, columns, numbers]`, as YOLOv5 returns them while training.
    AnchorsFirst,
    /// `[anchors * numbers, rows, columns]`, as its last convolutions give them.
    Planes,
}

/// One raw level of the head: logits of a grid of cells.
#[derive(Debug, Clone, Copy)]
pub struct Level<'a> {
    pub numbers: &'a [f32],
    pub layout: LevelLayout,
    pub rows: usize,
    pub columns: usize,
    /// Numbers of a cell and anchor: five and one for each class.
    pub width: usize,
    /// Network pixels from cell to cell.
    pub stride: f32,
    /// Widths and heights in network pixels.
    pub anchors: &'a [(f32, f32)],
}

impl Level<'_> {
    /// Appends the decoded rows, by anchor, row and column. With `p = sigmoid(raw)`, stride s, cell (i, j) and anchor
    /// (a, b): `x = (2p - 0.5 + i) * s`, `y` likewise with j, `w = (2p)^2 * a`, `h = (2p)^2 * b`, the rest is p.
    ///
    /// `numbers` must be as long as layout, sides and anchors say; what is missing is not decoded.
    pub fn decode_into(&self, out: &mut Vec<f32>) {
        let cells = self.rows * self.columns;
        for (anchor, &(anchor_w, anchor_h)) in self.anchors.iter().enumerate() {
            for cell in 0..cells {
                let at = |number: usize| match self.layout {
                    LevelLayout::AnchorsFirst => (anchor * cells + cell) * self.width + number,
                    LevelLayout::Planes => (anchor * self.width + number) * cells + cell,
                };
                let p = |number: usize| {
                    self.numbers
                        .get(at(number))
                        .map_or(0.0, |raw| sigmoid(*raw))
                };
                let (column, row) = ((cell % self.columns) as f32, (cell / self.columns) as f32);
                out.push((2.0 * p(0) - 0.5 + column) * self.stride);
                out.push((2.0 * p(1) - 0.5 + row) * self.stride);
                out.push((2.0 * p(2)).powi(2) * anchor_w);
                out.push((2.0 * p(3)).powi(2) * anchor_h);
                out.extend((4..self.width).map(p));
            }
        }
    }
}

fn sigmoid(raw: f32) -> f32 {
    1.0 / (1.0 + (-raw).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Suppression = Suppression {
        confidence: 0.5,
        iou: 0.5,
        max: 10,
        candidates: 100,
        class_aware: true,
    };

    /// The centres of what is left of boxes 10 wide and high at y = 5: `(x, objectness, class scores)`.
    fn check(rule: &Suppression, boxes: &[(f32, f32, [f32; 2])], expected: &[f32]) {
        let rows = boxes.iter().flat_map(|&(x, objectness, [first, second])| {
            [x, 5.0, 10.0, 10.0, objectness, first, second]
        });
        let found = suppress(&rows.collect::<Vec<_>>(), 7, rule);
        let centres: Vec<_> = found.iter().map(|d| (d.left + d.right) / 2.0).collect();
        assert_eq!(centres, expected);
    }

    #[test]
    fn better_boxes_drop_what_they_overlap() {
        let near = [
            (20.0, 0.8, [1.0, 0.0]),
            (22.0, 0.9, [1.0, 0.0]),
            (40.0, 0.7, [1.0, 0.0]),
        ];
        check(&RULE, &near, &[22.0, 40.0]);
        check(
            &Suppression { iou: 0.9, ..RULE },
            &near,
            &[22.0, 20.0, 40.0],
        );
        check(&Suppression { max: 1, ..RULE }, &near, &[22.0]);
        check(
            &Suppression {
                candidates: 2,
                ..RULE
            },
            &near,
            &[22.0],
        );
        let classes = [(20.0, 0.8, [1.0, 0.0]), (22.0, 0.9, [0.0, 1.0])];
        check(&RULE, &classes, &[22.0, 20.0]);
        check(
            &Suppression {
                class_aware: false,
                ..RULE
            },
            &classes,
            &[22.0],
        );
    }

    #[test]
    fn both_objectness_and_score_must_be_greater() {
        check(&RULE, &[(20.0, 0.5, [1.0, 0.0])], &[]);
        check(&RULE, &[(20.0, 0.6, [0.8, 0.0])], &[]);
        check(&RULE, &[(20.0, f32::NAN, [1.0, 0.0])], &[]);
        check(&RULE, &[(f32::INFINITY, 0.9, [1.0, 0.0])], &[]);
        check(&RULE, &[(20.0, 0.9, [f32::NAN, 1.0])], &[20.0]);
        assert_eq!(suppress(&[1.0; 10], 5, &RULE), []);
    }

    #[test]
    fn a_raw_level_is_decoded_in_either_layout() {
        // One anchor, one row of two cells, five numbers; sigmoid(0) is a half.
        let anchors = [(8.0, 4.0)];
        let level = |numbers, layout| Level {
            numbers,
            layout,
            rows: 1,
            columns: 2,
            width: 5,
            stride: 16.0,
            anchors: &anchors,
        };
        let expected = [8.0, 8.0, 8.0, 4.0, 0.5, 24.0, 8.0, 8.0, 4.0, 1.0];
        let rows = [0., 0., 0., 0., 0., 0., 0., 0., 0., 100.];
        for layout in [LevelLayout::AnchorsFirst, LevelLayout::Planes] {
            let mut out = Vec::new();
            level(&rows, layout).decode_into(&mut out);
            assert_eq!(out, expected, "{layout:?}");
        }
    }
}
