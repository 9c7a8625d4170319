//! Standard output: for a person if it is a terminal, else for a file or a script.

use std::io::{self, IsTerminal as _, Write};

use serde_json::Value;

use crate::error::Error;
use crate::text::Line;

pub(crate) struct Output {
    out: io::Stdout,
    pub(crate) is_terminal: bool,
    pub(crate) colour: bool,
}

impl Output {
    /// Colour is for terminals, and for those alone that did not say `NO_COLOR`.
    pub(crate) fn standard(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        let refused = env("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env("TERM").is_some_and(|value| value == "dumb");
        Output {
            out,
            is_terminal,
            colour: is_terminal && !refused && !dumb,
        }
    }

    pub(crate) fn lines(&mut self, lines: &[Line]) -> Result<(), Error> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.paint(self.colour));
            text.push('\n');
        }
        self.bytes(text.as_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes)?;
        self.out.flush()?;
        Ok(())
    }

    /// A document as the server writes its own: indented by two.
    pub(crate) fn json(&mut self, document: &Value) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(document).unwrap_or_default();
        self.bytes(format!("{text}\n").as_bytes())
    }
}
