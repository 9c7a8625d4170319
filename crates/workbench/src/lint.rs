//! `lint`: everything that is wrong with specs.

use dag::Problem;
use serde_json::{Value, json};

use crate::args::Lint;
use crate::error::Error;
use crate::excerpt::excerpt;
use crate::output::Output;
use crate::paint::{Tone, paint};
use crate::sources::{self, Source};
use crate::stored::Stored;

pub(crate) fn run(args: &Lint, output: &mut Output) -> Result<(), Error> {
    let mut paths = Vec::new();
    for path in &args.files {
        paths.extend(sources::all(path)?);
    }
    let mut total = Total::default();
    let mut documents = Vec::new();
    for path in &paths {
        let checked = sources::one(path).map(|source| {
            let checked = source.check();
            let mut problems = checked.problems;
            let stored = Stored::of(path, &source, args.model_store.as_deref());
            if let (Some(graph), Some(stored)) = (&checked.graph, stored) {
                problems.extend(stored.missing(graph));
                problems.sort_by_key(|problem| problem.place);
            }
            (source, problems)
        });
        match checked {
            Ok((source, problems)) => {
                total.count(&problems);
                if args.json {
                    documents.push(document(&source, &problems));
                } else {
                    for problem in &problems {
                        let text = excerpt(&source.file, &source.text, problem, output.colour);
                        output.text(&text)?;
                    }
                }
            }
            // One file of many that is no workflow hides none of the others.
            Err(Error::Archive(error)) => {
                total.files += 1;
                total.errors += 1;
                if args.json {
                    let problem = json!({"severity": "error", "line": null, "column": null, "node": null,
                        "field": null, "message": error.to_string()});
                    documents
                        .push(json!({"file": path.display().to_string(), "problems": [problem]}));
                } else {
                    let word = paint("error:", Tone::Bad, output.colour);
                    output.text(&format!("{word} {error}\n"))?;
                }
            }
            Err(other) => return Err(other),
        }
    }
    if args.json {
        output.json(&json!({
            "files": documents,
            "errors": total.errors,
            "warnings": total.warnings,
        }))?;
    } else {
        output.text(&total.line(output.colour))?;
    }
    let fails = total.errors > 0 || (args.warnings_are_errors && total.warnings > 0);
    if fails { Err(Error::Told) } else { Ok(()) }
}

#[derive(Debug, Default)]
struct Total {
    files: usize,
    errors: usize,
    warnings: usize,
}

impl Total {
    fn count(&mut self, problems: &[Problem]) {
        let errors = problems.iter().filter(|problem| problem.is_error()).count();
        self.files += 1;
        self.errors += errors;
        self.warnings += problems.len() - errors;
    }

    /// `3 workflows: 1 error, 2 warnings`
    fn line(&self, colour: bool) -> String {
        let many = |count: usize, word: &str| {
            let end = if count == 1 { "" } else { "s" };
            format!("{count} {word}{end}")
        };
        let (found, tone) = match (self.errors, self.warnings) {
            (0, 0) => ("nothing is wrong".to_owned(), Tone::Good),
            (0, warnings) => (many(warnings, "warning"), Tone::Warn),
            (errors, 0) => (many(errors, "error"), Tone::Bad),
            (errors, warnings) => (
                format!("{}, {}", many(errors, "error"), many(warnings, "warning")),
                Tone::Bad,
            ),
        };
        let files = many(self.files, "workflow");
        format!("{files}: {}\n", paint(&found, tone, colour))
    }
}

fn document(source: &Source, problems: &[Problem]) -> Value {
    let problems: Vec<Value> = problems.iter().map(problem_json).collect();
    json!({"file": source.file, "problems": problems})
}

fn problem_json(problem: &Problem) -> Value {
    let place = |number: usize| (number > 0).then_some(number);
    json!({
        "severity": if problem.is_error() { "error" } else { "warning" },
        "line": place(problem.place.line),
        "column": place(problem.place.column),
        "node": problem.node,
        "field": problem.field,
        "message": problem.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let check = |files, errors, warnings, expected: &str| {
            let total = Total {
                files,
                errors,
                warnings,
            };
            assert_eq!(total.line(false), format!("{expected}\n"));
        };
        check(1, 0, 0, "1 workflow: nothing is wrong");
        check(2, 0, 1, "2 workflows: 1 warning");
        check(1, 2, 0, "1 workflow: 2 errors");
        check(3, 1, 2, "3 workflows: 1 error, 2 warnings");
    }
}
