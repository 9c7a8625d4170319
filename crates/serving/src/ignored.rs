//! What of a request a model has no use for, where its archive says all that it takes.
//!
//! Clients of TorchServe may send more than a model looks at, so nothing is refused for it; it is told, in the log and to the
//! client.

use dag::nearest;
use servable::{Input, Part, Takes};

/// The header that names it.
pub(crate) const HEADER: &str = "x-ignored";
/// What a client has called its parts may be longer than anybody's headers.
const LONGEST: usize = 1000;

/// The names of parts that the model does not take, and what is wrong with each.
pub(crate) fn ignored(takes: &Takes, input: &Input) -> Vec<(String, String)> {
    let is_named = |name: &String| input.part(name).is_some_and(|part| !part.value.is_empty());
    // What stands in for an input need not have its name.
    let stands_in = takes.payload.as_ref().filter(|name| !is_named(name));
    let payload = stands_in.and_then(|_| input.payload());
    let counts = |part: &&Part| {
        let is_payload = payload.is_some_and(|payload| std::ptr::eq(payload, *part));
        !is_payload && !part.value.is_empty() && !takes.names.contains(&part.name)
    };
    let parts = input.parts.iter().filter(counts);
    let why = |part: &Part| {
        let near = nearest(&part.name, takes.names.iter().map(String::as_str));
        (
            part.name.clone(),
            format!("there is no input `{}`{near}", part.name),
        )
    };
    parts.map(why).collect()
}

/// The header for these names; `None` where there are none.
pub(crate) fn header(ignored: &[(String, String)]) -> Option<(String, String)> {
    let names: Vec<_> = ignored.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(",");
    // Names may hold what a header may not.
    let fit: String = names.escape_default().take(LONGEST).collect();
    (!names.is_empty()).then(|| (HEADER.to_owned(), fit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parts: &[(&str, &str)], expected: &[&str]) {
        let takes = Takes {
            names: vec!["image".into(), "order".into()],
            payload: Some("image".into()),
        };
        let part = |(name, text): &(&str, &str)| Part {
            name: (*name).into(),
            content_type: String::new(),
            value: (*text).into(),
        };
        let input = Input {
            parts: parts.iter().map(part).collect(),
            ..Input::default()
        };
        let found: Vec<_> = ignored(&takes, &input)
            .into_iter()
            .map(|(_, why)| why)
            .collect();
        assert_eq!(found, expected, "{parts:?}");
    }

    #[test]
    fn what_is_not_among_the_inputs_and_not_the_payload_is_told() {
        check(&[("data", "x"), ("order", "bgr")], &[]);
        check(&[("body", "x")], &[]);
        check(&[("image", "x"), ("order", "bgr")], &[]);
        check(
            &[("data", "x"), ("ordr", "bgr"), ("type", "")],
            &["there is no input `ordr`; nearest is `order`"],
        );
        check(
            &[("image", "x"), ("data", "y")],
            &["there is no input `data`; known are `image` and `order`"],
        );
    }

    #[test]
    fn a_header_holds_any_name_and_no_more_than_it_may() {
        let named = |name: &str| (name.to_owned(), String::new());
        assert_eq!(header(&[]), None);
        let found = header(&[named("a"), named("ö\n")]).expect("a header");
        assert_eq!(found, ("x-ignored".into(), "a,\\u{f6}\\n".into()));
        let long = header(&[named(&"x".repeat(5000))]).expect("a header");
        assert_eq!(long.1.len(), LONGEST);
    }
}
