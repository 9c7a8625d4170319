//! Text with tones for a terminal. Nothing that a file says reaches the terminal as a control character.

/// What a piece of text is to the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
}

/// The text in a tone, with escape codes if `colour`.
pub fn paint(text: &str, tone: Tone, colour: bool) -> String {
    let text = printable(text);
    if !colour || text.is_empty() {
        return text;
    }
    let code = match tone {
        Tone::Strong => "1",
        Tone::Dim => "2",
        Tone::Good => "1;32",
        Tone::Warn => "1;33",
        Tone::Bad => "1;31",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// The text with a substitute for every control character.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
