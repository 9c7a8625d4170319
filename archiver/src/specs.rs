//! What is wrong with a workflow's spec, in the daemon's own words. Its models need not be there.

use archive::HandlerFile;
use dag::{Options, Problem, Python};
use functions::Functions;

/// Errors and warnings, by their places. Functions in Python are looked for in the text of the handler file.
pub(crate) fn problems(spec: &str, handler: Option<&HandlerFile>) -> Vec<Problem> {
    let options = Options {
        python: handler.map(|handler| Python {
            file: &handler.name,
            functions: &handler.functions,
        }),
        ..Options::default()
    };
    dag::check(spec, &Functions::default(), options).problems
}
