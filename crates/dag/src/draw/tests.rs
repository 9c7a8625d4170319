//! Pictures of a small graph, and of graphs at random.

use proptest::prelude::*;

use super::*;
use crate::check::{Options, check};
use crate::testing::Few;

const SPEC: &str = "
inputs: {image: image, budget: {type: int, default: 5}}
models:
  detector: {url: yolo.mar, output: boxes}
  reader: {url: lprnet.mar, output: text}
nodes:
  picture: {function: decode_image, in: image}
  scaled: {function: resize, in: picture, with: {size: [640, 480]}}
  boxes: {model: detector, in: scaled}
  crops: {function: crop_by_boxes, in: {image: picture, boxes: boxes}, with: {size: [94, 24]}}
  plate: {foreach: crops, limit: 100, overflow: truncate}
  straight: {function: resize, in: plate, with: {size: [94, 24]}}
  text: {model: reader, in: straight, on-error: skip}
  texts: {gather: text}
  answer: {function: merge, in: {coordinates: boxes, texts: texts}, when: 'size(boxes) > 0 and budget < 9'}
output: {application/json: answer, image/png: scaled}
";

fn notes() -> Notes {
    Notes::from([("boxes".to_owned(), "12/s, 31 ms <p99>".to_owned())])
}

#[test]
fn mermaid_of_number_plates() {
    let graph = check(SPEC, &Few, Options::default())
        .graph
        .expect("a graph");
    insta::assert_snapshot!(graph.to_mermaid(&notes()));
}

#[test]
fn svg_is_well_formed_and_shows_everything() {
    let graph = check(SPEC, &Few, Options::default())
        .graph
        .expect("a graph");
    let svg = graph.to_svg(&notes());
    let document = roxmltree::Document::parse(&svg).expect("XML");
    let texts: Vec<&str> = document
        .descendants()
        .filter_map(|node| node.text())
        .collect();
    for name in graph.nodes.iter().map(|node| node.name.as_str()) {
        assert!(texts.contains(&name), "{name}");
    }
    for wanted in [
        "each plate",
        "12/s, 31 ms <p99>",
        "when size(boxes) > 0 and budget < 9",
        "boxes: boxes",
        "image/png",
    ] {
        assert!(texts.contains(&wanted), "{wanted} in {texts:?}");
    }
}

/// What a picture must not do: boxes over one another, or outside their frame.
fn no_overlaps(spec: &str) -> Result<(), String> {
    let Some(graph) = check(spec, &Few, Options::default()).graph else {
        return Ok(());
    };
    let picture = picture::of(&graph, &Notes::new());
    let places = nest::place(&picture);
    for (index, one) in places.boxes.iter().enumerate() {
        let frame = &places.frames[picture.boxes[index].frame];
        let inside = one.x >= frame.x
            && one.y >= frame.y
            && one.x + one.width <= frame.x + frame.width
            && one.y + one.height <= frame.y + frame.height;
        if !inside {
            return Err(format!(
                "{} leaves its frame: {one:?} {frame:?}",
                picture.boxes[index].title
            ));
        }
        for other in &places.boxes[index + 1..] {
            if one.x < other.x + other.width
                && other.x < one.x + one.width
                && one.y < other.y + other.height
                && other.y < one.y + one.height
            {
                return Err(format!("{one:?} is over {other:?}"));
            }
        }
    }
    Ok(())
}

#[test]
fn boxes_stand_apart() {
    assert_eq!(no_overlaps(SPEC), Ok(()));
}

proptest! {
    #[test]
    fn boxes_stand_apart_in_any_graph(nodes in prop::collection::vec((0usize..5, 0usize..9, 0usize..9), 1..9)) {
        let mut spec = "models: {m: {url: m.mar}}\nnodes:\n  n0: {model: m, in: request}\n".to_owned();
        for (index, (kind, one, other)) in nodes.iter().enumerate() {
            let (one, other) = (one % (index + 1), other % (index + 1));
            spec += &match kind {
                0 => format!("  n{}: {{foreach: n{one}}}\n", index + 1),
                1 => format!("  n{}: {{gather: n{one}}}\n", index + 1),
                2 | 3 => format!("  n{}: {{function: merge, in: {{a: n{one}, b: n{other}}}}}\n", index + 1),
                _ => format!("  n{}: {{model: m, in: n{one}.x, when: has(n{other})}}\n", index + 1),
            };
        }
        spec += "output: n0\n";
        prop_assert_eq!(no_overlaps(&spec), Ok(()));
    }
}
