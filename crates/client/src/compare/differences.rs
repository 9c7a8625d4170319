//! In which respects two answers to the same request differ, for a client that reads them.

use hyper::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::compare::numbers::{Apart, apart};
use crate::http::Answer;

/// One respect.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    pub(super) what: String,
    pub(super) theirs: Value,
    pub(super) ours: Value,
}

impl Difference {
    pub(super) fn new(what: impl Into<String>, theirs: Value, ours: Value) -> Self {
        let what = what.into();
        Difference { what, theirs, ours }
    }

    /// `None` where the two are the same.
    pub(super) fn between(what: impl Into<String>, theirs: Value, ours: Value) -> Option<Self> {
        (theirs != ours).then(|| Difference::new(what, theirs, ours))
    }
}

/// Status, headers and body. A header that ours alone has is no difference: clients pass over what they do not know.
pub(super) fn of_answers(theirs: &Answer, ours: &Answer) -> Vec<Difference> {
    let mut found = Vec::new();
    let status = |answer: &Answer| json!(answer.status.as_u16());
    found.extend(Difference::between("status", status(theirs), status(ours)));
    let kind = |answer: &Answer| answer.content_type.as_deref().map(normal);
    let (there, here) = (json!(kind(theirs)), json!(kind(ours)));
    found.extend(Difference::between("content-type", there, here));
    for name in theirs.headers.keys() {
        if name == CONTENT_TYPE || PASSING.contains(&name.as_str()) {
            continue;
        }
        let value = |answer: &Answer| {
            let values = answer.headers.get_all(name).iter();
            let values: Vec<_> = values
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            (!values.is_empty()).then(|| values.join(", "))
        };
        let (there, here) = (json!(value(theirs)), json!(value(ours)));
        found.extend(Difference::between(format!("header {name}"), there, here));
    }
    found.extend(of_bodies(&theirs.body, &ours.body));
    found
}

/// Headers that belong to one connection, one request or one program.
const PASSING: [&str; 13] = [
    "age",
    "cache-control",
    "connection",
    "content-length",
    "date",
    "expires",
    "keep-alive",
    "pragma",
    "server",
    "transfer-encoding",
    "vary",
    "via",
    "x-request-id",
];

/// Without what two ways of writing one type differ in.
fn normal(content_type: &str) -> String {
    let lower = content_type.to_ascii_lowercase();
    lower
        .split(';')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(";")
}

fn of_bodies(theirs: &[u8], ours: &[u8]) -> Option<Difference> {
    if theirs == ours {
        return None;
    }
    let read = |body| serde_json::from_slice::<Value>(body);
    if let (Ok(there), Ok(here)) = (read(theirs), read(ours)) {
        let Apart {
            path,
            theirs,
            ours,
            places,
        } = apart(&there, &here)?;
        let what = match places {
            1 => format!("body {path}"),
            2 => format!("body {path} and 1 more place"),
            _ => format!("body {path} and {} more places", places - 1),
        };
        let shown = |value: Option<Value>| value.unwrap_or_else(|| "absent".into());
        return Some(Difference::new(what, shown(theirs), shown(ours)));
    }
    let at = theirs.iter().zip(ours).take_while(|(a, b)| a == b).count();
    Some(Difference::new(
        format!("body from byte {at}"),
        beginning(theirs, at),
        beginning(ours, at),
    ))
}

/// How long a body is, and if it is text, what stands at the place.
fn beginning(body: &[u8], at: usize) -> Value {
    const SHOWN: usize = 40;
    let length = body.len();
    let Ok(text) = std::str::from_utf8(body) else {
        return format!("{length} bytes").into();
    };
    // The place may lie inside a character, which then is the one that differs.
    let start = (0..=at.min(length))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    let rest = text[start.unwrap_or_default()..].chars();
    let shown: String = rest.take(SHOWN).collect();
    format!("{length} bytes, there `{}`", shown.escape_debug()).into()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::StatusCode;
    use hyper::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    /// An answer as `status | header: value | ... | body`.
    fn answer(text: &'static str) -> Answer {
        let mut parts: Vec<&str> = text.split(" | ").collect();
        let body = parts.pop().unwrap_or_default();
        let status = parts.remove(0).parse().expect("a status");
        let mut headers = HeaderMap::new();
        for part in parts {
            let (name, value) = part.split_once(": ").expect("a header");
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let content_type = headers.get(CONTENT_TYPE);
        Answer {
            status,
            content_type: content_type.map(|value| value.to_str().expect("text").to_owned()),
            headers,
            body: Bytes::from_static(body.as_bytes()),
            cut: false,
        }
    }

    fn check(theirs: &'static str, ours: &'static str, expected: &[&str]) {
        let found = of_answers(&answer(theirs), &answer(ours));
        let found: Vec<String> = found
            .iter()
            .map(|it| format!("{}: {} | {}", it.what, it.theirs, it.ours))
            .collect();
        assert_eq!(found, expected, "{theirs} and {ours}");
    }

    #[test]
    fn what_a_client_sees_counts() {
        assert_eq!(answer("200 | x").status, StatusCode::OK);
        check(
            "200 | date: now | x-request-id: 1 | [0.1, 2]",
            "200 | date: then | x-more: 1 | [0.100001,2]",
            &[],
        );
        check(
            "200 | content-type: text/plain;charset=UTF-8 | x",
            "200 | content-type: Text/Plain;  charset=utf-8 | x",
            &[],
        );
        check(
            "200 | content-type: text/plain | x-mode: a | x",
            "503 | {}",
            &[
                "status: 200 | 503",
                "content-type: \"text/plain\" | null",
                "header x-mode: \"a\" | null",
                "body from byte 0: \"1 bytes, there `x`\" | \"2 bytes, there `{}`\"",
            ],
        );
        check(
            "200 | {\"a\": [1, 2]}",
            "200 | {\"a\": [1, 3, 4]}",
            &["body $.a[1] and 1 more place: 2 | 3"],
        );
        check(
            "200 | käse",
            "200 | kühe",
            &["body from byte 2: \"5 bytes, there `äse`\" | \"5 bytes, there `ühe`\""],
        );
    }
}
