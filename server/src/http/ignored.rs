//! `x-ignored`: what of a request nothing looked at.

use axum::http::{HeaderName, HeaderValue, Uri};
use axum::response::Response;
use tracing::info;

/// Parts of the request that nothing has a use for.
pub(super) const IGNORED: HeaderName = HeaderName::from_static("x-ignored");

/// The names in a query, each once.
pub(super) fn query_names(uri: &Uri) -> Vec<String> {
    let query = uri.query().unwrap_or_default();
    let mut names: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, _)| name.into_owned())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Adds names of the query to those that are ignored already, and tells the log.
pub(super) fn tell_query(response: &mut Response, who: &str, names: &[String]) {
    for name in names {
        info!("{who}: the query is not handed on, and with it `{name}`: send it as a form field");
    }
    let before = response.headers().get(IGNORED);
    let before = before.and_then(|names| names.to_str().ok());
    let before: Vec<String> = before.map(str::to_owned).into_iter().collect();
    if let Some(names) = listed(&[&before, names].concat()) {
        response.headers_mut().insert(IGNORED, names);
    }
}

/// Names as a header has them; `None` where there are none.
pub(super) fn listed(names: &[String]) -> Option<HeaderValue> {
    /// What a client has called its parts may be longer than anybody's headers.
    const LONGEST: usize = 1000;
    if names.is_empty() {
        return None;
    }
    let names = names.join(",");
    let names: String = names.chars().take(LONGEST).collect();
    // Names may hold what a header may not.
    HeaderValue::try_from(names.as_str())
        .or_else(|_| HeaderValue::try_from(names.escape_default().to_string()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_query_are_told_beside_those_of_the_body() {
        let check = |path: &'static str, before: Option<&'static str>, expected: Option<&str>| {
            let mut response = Response::new(axum::body::Body::empty());
            if let Some(before) = before {
                let before = HeaderValue::from_static(before);
                response.headers_mut().insert(IGNORED, before);
            }
            let names = query_names(&Uri::from_static(path));
            tell_query(&mut response, "yolo", &names);
            let found = response.headers().get(IGNORED);
            let found = found.map(|found| found.to_str().expect("text"));
            assert_eq!(found, expected, "{path}");
        };
        check("/predictions/yolo", None, None);
        check("/predictions/yolo?order=bgr", None, Some("order"));
        check(
            "/predictions/yolo?b=1&a=2&b=3",
            Some("ordr"),
            Some("ordr,a,b"),
        );
        check("/predictions/yolo?%0A=1", None, Some("\\n"));
    }
}
