//! Functions as people read them: a page of the documentation, and plain text for a terminal. Both are made of
//! [`dag::About`].

use std::fmt::Write;

use dag::{About, Parameter, Port};
use servable::Type;

use crate::{GROUPS, all};

const INTRODUCTION: &str = "\
# Native functions

What can stand between the models of a [workflow](workflows.md) without any code of one's own. A node names a function and gives it
inputs (`in:`) and parameters (`with:`); whatever is wrong with either is said when the workflow is registered. A parameter may stand
under `in:` too: then it comes with each request. Pictures, tensors and lists pass from node to node without being copied, and no
output is larger than 512 MiB.

A picture is a file (JPEG, PNG, BMP, WebP, GIF) or its samples; whoever needs samples decodes a file, once for all. A tensor may also
be given as nested lists of numbers, or as JSON text of these.

This page is made from the code: `cargo xtask docs` writes it.
";

/// docs/functions.md.
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str("\n| Function | What it does |\n|---|---|\n");
    for native in all() {
        let About { name, summary, .. } = &native.about;
        push(
            &mut page,
            format_args!("| [`{name}`](#{name}) | {summary} |\n"),
        );
    }
    for group in &GROUPS {
        push(&mut page, format_args!("\n## {}\n", group.title));
        for native in group.functions {
            section(&mut page, &native.about);
        }
    }
    page
}

/// All functions with what they take and give, one below the other.
pub fn table() -> String {
    let mut text = String::new();
    let width = all()
        .map(|native| native.about.name.len())
        .max()
        .unwrap_or(0);
    for group in &GROUPS {
        push(&mut text, format_args!("{}\n", group.title));
        for native in group.functions {
            let about = &native.about;
            push(
                &mut text,
                format_args!("  {:width$}  {}\n", about.name, about.summary),
            );
            push(
                &mut text,
                format_args!("  {:width$}  {}\n", "", signature(about)),
            );
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// One function in full; `None` where there is none of that name.
pub fn detail(name: &str) -> Option<String> {
    let about = &all().find(|native| native.about.name == name)?.about;
    let mut text = String::new();
    push(
        &mut text,
        format_args!(
            "{}: {}\n\n  {}\n",
            about.name,
            about.summary,
            signature(about)
        ),
    );
    let rows: Vec<_> = about.inputs.iter().map(port_row).collect();
    rows_of(&mut text, "Inputs", &rows);
    let rows: Vec<_> = about.parameters.iter().map(parameter_row).collect();
    rows_of(&mut text, "Parameters", &rows);
    for paragraph in about.details.split("\n\n").filter(|text| !text.is_empty()) {
        text.push('\n');
        for line in paragraph.lines() {
            wrapped(&mut text, line);
        }
    }
    text.push_str("\nExample\n");
    for line in about.example.lines() {
        push(&mut text, format_args!("  {line}\n"));
    }
    Some(text)
}

/// `(image: image, geometry?: {width, …}) -> boxes`.
fn signature(about: &About) -> String {
    let mut ports: Vec<_> = about
        .inputs
        .iter()
        .map(|port| {
            let mark = if port.required { "" } else { "?" };
            format!("{}{mark}: {}", port.name, short(port.of))
        })
        .collect();
    if about.open {
        ports.push("…".into());
    }
    format!("({}) -> {}", ports.join(", "), short(about.output))
}

/// A type without the types of its members.
fn short(text: &str) -> String {
    match text.parse() {
        Ok(Type::Record(fields)) if fields.is_empty() => "object".into(),
        Ok(Type::Record(fields)) => {
            let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
            format!("{{{}}}", names.join(", "))
        }
        Ok(_) | Err(_) => text.into(),
    }
}

fn section(page: &mut String, about: &About) {
    push(
        page,
        format_args!("\n### {}\n\n{}.\n\n", about.name, about.summary),
    );
    push(page, format_args!("`{}{}`\n", about.name, signature(about)));
    if !about.details.is_empty() {
        push(page, format_args!("\n{}\n", about.details));
    }
    if !about.inputs.is_empty() {
        page.push_str("\n| Input | Type | Meaning |\n|---|---|---|\n");
        for port in about.inputs {
            let [name, of, meaning] = port_row(port);
            push(
                page,
                format_args!("| `{name}` | `{}` | {} |\n", cell(&of), cell(&meaning)),
            );
        }
    }
    if !about.parameters.is_empty() {
        page.push_str("\n| Parameter | Values | Default | Meaning |\n|---|---|---|---|\n");
        for parameter in about.parameters {
            let Parameter {
                name,
                values,
                default,
                about,
            } = parameter;
            let default = default.unwrap_or("must be given");
            push(
                page,
                format_args!(
                    "| `{name}` | {} | {} | {} |\n",
                    cell(values),
                    cell(default),
                    cell(about)
                ),
            );
        }
    }
    push(page, format_args!("\n```yaml\n{}\n```\n", about.example));
}

fn port_row(port: &Port) -> [String; 3] {
    let optional = if port.required { "" } else { "optional: " };
    [
        port.name.into(),
        port.of.into(),
        format!("{optional}{}", port.about),
    ]
}

fn parameter_row(parameter: &Parameter) -> [String; 3] {
    let default = match parameter.default {
        Some(default) => format!("(default: {default})"),
        None => "(must be given)".into(),
    };
    [
        parameter.name.into(),
        parameter.values.replace('`', ""),
        format!("{} {default}", parameter.about.replace('`', "")),
    ]
}

/// A heading, and below it a name with its values on one line and its meaning on the next.
fn rows_of(text: &mut String, heading: &str, rows: &[[String; 3]]) {
    if rows.is_empty() {
        return;
    }
    let width = rows.iter().map(|[name, ..]| name.len()).max().unwrap_or(0);
    push(text, format_args!("\n{heading}\n"));
    for [name, values, meaning] in rows {
        push(text, format_args!("  {name:width$}  {values}\n"));
        push(text, format_args!("  {:width$}  {meaning}\n", ""));
    }
}

/// A paragraph as lines of a terminal's usual width.
fn wrapped(text: &mut String, paragraph: &str) {
    const WIDTH: usize = 100;
    let mut column = 0;
    for word in paragraph.replace('`', "").split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

/// A text as a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line)
        .expect("a String takes whatever is written");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_documentation_is_made_of_the_functions() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/functions.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, page()).expect("a page that can be written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == page(),
            "docs/functions.md is out of date: run cargo xtask docs"
        );
    }

    #[test]
    fn a_function_in_full_says_what_it_takes() {
        let text = detail("letterbox").expect("a function");
        for expected in [
            "letterbox: Fits a picture into a detector's input, and says how\n\n  (image: image) -> {image, geometry}\n",
            "\nInputs\n  image  image\n         the picture\n",
            "  stride  a whole number from 1 to 1024\n          what both sides are a multiple of (default: 32)\n",
            "\nExample\n  boxed: {function: letterbox,",
        ] {
            assert!(text.contains(expected), "{expected:?} in\n{text}");
        }
        assert_eq!(detail("no such function"), None);
    }

    #[test]
    fn the_list_has_every_function_and_its_signature() {
        let table = table();
        for native in all() {
            let About { name, summary, .. } = &native.about;
            let line = table
                .lines()
                .find(|line| line.split_whitespace().next() == Some(name));
            assert!(line.is_some_and(|line| line.ends_with(summary)), "{name}");
        }
        assert!(table.contains(
            "(rows: any, geometry?: {image_width, image_height, width, height}) -> boxes\n"
        ));
    }
}
