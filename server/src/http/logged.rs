//! What the access log says of a request's target. It is the target itself, but for urls of archives in its query, whose
//! own queries and passwords are secrets.

use std::borrow::Cow;

use axum::http::Uri;
use form_urlencoded::{byte_serialize, parse};

pub(super) fn target(uri: &Uri) -> Cow<'_, str> {
    let Some(query) = uri.query() else {
        return uri.path().into();
    };
    let parameters: Vec<Cow<'_, str>> = query.split('&').map(parameter).collect();
    format!("{}?{}", uri.path(), parameters.join("&")).into()
}

fn parameter(text: &str) -> Cow<'_, str> {
    match parse(text.as_bytes()).next() {
        Some((name, url)) if name == "url" => {
            let shown = sources::shown(&url);
            if shown == url {
                return text.into();
            }
            let encoded: String = byte_serialize(shown.as_bytes()).collect();
            format!("url={encoded}").into()
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_secrets() {
        let check = |uri: &str, expected: &str| {
            assert_eq!(target(&uri.parse().expect("a target")), expected, "{uri}");
        };
        check("/ping", "/ping");
        check("/models?limit=1&x=a%20b", "/models?limit=1&x=a%20b");
        check("/models?url=m.mar&x=a%20b", "/models?url=m.mar&x=a%20b");
        check("/models?url=http://h/m.mar", "/models?url=http://h/m.mar");
        check(
            "/models?x=1&url=https%3A%2F%2Fu%3Ap%40h%2Fm.mar%3Fsig%3Dhush&y=2",
            "/models?x=1&url=https%3A%2F%2Fh%2Fm.mar&y=2",
        );
        check(
            "/models?url=http://u:p@h/m.mar?sig=hush",
            "/models?url=http%3A%2F%2Fh%2Fm.mar",
        );
        check(
            "/models?%75rl=http://u:p@h/m",
            "/models?url=http%3A%2F%2Fh%2Fm",
        );
    }
}
