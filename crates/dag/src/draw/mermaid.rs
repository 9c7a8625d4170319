//! A picture as Mermaid.

use std::fmt::Write as _;

use super::picture::{Block, Look, Picture};

pub(super) fn write(picture: &Picture) -> String {
    let mut text = String::from("flowchart TB\n");
    frame(picture, 0, 1, &mut text);
    for line in &picture.lines {
        let arrow = if line.dashed { "-.->" } else { "-->" };
        let label = match line.label.as_str() {
            "" => String::new(),
            label => format!("|\"{}\"|", escaped(label)),
        };
        let _ = writeln!(text, "  b{} {arrow}{label} b{}", line.from, line.to);
    }
    for (look, name, style) in [
        (Look::Request, "request", "fill:#eef1f4,stroke:#8a96a3"),
        (Look::Model, "model", "fill:#dcebff,stroke:#3b7dd8"),
        (Look::Function, "function", "fill:#dff5e6,stroke:#2f9e5b"),
        (Look::Scope, "scope", "fill:#fff0d6,stroke:#d9902f"),
        (Look::Answer, "answer", "fill:#eef1f4,stroke:#8a96a3"),
    ] {
        let boxes: Vec<String> = picture
            .boxes
            .iter()
            .enumerate()
            .filter(|(_, block)| block.look == look)
            .map(|(index, _)| format!("b{index}"))
            .collect();
        if !boxes.is_empty() {
            let _ = writeln!(text, "  classDef {name} {style},color:#1c2733");
            let _ = writeln!(text, "  class {} {name}", boxes.join(","));
        }
    }
    text
}

/// The boxes of a frame and the frames in it.
fn frame(picture: &Picture, frame_index: usize, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for (index, block) in picture.boxes.iter().enumerate() {
        if block.frame == frame_index {
            let _ = writeln!(text, "{indent}b{index}{}", shape(block));
        }
    }
    for (index, inner) in picture.frames.iter().enumerate() {
        if inner.parent == Some(frame_index) {
            let _ = writeln!(
                text,
                "{indent}subgraph f{index} [\"{}\"]",
                escaped(&inner.title)
            );
            frame(picture, index, depth + 1, text);
            let _ = writeln!(text, "{indent}end");
        }
    }
}

fn shape(block: &Block) -> String {
    let mut label = format!("<b>{}</b>", escaped(&block.title));
    for detail in block.details.iter().chain(&block.note) {
        let _ = write!(label, "<br/><small>{}</small>", escaped(detail));
    }
    match block.look {
        Look::Request | Look::Answer => format!("([\"{label}\"])"),
        Look::Model => format!("[\"{label}\"]"),
        Look::Function => format!("(\"{label}\")"),
        Look::Scope => format!("{{{{\"{label}\"}}}}"),
    }
}

/// Mermaid reads entities in quoted texts.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '"' => escaped.push_str("#quot;"),
            '<' => escaped.push_str("#lt;"),
            '>' => escaped.push_str("#gt;"),
            '&' => escaped.push_str("#amp;"),
            '#' => escaped.push_str("#35;"),
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
