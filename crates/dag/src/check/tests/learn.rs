//! What archives add to a checked graph.

use servable::{Field, Signature};

use super::*;
use crate::infer::Facts;

const SPEC: &str = "
models: {detector: {url: a.mar}, reader: {url: b.mar, output: text}}
nodes:
  picture: {function: decode_image, in: request}
  boxes: {model: detector, in: picture}
  crops: {function: crop_by_boxes, in: {image: picture, boxes: boxes}, with: {size: [1, 2]}}
  crop: {foreach: crops}
  text: {model: reader, in: crop}
  texts: {gather: text}
  answer: {function: stack, in: texts}
";

fn facts(inputs: &[(&str, &str)], output: &str, merges: bool) -> Facts {
    let field = |(name, of): &(&str, &str)| Field {
        name: (*name).to_owned(),
        of: of.parse().expect("a type"),
    };
    Facts {
        signature: Signature {
            inputs: inputs.iter().map(field).collect(),
            output: output.parse().expect("a type"),
            ..Signature::default()
        },
        merges,
    }
}

/// The node of interest and the problems.
fn learnt(spec: &str, node: &str, facts: impl Fn(&str) -> Facts) -> String {
    let checked = check(spec, &Few, Options::default());
    let mut graph = checked.graph.expect("a graph");
    let problems = graph.learn(facts);
    let shown = show(&graph);
    let mut lines = shown
        .lines()
        .filter(|line| line.starts_with(&format!("{node}:")));
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    format!(
        "{}\n{}",
        lines.next().expect("the node"),
        problems.join("\n")
    )
}

#[test]
fn without_archives_there_is_one_warning_for_each_model_of_which_nothing_is_known() {
    let found = learnt(SPEC, "crops", |_| Facts::default());
    assert_eq!(
        found,
        "crops: function crop_by_boxes in 0 <- image=picture:image boxes=boxes:boxes? -> list<image>\n\
         2:10: warning: `detector`: nothing says what it gives, so what `crops` takes of it is checked for each request; \
         `output` in its entry would say"
    );
}

#[test]
fn archives_name_types_and_inputs() {
    let both = |name: &str| match name {
        "detector" => facts(&[("image", "image")], "boxes", true),
        _ => facts(&[], "any", true),
    };
    assert_eq!(
        learnt(SPEC, "boxes", both),
        "boxes: model detector in 0 <- image=picture:image -> boxes 1+1x10000ms\n"
    );
}

#[test]
fn a_model_that_never_merges_takes_all_items_of_a_request_together() {
    let found = learnt(SPEC, "text", |name| {
        facts(&[], if name == "reader" { "text" } else { "boxes" }, false)
    });
    assert_eq!(
        found,
        "text: model reader together in 1 <- body=crop:any -> text 1+1x10000ms\n"
    );
    let found = learnt(SPEC, "boxes", |name| {
        facts(&[], if name == "reader" { "text" } else { "boxes" }, false)
    });
    assert_eq!(
        found,
        "boxes: model detector in 0 <- body=picture:any -> boxes 1+1x10000ms\n"
    );
}

#[test]
fn archives_may_contradict_the_spec() {
    let found = learnt(SPEC, "text", |name| match name {
        "detector" => facts(&[("body", "text")], "tensor<float32>[n, 5]", true),
        _ => facts(&[("left", "any"), ("right", "any")], "int", true),
    });
    insta::assert_snapshot!(found);
}
