//! One problem as a person reads it: the sentence, the line of the spec, and a mark below the place.

use dag::{Place, Problem, Severity};
use unicode_width::UnicodeWidthChar as _;

use crate::paint::{Tone, paint, printable};

/// `FILE:LINE:COLUMN: error: …`, then the line of `spec` it is about with carets below the word at the place. Each line ends
/// with a line end.
pub fn excerpt(file: &str, spec: &str, problem: &Problem, colour: bool) -> String {
    let Place { line, column } = problem.place;
    let has_place = problem.place != Place::default();
    let mut place = file.to_owned();
    if has_place {
        place.push_str(&format!(":{line}:{column}"));
    }
    let (word, tone) = match problem.severity {
        Severity::Error => ("error:", Tone::Bad),
        Severity::Warning => ("warning:", Tone::Warn),
    };
    let mut text = format!(
        "{} {} {}\n",
        paint(&format!("{place}:"), Tone::Strong, colour),
        paint(word, tone, colour),
        printable(&sentence(problem)),
    );
    if let Some(source) = line
        .checked_sub(1)
        .and_then(|above| spec.lines().nth(above))
        && has_place
    {
        let number = line.to_string();
        let (shown, before, marked) = window(source, column);
        let bar = paint(&format!("{number} |"), Tone::Dim, colour);
        let below = paint(
            &format!("{} |", " ".repeat(number.len())),
            Tone::Dim,
            colour,
        );
        let carets = paint(&"^".repeat(marked), tone, colour);
        text.push_str(&format!("  {bar} {shown}\n"));
        text.push_str(&format!("  {below} {}{carets}\n", " ".repeat(before)));
    }
    text
}

/// What is wrong, without place and severity.
fn sentence(problem: &Problem) -> String {
    let bare = Problem {
        place: Place::default(),
        ..problem.clone()
    };
    let text = bare.to_string();
    match text.split_once(": ") {
        Some((_, sentence)) => sentence.to_owned(),
        None => text,
    }
}

/// The part of a line around a column (from 1, in characters) that is worth showing, how many columns of a terminal stand
/// before the place in it, and how many the word there takes.
fn window(line: &str, column: usize) -> (String, usize, usize) {
    // Tabs are as wide as the terminal likes, which the marks below could not follow.
    let all: Vec<char> = line
        .chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    let at = column.saturating_sub(1).min(all.len());
    let start = at.saturating_sub(BEFORE);
    let start = if start < MARGIN { 0 } else { start };
    let end = all.len().min(start + LONGEST);
    let width = |of: &[char]| of.iter().map(|c| c.width().unwrap_or(0)).sum::<usize>();
    let word = all[at..end]
        .iter()
        .take_while(|c| c.is_alphanumeric() || "_-./".contains(**c))
        .count();
    let (lead, tail) = (
        if start > 0 { "…" } else { "" },
        if end < all.len() { "…" } else { "" },
    );
    let shown: String = all[start..end].iter().collect();
    let shown = format!("{lead}{}{tail}", shown.trim_end());
    let before = width(&all[start..at]) + usize::from(start > 0);
    (shown, before, width(&all[at..at + word]).max(1))
}

/// The most of a line that is shown.
const LONGEST: usize = 160;
/// The most that is shown before the place.
const BEFORE: usize = 100;
/// It is not worth cutting less than this off.
const MARGIN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: usize, column: usize, severity: Severity) -> Problem {
        Problem {
            severity,
            place: Place { line, column },
            node: Some("a".to_owned()),
            field: None,
            message: "wrong".to_owned(),
        }
    }

    #[test]
    fn a_problem_shows_its_line_and_marks_the_word() {
        let check = |spec: &str, line, column, expected: &str| {
            let problem = problem(line, column, Severity::Error);
            assert_eq!(excerpt("f.yaml", spec, &problem, false), expected, "{spec}");
        };
        check(
            "x: 1\n  in: pictre\n",
            2,
            7,
            "f.yaml:2:7: error: `a`: wrong\n  2 |   in: pictre\n    |       ^^^^^^\n",
        );
        check(
            "模型: {x: \ty}",
            1,
            10,
            "f.yaml:1:10: error: `a`: wrong\n  1 | 模型: {x:  y}\n    |            ^\n",
        );
        // Behind the end of a line and of the file.
        check(
            "a",
            1,
            9,
            "f.yaml:1:9: error: `a`: wrong\n  1 | a\n    |  ^\n",
        );
        check("a", 7, 1, "f.yaml:7:1: error: `a`: wrong\n");
        check("\x1b[2J", 0, 0, "f.yaml: error: `a`: wrong\n");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let spec = format!("{}here{}", "x".repeat(500), "y".repeat(500));
        let text = excerpt("f", &spec, &problem(1, 501, Severity::Warning), false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "f:1:501: warning: `a`: wrong");
        let column = lines[2].find('^').expect("a mark");
        let shown: Vec<char> = lines[1].chars().collect();
        assert_eq!(shown[column..column + 4].iter().collect::<String>(), "here");
        assert!(lines[1].ends_with('…') && shown.len() < 180, "{}", lines[1]);
    }

    #[test]
    fn colours_are_for_terminals() {
        let text = excerpt("f", "a", &problem(1, 1, Severity::Error), true);
        assert!(text.contains("\x1b[1;31merror:\x1b[0m"), "{text:?}");
    }
}
