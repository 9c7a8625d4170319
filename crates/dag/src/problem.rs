//! What is wrong with a spec: each mistake with its place, all of them at once.

use std::fmt;

use crate::graph::Place;

/// One thing that a person should mend, or at least know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// Line and column; zeros where a problem has none.
    pub place: Place,
    /// The node, model or function it is about.
    pub node: Option<String>,
    /// The key it is about.
    pub field: Option<String>,
    /// Expected and found, in one line.
    pub message: String,
}

/// Whether a workflow can run in spite of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

impl Problem {
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// `12:7: error: node `boxes`, field `in`: no node or input is called `pictrue`; nearest is `picture``. Callers put the
/// name of the file before it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place != Place::default() {
            write!(f, "{}:{}: ", self.place.line, self.place.column)?;
        }
        f.write_str(match self.severity {
            Severity::Error => "error: ",
            Severity::Warning => "warning: ",
        })?;
        match (&self.node, &self.field) {
            (Some(node), Some(field)) => write!(f, "`{node}`, field `{field}`: ")?,
            (Some(node), None) => write!(f, "`{node}`: ")?,
            (None, Some(field)) => write!(f, "field `{field}`: ")?,
            (None, None) => {}
        }
        f.write_str(&self.message)
    }
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Problem>);

impl Report {
    pub(crate) fn error(&mut self, at: About<'_>, message: impl Into<String>) {
        self.push(Severity::Error, at, message.into());
    }

    pub(crate) fn warning(&mut self, at: About<'_>, message: impl Into<String>) {
        self.push(Severity::Warning, at, message.into());
    }

    fn push(&mut self, severity: Severity, at: About<'_>, message: String) {
        // A bomb of a spec cannot have more to say than a person can read.
        if self.0.len() < MOST {
            self.0.push(Problem {
                severity,
                place: at.place,
                node: at.node.map(str::to_owned),
                field: at.field.map(str::to_owned),
                message,
            });
        }
    }

    /// [`nearest`], while anybody will read it.
    pub(crate) fn nearest<'n>(
        &self,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> String {
        if self.0.len() < MOST {
            nearest(name, known)
        } else {
            String::new()
        }
    }

    pub(crate) fn failed(&self) -> bool {
        self.0.iter().any(Problem::is_error)
    }

    /// By line and column.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        self.0.sort_by_key(|problem| problem.place);
        self.0.dedup();
        self.0
    }
}

const MOST: usize = 200;

/// What a problem is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    place: Place,
    node: Option<&'a str>,
    field: Option<&'a str>,
}

impl<'a> About<'a> {
    pub(crate) fn at(place: Place) -> Self {
        About {
            place,
            node: None,
            field: None,
        }
    }

    pub(crate) fn node(self, node: &'a str) -> Self {
        About {
            node: Some(node),
            ..self
        }
    }

    pub(crate) fn field(self, field: &'a str) -> Self {
        About {
            field: Some(field),
            ..self
        }
    }

    pub(crate) fn place(self, place: Place) -> Self {
        About { place, ..self }
    }
}

/// `; nearest is `detector`` where one of the names is so near that it may have been meant, else the names themselves where
/// they are few.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.into_iter().take(MOST_NAMES).collect();
    let near = known
        .iter()
        .filter(|known| name.len() <= LONGEST_NAME && known.len() <= LONGEST_NAME)
        .map(|known| (strsim::damerau_levenshtein(name, known), *known))
        .filter(|(distance, known)| {
            *distance <= name.chars().count().max(known.chars().count()) / 3
                || name.eq_ignore_ascii_case(known)
        })
        .min();
    match near {
        Some((_, near)) => format!("; nearest is `{near}`"),
        None if known.is_empty() || known.len() > FEW => String::new(),
        None => format!("; known are {}", list(&known)),
    }
}

const FEW: usize = 12;
/// Distances are costly, and a spec may be made to ask for many.
const MOST_NAMES: usize = 500;
const LONGEST_NAME: usize = 40;

/// `` `a`, `b` and `c` ``
pub(crate) fn list<T: AsRef<str>>(names: &[T]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        match index {
            0 => {}
            _ if index + 1 == names.len() => text.push_str(" and "),
            _ => text.push_str(", "),
        }
        text.push('`');
        text.push_str(name.as_ref());
        text.push('`');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_one_line() {
        let mut report = Report::default();
        let place = Place { line: 3, column: 7 };
        report.error(About::at(place).node("a").field("in"), "wrong");
        report.warning(About::at(Place::default()), "odd");
        let lines: Vec<_> = report
            .into_problems()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            ["warning: odd", "3:7: error: `a`, field `in`: wrong"]
        );
    }

    #[test]
    fn the_nearest_name_is_told_only_if_it_is_near() {
        let check = |name, expected| {
            assert_eq!(
                nearest(name, ["resize", "merge", "nms"]),
                expected,
                "{name}"
            );
        };
        check("rezise", "; nearest is `resize`");
        check("NMS", "; nearest is `nms`");
        check("classify", "; known are `resize`, `merge` and `nms`");
        assert_eq!(nearest("a", []), "");
    }
}
