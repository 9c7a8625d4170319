//! Conditions: comparisons, boolean words, arithmetic, `size()` and `has()` over the values of a run.
//!
//! Parsed and type-checked when a workflow is registered; evaluated by a run, without side effects and in bounded time.

mod evaluate;
mod lex;
mod parse;
mod types;

use servable::{Type, Value};

use crate::graph::{Place, Source};
use parse::Tree;

/// A condition that is known to give true or false, if the values it needs are what they are said to be.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    pub(crate) place: Place,
    pub(crate) sources: Vec<Source>,
    /// For each reference, which source it is of and what members of it are meant.
    references: Vec<Reference>,
    tree: Tree,
}

#[derive(Debug, Clone)]
struct Reference {
    /// As written.
    text: String,
    source: usize,
    path: Vec<String>,
}

/// A condition whose references nobody has looked up yet.
#[derive(Debug)]
pub(crate) struct Parsed {
    text: String,
    /// Each once, as written.
    pub(crate) references: Vec<String>,
    tree: Tree,
}

impl Parsed {
    /// # Errors
    ///
    /// What was expected and what was found, and where in the text.
    pub(crate) fn parse(text: &str) -> Result<Parsed, String> {
        let (tree, references) = parse::parse(text)?;
        Ok(Parsed {
            text: text.to_owned(),
            references,
            tree,
        })
    }

    /// With what each of the references means.
    pub(crate) fn resolve(
        self,
        place: Place,
        mut meaning: impl FnMut(&str) -> Source,
    ) -> Expression {
        let mut sources: Vec<Source> = Vec::new();
        let mut references = Vec::new();
        for text in self.references {
            // Members are looked up here, so that `has` can say that there are none.
            let (source, path) = match meaning(&text) {
                Source::Node { node, path } => (
                    Source::Node {
                        node,
                        path: Vec::new(),
                    },
                    path,
                ),
                other @ (Source::Request | Source::Part(_) | Source::Literal(_)) => {
                    (other, Vec::new())
                }
            };
            let known = sources.iter().position(|known| same(known, &source));
            let index = known.unwrap_or_else(|| {
                sources.push(source);
                sources.len() - 1
            });
            references.push(Reference {
                text,
                source: index,
                path,
            });
        }
        Expression {
            text: self.text,
            place,
            sources,
            references,
            tree: self.tree,
        }
    }
}

impl Expression {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the values come from that it needs, each once. Of nodes it is the whole output: the members are looked up
    /// when it is evaluated.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether it holds for these values, which stand in the order of [`Expression::sources`]. What was skipped is `None`.
    ///
    /// # Errors
    ///
    /// What is wrong with a value, in one line.
    pub fn evaluate(&self, values: &[Option<Value>]) -> Result<bool, String> {
        evaluate::evaluate(&self.tree, &self.references, values)
    }

    /// Whether it can be true or false for values of these types, one per source.
    pub(crate) fn check(&self, sources: &[Type]) -> Result<(), String> {
        let types = self.references.iter().map(|reference| {
            let of = sources.get(reference.source).cloned().unwrap_or_default();
            crate::check::member(&of, &reference.path)
        });
        let types: Vec<Type> = types.collect::<Result<_, String>>()?;
        types::check(&self.tree, &types)
    }
}

/// Whether two sources are the same one; members play no role here.
fn same(one: &Source, other: &Source) -> bool {
    match (one, other) {
        (Source::Request, Source::Request) => true,
        (Source::Part(one), Source::Part(other)) => one == other,
        (Source::Node { node: one, .. }, Source::Node { node: other, .. }) => one == other,
        (
            Source::Request | Source::Part(_) | Source::Node { .. } | Source::Literal(_),
            Source::Request | Source::Part(_) | Source::Node { .. } | Source::Literal(_),
        ) => false,
    }
}

#[cfg(test)]
mod tests;
