//! The last that a worker said, for those who want to know what it died of.

/// The longest line that is kept.
const MOST: usize = 300;

#[derive(Debug, Default)]
pub(super) struct Tail {
    out: String,
    err: String,
}

impl Tail {
    pub(super) fn note(&mut self, line: &str, is_error: bool) {
        // Lines of a traceback that are indented say where, not what.
        if line.starts_with(char::is_whitespace) || line.trim().is_empty() {
            return;
        }
        let kept = if is_error {
            &mut self.err
        } else {
            &mut self.out
        };
        kept.clear();
        kept.extend(line.trim_end().chars().take(MOST));
    }

    /// The last line of the errors, or else of the rest.
    pub(super) fn last_words(&self) -> Option<String> {
        let said = [&self.err, &self.out]
            .into_iter()
            .find(|line| !line.is_empty());
        said.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[(&str, bool)], expected: Option<&str>) {
        let mut tail = Tail::default();
        for (line, is_error) in lines {
            tail.note(line, *is_error);
        }
        assert_eq!(tail.last_words().as_deref(), expected);
    }

    #[test]
    fn the_last_words_are_errors_if_there_are_any() {
        check(&[], None);
        check(&[("a", false), ("b", false)], Some("b"));
        check(
            &[
                ("Traceback:", true),
                ("KeyError: 'x'", true),
                ("done", false),
            ],
            Some("KeyError: 'x'"),
        );
        check(
            &[
                ("Fatal Python error: Aborted", true),
                ("  File \"h.py\", line 3", true),
            ],
            Some("Fatal Python error: Aborted"),
        );
    }
}
