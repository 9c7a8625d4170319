//! `functions`: what native functions there are, and what is to be known of one.

use std::fmt::Write as _;

use dag::{About, Catalogue as _};
use functions::Functions;
use serde_json::{Value, json};

use crate::error::Error;
use crate::output::Output;
use crate::paint::{Tone, paint, printable};

pub(crate) fn run(name: Option<&str>, as_json: bool, output: &mut Output) -> Result<(), Error> {
    let Some(name) = name else {
        let all: Vec<&About> = all().collect();
        if as_json {
            let all: Vec<Value> = all.into_iter().map(document).collect();
            return output.json(&Value::Array(all));
        }
        let text: Vec<String> = all
            .iter()
            .map(|about| entry(about, output.colour))
            .collect();
        return output.text(&text.join("\n"));
    };
    let Some(function) = Functions::default().find(name) else {
        return Err(Error::Usage(unknown(name)));
    };
    if as_json {
        output.json(&document(function.about()))
    } else {
        output.text(&page(function.about(), output.colour))
    }
}

fn all() -> impl Iterator<Item = &'static About> {
    let names = Functions::default().names().into_iter();
    names.filter_map(|name| {
        Functions::default()
            .find(name)
            .map(|function| function.about())
    })
}

fn unknown(name: &str) -> String {
    let near = Functions::default()
        .names()
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().max(name.len()) / 3)
        .map(|(_, known)| format!("; nearest is `{known}`"))
        .unwrap_or_else(|| "; `torchrelay functions` lists them".to_owned());
    format!("there is no function `{}`{near}", printable(name))
}

/// The default of what is switched off where it is left out.
const NONE: &str = "none";

/// A few lines of the list.
fn entry(about: &About, colour: bool) -> String {
    let mut inputs: Vec<String> = about
        .inputs
        .iter()
        .map(|port| {
            let optional = if port.required { "" } else { "?" };
            format!("{}{optional}: {}", port.name, port.of)
        })
        .collect();
    if about.open {
        inputs.push("…".to_owned());
    }
    let mut text = format!(
        "{}({}) → {}\n    {}\n",
        paint(about.name, Tone::Strong, colour),
        inputs.join(", "),
        about.output,
        about.summary
    );
    for parameter in about.parameters {
        let default = match parameter.default {
            None => " (required)".to_owned(),
            Some(NONE) => String::new(),
            Some(default) => format!(" = {default}"),
        };
        let _ = writeln!(
            text,
            "    {}: {}{default}",
            parameter.name,
            plain(parameter.values)
        );
    }
    text
}

/// All there is to know.
fn page(about: &About, colour: bool) -> String {
    let title = |word: &str| paint(word, Tone::Strong, colour);
    let mut text = format!("{}: {}\n", title(about.name), about.summary);
    let mut inputs: Vec<[String; 4]> = about
        .inputs
        .iter()
        .map(|port| {
            [
                port.name.to_owned(),
                port.of.to_owned(),
                if port.required { "" } else { "optional" }.to_owned(),
                plain(port.about),
            ]
        })
        .collect();
    if about.open {
        let any = ["…", "any", "", "further inputs under any name"];
        inputs.push(any.map(str::to_owned));
    }
    let parameters: Vec<[String; 4]> = about
        .parameters
        .iter()
        .map(|parameter| {
            let default = match parameter.default {
                None => "required".to_owned(),
                Some(NONE) => "optional".to_owned(),
                Some(default) => format!("= {default}"),
            };
            [
                parameter.name.to_owned(),
                plain(parameter.values),
                default,
                plain(parameter.about),
            ]
        })
        .collect();
    for (word, rows) in [("Takes", inputs), ("With", parameters)] {
        if !rows.is_empty() {
            let _ = write!(text, "\n{}\n{}", title(word), columns(&rows));
        }
    }
    let _ = write!(text, "\n{}\n  {}\n", title("Gives"), about.output);
    if !about.details.is_empty() {
        let _ = write!(text, "\n{}\n", wrapped(about.details));
    }
    let _ = write!(text, "\n{}\n", title("Example"));
    for line in about.example.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// Rows whose columns are aligned. What is too long for the second has the rest on a line of its own.
fn columns(rows: &[[String; 4]]) -> String {
    const WIDEST: usize = 48;
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    let (names, values, defaults) = (width(0), width(1), width(2));
    let mut text = String::new();
    for [name, value, default, about] in rows {
        let mut line = format!("  {name:names$}  {value:values$}");
        if value.chars().count() > WIDEST {
            let _ = writeln!(text, "{line}");
            line = " ".repeat(4 + names + values);
        }
        line.push_str(&format!("  {default:defaults$}  {about}"));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Lines that fit a terminal.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut lines = Vec::new();
    for long in text.lines() {
        let mut line = String::new();
        for word in long.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
                let indent = if long.starts_with("- ") { "  " } else { "" };
                lines.push(std::mem::replace(&mut line, indent.to_owned()));
                line.push_str(word);
                continue;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// Markdown's marks are for pages.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

fn document(about: &About) -> Value {
    let inputs: Vec<Value> = about
        .inputs
        .iter()
        .map(|port| {
            json!({"name": port.name, "type": port.of, "required": port.required, "about": port.about})
        })
        .collect();
    let parameters: Vec<Value> = about
        .parameters
        .iter()
        .map(|parameter| {
            json!({
                "name": parameter.name,
                "values": parameter.values,
                "required": parameter.default.is_none(),
                "default": parameter.default,
                "about": parameter.about,
            })
        })
        .collect();
    json!({
        "name": about.name,
        "summary": about.summary,
        "details": about.details,
        "inputs": inputs,
        "takesAnyInputs": about.open,
        "parameters": parameters,
        "output": about.output,
        "example": about.example,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_an_entry_and_a_page_with_all_its_names() {
        assert!(all().count() > 2);
        for about in all() {
            let (entry, page) = (entry(about, false), page(about, false));
            let ports = about.inputs.iter().map(|port| port.name);
            let parameters = about.parameters.iter().map(|parameter| parameter.name);
            for name in ports.chain(parameters).chain([about.name, about.output]) {
                assert!(entry.contains(name), "{name}: {entry}");
                assert!(page.contains(name), "{name}: {page}");
            }
        }
    }

    #[test]
    fn long_lines_are_wrapped_and_lists_stay_lists() {
        let word = "word ".repeat(15);
        let (word, expected) = (word.trim(), "- one\n\n- word");
        let text = wrapped(&format!("- one\n\n- {word} and {word}"));
        assert!(text.starts_with(expected), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
        assert!(
            text.lines().last().expect("a line").starts_with("  word"),
            "{text}"
        );
        assert_eq!(text.split_whitespace().count(), 2 + 1 + 15 + 1 + 15);
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest() {
        assert_eq!(
            unknown("rezise"),
            "there is no function `rezise`; nearest is `resize`"
        );
        assert_eq!(
            unknown("x"),
            "there is no function `x`; `torchrelay functions` lists them"
        );
    }
}
