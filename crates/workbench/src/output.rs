//! Standard output: for a person if it is a terminal, else for a file or a script.

use std::io::{self, IsTerminal as _, Write};

use serde_json::Value;

use crate::error::Error;

pub(crate) struct Output {
    out: io::Stdout,
    pub(crate) colour: bool,
}

/// Colour is for terminals, and for those alone that did not say `NO_COLOR`.
pub fn wants_colour(is_terminal: bool, env: &dyn Fn(&str) -> Option<String>) -> bool {
    let refused = env("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env("TERM").is_some_and(|value| value == "dumb");
    is_terminal && !refused && !dumb
}

impl Output {
    pub(crate) fn standard(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let out = io::stdout();
        Output {
            colour: wants_colour(out.is_terminal(), env),
            out,
        }
    }

    /// Text with its line ends.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Error> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()?;
        Ok(())
    }

    /// A document, indented by two.
    pub(crate) fn json(&mut self, document: &Value) -> Result<(), Error> {
        self.text(&format!("{document:#}\n"))
    }
}
