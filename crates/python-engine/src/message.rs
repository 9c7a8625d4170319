//! What is said to a worker and by it, whichever protocol carries it.

use std::borrow::Cow;

use servable::{Input, Part, Task, Value};

/// What a worker is to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Load<'l> {
    pub(crate) model: &'l str,
    /// The folder of the unpacked archive.
    pub(crate) folder: &'l str,
    pub(crate) batch_size: i32,
    pub(crate) handler: &'l str,
    pub(crate) gpu: Option<i32>,
    /// Empty for none.
    pub(crate) envelope: &'l str,
    pub(crate) limit_pixels: bool,
}

/// One request of a batch.
#[derive(Debug)]
pub(crate) struct Request<'r> {
    /// No two in a batch have the same.
    pub(crate) id: String,
    pub(crate) headers: Vec<(Cow<'r, str>, &'r str)>,
    pub(crate) parts: &'r [Part],
}

/// What a worker says of a batch, or of a load.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 200, or what has failed all of it.
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) predictions: Vec<Prediction>,
    /// Whether more answers to the same batch follow.
    pub(crate) more: bool,
}

/// The answer to one request, or a part of it.
#[derive(Debug)]
pub(crate) struct Prediction {
    pub(crate) id: String,
    pub(crate) content_type: String,
    pub(crate) status: i32,
    pub(crate) phrase: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) value: Value,
}

/// The header that says whether more of an answer will come.
pub(crate) const STREAM: &str = "ts_stream_next";

/// The header that says which of several functions is asked. The worker takes it away before a function sees it.
const FUNCTION: &str = "torchrelay-function";

/// The header by which a handler is asked for an explanation.
const EXPLAIN: &str = "explain";

impl Request<'_> {
    /// Has headers once more as most clients spell them, for a worker that tells upper from lower case.
    pub(crate) fn spell_headers(&mut self) {
        let spelt = self.headers.iter();
        let spelt = spelt.filter_map(|(name, value)| Some((Cow::from(spell(name)?), *value)));
        let spelt: Vec<_> = spelt.collect();
        self.headers.extend(spelt);
    }
}

impl Prediction {
    /// Whether its own header says that more will come.
    pub(crate) fn has_more(&self) -> bool {
        let header = self.headers.iter().find(|(name, _)| name == STREAM);
        header.is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"))
    }
}

/// The requests of a batch. Their ids are those of the inputs, made different where they are not.
pub(crate) fn requests(inputs: &[Input]) -> Vec<Request<'_>> {
    let mut requests: Vec<Request<'_>> = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.iter().enumerate() {
        let is_taken = requests.iter().any(|request| request.id == input.id);
        let id = if is_taken || input.id.is_empty() {
            format!("{}#{index}", input.id)
        } else {
            input.id.clone()
        };
        let mut headers: Vec<(Cow<'_, str>, &str)> = input
            .headers
            .iter()
            .map(|(name, value)| (Cow::from(name), value.as_str()))
            .collect();
        if input.task == Task::Explain && !headers.iter().any(|(name, _)| name == EXPLAIN) {
            headers.push((EXPLAIN.into(), "True"));
        }
        if let Some(function) = &input.function {
            // A client's own would say otherwise.
            headers.retain(|(name, _)| name != FUNCTION);
            headers.push((FUNCTION.into(), function));
        }
        requests.push(Request {
            id,
            headers,
            parts: &input.parts,
        });
    }
    requests
}

/// `X-Request-Id` of `x-request-id`: HTTP's names have no case and come without one, but handlers ask for them as they are
/// spelt by clients. Names that the server made itself (`explain`, `url_path`) are nobody's to spell.
fn spell(name: &str) -> Option<String> {
    const OURS: [&str; 2] = [EXPLAIN, "describe"];
    if OURS.contains(&name) || name.contains(|c: char| c == '_' || c.is_ascii_uppercase()) {
        return None;
    }
    let mut starts = true;
    let letters = name.chars().map(|c| {
        let letter = if starts { c.to_ascii_uppercase() } else { c };
        starts = c == '-';
        letter
    });
    Some(letters.collect())
}

/// Whether the answer to an input may be a value rather than the body of an answer over HTTP: whoever brings values, rather
/// than bytes as they came off a wire, can take them.
pub(crate) fn takes_values(input: &Input) -> bool {
    let is_raw = |part: &Part| matches!(part.value, Value::Bytes(_));
    input.typed || !input.parts.iter().all(is_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ids: &[&str], expected: &[&str]) {
        let inputs: Vec<Input> = ids
            .iter()
            .map(|id| Input {
                id: (*id).into(),
                ..Input::default()
            })
            .collect();
        let found: Vec<String> = requests(&inputs)
            .into_iter()
            .map(|request| request.id)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn ids_of_a_batch_differ() {
        check(&["a", "b"], &["a", "b"]);
        check(&["a", "a", "b", "a"], &["a", "a#1", "b", "a#3"]);
        check(&["", ""], &["#0", "#1"]);
        // What an id was made into may be another's own.
        check(&["a#1", "a", "a"], &["a#1", "a", "a#2"]);
    }

    #[test]
    fn who_asks_for_an_explanation_says_so_to_the_handler() {
        let input = Input {
            task: Task::Explain,
            headers: vec![("X-Foo".into(), "1".into())],
            ..Input::default()
        };
        let inputs = [input];
        assert_eq!(
            requests(&inputs)[0].headers,
            [("X-Foo".into(), "1"), ("explain".into(), "True")]
        );
    }

    #[test]
    fn headers_are_spelt_as_clients_spell_them() {
        let check = |name, expected: Option<&str>| assert_eq!(spell(name).as_deref(), expected);
        check("x-request-id", Some("X-Request-Id"));
        check("host", Some("Host"));
        check("explain", None);
        check("describe", None);
        check("url_path", None);
        check("X-Foo", None);
        let input = Input {
            headers: vec![
                ("x-foo".into(), "1".into()),
                ("explain".into(), "False".into()),
            ],
            ..Input::default()
        };
        let inputs = [input];
        let mut requests = requests(&inputs);
        requests[0].spell_headers();
        assert_eq!(
            requests[0].headers,
            [
                ("x-foo".into(), "1"),
                ("explain".into(), "False"),
                ("X-Foo".into(), "1")
            ]
        );
    }

    #[test]
    fn the_function_is_named_by_who_asks_and_by_no_client() {
        let header = |value: &str| (FUNCTION.to_owned(), value.to_owned());
        let input = |function: Option<&str>| Input {
            headers: vec![header("forged")],
            function: function.map(Into::into),
            ..Input::default()
        };
        let inputs = [input(Some("post")), input(None)];
        let requests = requests(&inputs);
        assert_eq!(requests[0].headers, [(FUNCTION.into(), "post")]);
        assert_eq!(requests[1].headers, [(FUNCTION.into(), "forged")]);
    }
}
