//! The model's configuration: the artifact as a graph of native functions around its network.

use serde_json::Value;

use super::classes::{Class, Classes};
use super::deploy::Deploy;

/// `model-config.yaml` for the handler `pipeline`. Values are written as JSON, which YAML holds.
pub(super) fn text(deploy: &Deploy, classes: &Classes, card: &Value) -> String {
    let steps = match deploy.transforms.as_slice() {
        [] => " []".into(),
        transforms => dashed(transforms),
    };
    let listed = lines(classes.0.iter().map(|class| class.to_value().to_string()));
    let colours = |class: &Class| Value::from(class.color.to_vec()).to_string();
    let colours: Vec<_> = classes.0.iter().map(colours).collect();
    let colours = colours.join(", ");
    format!(
        r#"# A picture to the class of each of its pixels. Made by `torchrelay-archiver import-paddle-seg` of the files deploy.yaml and
# meta.json, which lie beside this one.
handler:
  pipeline:
    inputs:
      image: image
      with-argmax: {{type: bool, default: false, about: whether the network gives scores in place of class numbers}}
      batch-size: {{type: int, default: 0, min: 0, about: "the most pictures of one pass, 0 for as many as the server likes"}}
      cpu-threads: {{type: int, default: 0, min: 0, about: "the most threads of one pass, 0 for as many as the server likes"}}
      device: {{type: text, default: any, options: [any, cpu, gpu], about: where the network must be}}
    nodes:
      # On floats, in this order, without rounding in between.
      planes:
        function: transforms
        in: image
        with:
          steps:{steps}
      given: {{model: network, in: planes}}
      mask: {{function: class_map, in: {{given: given, argmax: with-argmax}}}}
      known:
        function: merge
        in:
          model: {{value: {card}}}
          classes: {{value: [{listed}
          ]}}
          palette: {{value: [{colours}]}}
    output: {{mask: mask, classes: known.classes, palette: known.palette, model: known.model}}
  # Which of these inputs say how the network is to run.
  asked: {{batch_size: batch-size, threads: cpu-threads, device: device}}
"#
    )
}

/// A block list, a line an item.
fn dashed(items: &[Value]) -> String {
    items
        .iter()
        .map(|item| format!("\n          - {item}"))
        .collect()
}

/// A line for each item of a flow list.
fn lines(items: impl Iterator<Item = String>) -> String {
    let items = items.map(|item| format!("\n            {item}"));
    items.collect::<Vec<_>>().join(",")
}
