//! Lines of text with tones, cut to a width and painted for a terminal. Nothing that a server says reaches the terminal
//! as a control character.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What a piece of text is to the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
        }
    }
}

/// A line without its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line(Vec<(Tone, String)>);

impl Line {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Line::default().and(Tone::Plain, text)
    }

    /// The line with more text behind.
    pub(crate) fn and(mut self, tone: Tone, text: impl AsRef<str>) -> Self {
        self.push(tone, text);
        self
    }

    pub(crate) fn push(&mut self, tone: Tone, text: impl AsRef<str>) {
        self.0.push((tone, printable(text.as_ref())));
    }

    /// The same text, all of it in one tone.
    pub(crate) fn toned(self, tone: Tone) -> Self {
        Line(self.0.into_iter().map(|(_, text)| (tone, text)).collect())
    }

    /// What fits into so many columns.
    pub(crate) fn cut(self, width: usize) -> Self {
        let mut left = width;
        let mut kept = Vec::new();
        for (tone, text) in self.0 {
            let part = beginning(&text, left);
            left -= part.width();
            let whole = part.len() == text.len();
            kept.push((tone, part.to_owned()));
            if !whole {
                break;
            }
        }
        Line(kept)
    }

    /// The text, with escape codes if `colour`. Blanks at the end are dropped.
    pub(crate) fn paint(&self, colour: bool) -> String {
        let mut out = String::new();
        for (tone, text) in &self.0 {
            match tone.code() {
                code if colour && !code.is_empty() && !text.trim().is_empty() => {
                    out.push_str(&format!("\x1b[{code}m{text}\x1b[0m"));
                }
                _ => out.push_str(text),
            }
        }
        out.truncate(out.trim_end_matches(' ').len());
        out
    }
}

/// The text with a substitute for every control character.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// As much of the text as fits, with a mark where something is missing.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    match width {
        0 => String::new(),
        width => format!("{}…", beginning(text, width - 1)),
    }
}

fn beginning(text: &str, width: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += c.width().unwrap_or(0);
        taken > width
    });
    end.map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_painted() {
        let line = Line::new("ab ")
            .and(Tone::Bad, "käse")
            .and(Tone::Plain, "  ");
        assert_eq!(line.paint(false), "ab käse");
        assert_eq!(line.paint(true), "ab \x1b[31mkäse\x1b[0m");
        assert_eq!(line.clone().cut(5).paint(true), "ab \x1b[31mkä\x1b[0m");
        assert_eq!(line.clone().cut(2).paint(true), "ab");
        assert_eq!(line.cut(0).paint(true), "");
    }

    #[test]
    fn wide_letters_take_two_columns_and_no_control_character_gets_through() {
        assert_eq!(shortened("模型模型", 8), "模型模型");
        assert_eq!(shortened("模型模型", 7), "模型模…");
        assert_eq!(shortened("模型模型", 6), "模型…");
        assert_eq!(shortened("abc", 0), "");
        assert_eq!(
            Line::new("a\x1b[2Jb\n").paint(true),
            "a\u{fffd}[2Jb\u{fffd}"
        );
    }
}
