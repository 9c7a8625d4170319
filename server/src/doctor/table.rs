//! The table: verdict, name, and what there is to say in lines that fit, what to do behind an arrow.

use unicode_width::UnicodeWidthStr as _;
use workbench::{Tone, paint};

use super::finding::Finding;

/// Columns that a line takes at most, but for a word that is longer than its column.
const WIDTH: usize = 100;

/// The most that names take before what is said of them moves to the next line.
const NAMES: usize = 28;

/// One line or more for each finding, in their order, below a line of titles.
pub(super) fn text(findings: &[Finding], colour: bool) -> String {
    if findings.is_empty() {
        return "Nothing is there to look at.\n".to_owned();
    }
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
    let verdicts = widest(&mut findings.iter().map(|it| it.verdict.words().width()));
    let verdicts = verdicts.max("VERDICT".len());
    let names = widest(&mut findings.iter().map(|it| it.name.width()));
    let names = names.clamp("NAME".len(), NAMES);
    let left = verdicts + 2 + names + 2;
    let room = WIDTH - left;
    let mut text = format!(
        "{}  {}  {}\n",
        paint(&padded("VERDICT", verdicts), Tone::Strong, colour),
        paint(&padded("NAME", names), Tone::Strong, colour),
        paint("SAYS", Tone::Strong, colour)
    );
    for finding in findings {
        let words = padded(finding.verdict.words(), verdicts);
        let name = padded(&finding.name, names);
        let mut said: Vec<(String, Option<Tone>)> = Vec::new();
        said.extend(wrapped(&finding.says, room).map(|line| (line, None)));
        let todo = finding.todo.iter().map(|todo| format!("→ {todo}"));
        let notes = finding.notes.iter().map(|note| format!("note: {note}"));
        for (extra, tone) in todo
            .map(|it| (it, Tone::Strong))
            .chain(notes.map(|it| (it, Tone::Dim)))
        {
            let lines = wrapped(&extra, room - 2).enumerate();
            said.extend(lines.map(|(at, line)| {
                let lead = if at == 0 { "" } else { "  " };
                (format!("{lead}{line}"), Some(tone))
            }));
        }
        // A long name has its line to itself.
        if finding.name.width() > names || said.is_empty() {
            said.insert(0, (String::new(), None));
        }
        for (at, (line, tone)) in said.into_iter().enumerate() {
            let line = match tone {
                Some(tone) => paint(&line, tone, colour),
                None => paint(&line, Tone::Strong, false),
            };
            let whole = match at {
                0 => format!(
                    "{}  {}  {line}",
                    paint(&words, finding.verdict.tone(), colour),
                    paint(&name, Tone::Strong, false)
                ),
                _ => format!("{}{line}", " ".repeat(left)),
            };
            text.push_str(whole.trim_end());
            text.push('\n');
        }
    }
    text
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Lines of whole words; a word that does not fit into a line is cut.
fn wrapped(text: &str, width: usize) -> impl Iterator<Item = String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for letter in word.chars() {
            if line.width() >= width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(letter);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_words() {
        let check = |text: &str, width, expected: &[&str]| {
            let found: Vec<String> = wrapped(text, width).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("one two three", 7, &["one two", "three"]);
        check("one two three", 100, &["one two three"]);
        check("", 5, &[]);
        check("a abcdefgh i", 4, &["a", "abcd", "efgh", "i"]);
    }
}
