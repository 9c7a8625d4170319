//! The last that a worker said, for those who want to know what it died of.

/// The longest line that is kept.
const MOST: usize = 300;

/// How Python begins its own report of a crash, which goes on with every thread's place.
const FATAL: &str = "Fatal Python error";

/// What the report has beside places; the thread that crashed is the current one.
const CURRENT: &str = "Current thread ";
const OTHERS: [&str; 2] = ["Thread ", "Extension modules: "];

#[derive(Debug, Default)]
pub(super) struct Tail {
    out: String,
    err: String,
    crash: Crash,
}

/// How much of a report of a crash has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Crash {
    #[default]
    None,
    /// Its first line.
    Told,
    /// The next place is where it happened.
    Here,
}

impl Tail {
    pub(super) fn note(&mut self, line: &str, is_error: bool) {
        if is_error && self.crash != Crash::None && self.is_of_crash(line) {
            return;
        }
        // Lines of a traceback that are indented say where, not what.
        if line.starts_with(char::is_whitespace) || line.trim().is_empty() {
            return;
        }
        if is_error {
            let is_crash = line.starts_with(FATAL);
            self.crash = if is_crash { Crash::Told } else { Crash::None };
        }
        let kept = if is_error {
            &mut self.err
        } else {
            &mut self.out
        };
        kept.clear();
        kept.extend(line.trim_end().chars().take(MOST));
    }

    /// Takes the place of the crash from its report. Returns whether the line is of that.
    fn is_of_crash(&mut self, line: &str) -> bool {
        if line.starts_with(char::is_whitespace) {
            let place = line.trim();
            if self.crash == Crash::Here && place.starts_with("File ") {
                self.err.extend(format!(", {place}").chars().take(MOST));
                self.crash = Crash::Told;
            }
            return true;
        }
        if line.starts_with(CURRENT) {
            self.crash = Crash::Here;
            return true;
        }
        OTHERS.iter().any(|begin| line.starts_with(begin))
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
        check(
            &[
                ("Fatal Python error: Segmentation fault", true),
                ("Thread 0x00007f (most recent call first):", true),
                ("  File \"watch.py\", line 28 in _run", true),
                ("Current thread 0x00008f (most recent call first):", true),
                ("  File \"h.py\", line 3 in handle", true),
                ("  File \"service.py\", line 38 in predict", true),
                ("Extension modules: yaml._yaml (total: 1)", true),
            ],
            Some("Fatal Python error: Segmentation fault, File \"h.py\", line 3 in handle"),
        );
        check(
            &[("Fatal Python error: x", true), ("bye", true)],
            Some("bye"),
        );
    }
}
