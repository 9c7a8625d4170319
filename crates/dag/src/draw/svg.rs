//! A picture as SVG.

use std::fmt::Write as _;

use super::nest::{Places, Rect};
use super::picture::{Block, Frame, Look, Picture};

const FONT: &str = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

pub(super) fn write(picture: &Picture, places: &Places) -> String {
    let whole = places.frames[0];
    let (labels, reach) = labels(picture, places, whole.width);
    let (width, height) = (whole.width.max(reach).ceil(), (whole.height - 14.0).ceil());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 14 {width} {height}\" \
         font-family=\"{FONT}\">\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M0 0.6 8 4 0 7.4z\" fill=\"#64707d\"/></marker></defs>\n\
         <rect y=\"14\" width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (frame, rect) in picture.frames.iter().zip(&places.frames).skip(1) {
        let Rect {
            x,
            y,
            width,
            height,
        } = rect;
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"12\" fill=\"#f2a93b\" \
             fill-opacity=\"0.07\" stroke=\"#d9902f\" stroke-dasharray=\"5 4\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" font-style=\"italic\" fill=\"#9a5f12\">{}</text>",
            x + 12.0,
            y + 18.0,
            escaped(&frame.title)
        );
    }
    for (line, points) in picture.lines.iter().zip(&places.lines) {
        let dashes = if line.dashed {
            " stroke-dasharray=\"4 4\""
        } else {
            ""
        };
        let _ = writeln!(
            svg,
            "<path d=\"{}\" fill=\"none\" stroke=\"#64707d\" stroke-width=\"1.4\"{dashes} marker-end=\"url(#tip)\"/>",
            path(points)
        );
    }
    for (block, rect) in picture.boxes.iter().zip(&places.boxes) {
        draw(block, rect, &mut svg);
    }
    svg.push_str(&labels);
    svg.push_str("</svg>\n");
    svg
}

/// Curves that leave and enter every point upright.
fn path(points: &[(f64, f64)]) -> String {
    let mut path = format!("M{:.1} {:.1}", points[0].0, points[0].1);
    for pair in points.windows(2) {
        let [(x0, y0), (x1, y1)] = *pair else {
            continue;
        };
        let middle = f64::midpoint(y0, y1);
        let _ = write!(
            path,
            " C{x0:.1} {middle:.1} {x1:.1} {middle:.1} {x1:.1} {y1:.1}"
        );
    }
    path
}

fn draw(block: &Block, rect: &Rect, svg: &mut String) {
    let (fill, stroke) = match block.look {
        Look::Request | Look::Answer => ("#eef1f4", "#8a96a3"),
        Look::Model => ("#dcebff", "#3b7dd8"),
        Look::Function => ("#dff5e6", "#2f9e5b"),
        Look::Scope => ("#fff0d6", "#d9902f"),
    };
    let Rect {
        x,
        y,
        width,
        height,
    } = *rect;
    let round = match block.look {
        Look::Request | Look::Answer => height / 2.0,
        Look::Model => 4.0,
        Look::Function => 12.0,
        Look::Scope => 8.0,
    };
    let middle = x + width / 2.0;
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{round:.1}\" fill=\"{fill}\" \
         stroke=\"{stroke}\" stroke-width=\"1.5\"/>\n\
         <text x=\"{middle:.1}\" y=\"{:.1}\" font-size=\"13\" font-weight=\"600\" text-anchor=\"middle\" \
         fill=\"#1c2733\">{}</text>",
        y + 21.0,
        escaped(&block.title)
    );
    let details = block.details.iter().map(|text| (text, "#4d5b69"));
    let note = block.note.iter().map(|text| (text, "#1f5fae"));
    let mut line = y + 21.0;
    for (text, color) in details.chain(note) {
        line += 16.0;
        let _ = writeln!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{line:.1}\" font-size=\"11\" text-anchor=\"middle\" fill=\"{color}\">{}</text>",
            escaped(text)
        );
    }
}

/// What flows, written on the lines just above where they end, and how far to the right that reaches.
fn labels(picture: &Picture, places: &Places, width: f64) -> (String, f64) {
    let mut svg = String::new();
    // The titles of frames are there before.
    let title = |(frame, rect): (&Frame, &Rect)| Rect {
        x: rect.x + 12.0,
        y: rect.y + 8.0,
        width: frame.title.chars().count() as f64 * 6.0,
        height: 14.0,
    };
    let frames = picture.frames.iter().zip(&places.frames);
    let mut taken: Vec<Rect> = frames.skip(1).map(title).collect();
    let mut reach: f64 = width;
    for (line, points) in picture.lines.iter().zip(&places.lines) {
        if line.label.is_empty() {
            continue;
        }
        let width = line.label.chars().count() as f64 * 5.7;
        // From the end backwards, on pieces that have room for it: the first place at which no other label stands.
        let places = points
            .windows(2)
            .rev()
            .filter_map(|piece| piece.first_chunk::<2>())
            .filter(|[one, other]| other.1 - one.1 > 24.0)
            .flat_map(|piece| [0.55, 0.75, 0.35, 0.2].map(|part| label_at(piece, part, width)));
        let mut all = places.take(MOST_TRIES).peekable();
        let Some(&last) = all.peek() else { continue };
        let rect = all
            .find(|rect| !taken.iter().any(|other| overlap(rect, other)))
            .unwrap_or(last);
        taken.push(rect);
        reach = reach.max(rect.x + width + 8.0);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" text-anchor=\"middle\" fill=\"#4d5b69\" stroke=\"#ffffff\" \
             stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
            rect.x + width / 2.0,
            rect.y + 9.0,
            escaped(&line.label)
        );
    }
    (svg, reach)
}

/// As often as anybody would look for another place.
const MOST_TRIES: usize = 24;

/// Where a label stands at a part of a piece of a line.
fn label_at([(x0, y0), (x1, y1)]: &[(f64, f64); 2], part: f64, width: f64) -> Rect {
    // The curve's own way from side to side.
    let weight = part * part * (3.0 - 2.0 * part);
    let x = x0 + (x1 - x0) * weight;
    Rect {
        x: x.max(width / 2.0 + 4.0) - width / 2.0,
        y: y0 + (y1 - y0) * part - 9.0,
        width,
        height: 12.0,
    }
}

fn overlap(one: &Rect, other: &Rect) -> bool {
    one.x < other.x + other.width
        && other.x < one.x + one.width
        && one.y < other.y + other.height
        && other.y < one.y + one.height
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
