//! The graph of a pipeline: found in the model's settings or in a file that they name, checked, and refused with all that is
//! wrong with it.

use std::fs;

use dag::{Form, Giver, Graph, Kind, Options, Problem, check};
use functions::Functions;
use serde_yaml::Value as Yaml;
use servable::LoadError;

use crate::ModelContext;
use crate::parameters::Parameters;

/// The key that holds the graph, or names the file that does.
const KEY: &str = "pipeline";
/// The only model of the graph.
const NETWORK: &str = "network";

/// Reads the graph.
///
/// # Errors
///
/// Every mistake in one line, each with file, line and column, node and field.
pub(super) fn read(
    context: &ModelContext<'_>,
    parameters: &Parameters<'_>,
) -> Result<Graph, LoadError> {
    let text = Text::find(context, parameters)?;
    let options = Options {
        inside: text.inside,
        network: Some(NETWORK),
        ..Options::default()
    };
    let functions = Functions::within(context.decode_limits());
    let checked = check(&text.content, &functions, options);
    let Some(graph) = checked.graph else {
        let errors = checked.problems.iter().filter(|problem| problem.is_error());
        let errors: Vec<_> = errors.map(|error| text.told(error)).collect();
        return Err(LoadError::Invalid(errors.join("; ")));
    };
    if graph.form == Form::Classic {
        return Err(text.refuse("expected `nodes`, found the classic form, `dag`"));
    }
    if graph.answers.len() > 1 {
        return Err(
            text.refuse("`output` names several content types, and a handler has one answer")
        );
    }
    if let Some(entry) = graph
        .inputs
        .iter()
        .find(|entry| entry.from == Giver::Server)
    {
        let why = format!("input `{}`: `from: server` is for workflows", entry.name);
        return Err(text.refuse(&why));
    }
    let calls = |node: &dag::Node| matches!(node.kind, Kind::Model { .. });
    if !graph.nodes.iter().any(calls) {
        return Err(text.refuse(&format!("no node calls the model `{NETWORK}`")));
    }
    Ok(graph)
}

/// A document and where in it the graph stands.
struct Text {
    /// The file's name, for messages.
    name: String,
    content: String,
    inside: &'static [&'static str],
}

impl Text {
    fn find(context: &ModelContext<'_>, parameters: &Parameters<'_>) -> Result<Self, LoadError> {
        let place = format!("handler.{KEY}");
        let failed = |name: &str, error: std::io::Error| {
            LoadError::Invalid(format!("{name}: cannot be read: {error}"))
        };
        match parameters.anything(KEY) {
            Some(Yaml::String(name)) => {
                let path = parameters.file(KEY)?.ok_or_else(|| {
                    parameters.refuse(KEY, format!("the archive has no file `{name}`"))
                })?;
                Ok(Text {
                    content: fs::read_to_string(path).map_err(|error| failed(name, error))?,
                    name: name.clone(),
                    inside: &[],
                })
            }
            Some(section @ Yaml::Mapping(_)) => match context.config_file {
                Some(path) => {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    Ok(Text {
                        content: fs::read_to_string(path).map_err(|error| failed(&name, error))?,
                        name: name.into_owned(),
                        inside: &["handler", KEY],
                    })
                }
                // Settings that came from no file: lines are those of the section alone.
                None => Ok(Text {
                    content: serde_yaml::to_string(section)
                        .map_err(|error| LoadError::Invalid(format!("{place}: {error}")))?,
                    name: place,
                    inside: &[],
                }),
            },
            _ => Err(parameters.refuse(
                KEY,
                "expected a graph (`nodes: …`) or the name of a file of the archive that holds one",
            )),
        }
    }

    fn told(&self, problem: &Problem) -> String {
        format!("{}:{problem}", self.name)
    }

    fn refuse(&self, why: &str) -> LoadError {
        LoadError::Invalid(format!("{}: {why}", self.name))
    }
}
