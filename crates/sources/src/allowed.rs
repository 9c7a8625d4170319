//! Which urls the operator allows: `allowed_urls`.

use regex::{Regex, RegexBuilder};
use url::Url;

/// TorchServe's default.
const DEFAULT: &str = "file://.*|http(s)?://.*";

/// Regular expressions, one of which must match a whole url, in any case of letters.
#[derive(Debug, Clone)]
pub struct AllowedUrls {
    text: String,
    expressions: Vec<Regex>,
}

impl AllowedUrls {
    /// Reads expressions between commas. Empty ones match nothing.
    ///
    /// # Errors
    /// The first expression that is none.
    pub fn parse(text: &str) -> Result<Self, regex::Error> {
        let expressions = text
            .split(',')
            .map(str::trim)
            .filter(|expression| !expression.is_empty())
            .map(|expression| {
                RegexBuilder::new(&format!(r"\A(?:{expression})\z"))
                    .case_insensitive(true)
                    .build()
            });
        Ok(AllowedUrls {
            text: text.to_owned(),
            expressions: expressions.collect::<Result<_, _>>()?,
        })
    }

    /// Whether it allows every file and every web server, as TorchServe does unless told otherwise.
    pub fn is_default(&self) -> bool {
        self.text.trim() == DEFAULT
    }

    /// Whether a url may be fetched: as it was written, and as it is understood. Both, because an expression for a host
    /// can match a text in which that host is but part of a query, or of a user's name.
    pub(crate) fn permit(&self, written: &str, understood: &Url) -> bool {
        self.permit_text(written) && self.permit_parsed(understood)
    }

    /// The half of it that needs no parser.
    pub(crate) fn permit_text(&self, written: &str) -> bool {
        // What a parser would drop or turn is nothing that an honest url holds.
        let plain = !written.contains(|c: char| c == '\\' || c.is_control());
        plain && written.trim() == written && self.matches(written)
    }

    /// Whether a url that came as the target of a redirect may be fetched.
    pub(crate) fn permit_parsed(&self, url: &Url) -> bool {
        // An expression may name the port that goes without saying.
        self.matches(url.as_str()) || with_port(url).is_some_and(|url| self.matches(&url))
    }

    fn matches(&self, url: &str) -> bool {
        self.expressions
            .iter()
            .any(|expression| expression.is_match(url))
    }
}

impl Default for AllowedUrls {
    fn default() -> Self {
        AllowedUrls::parse(DEFAULT).expect("the expression is valid, as a test shows")
    }
}

impl PartialEq for AllowedUrls {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// The url with its scheme's own port written out.
fn with_port(url: &Url) -> Option<String> {
    let port = url
        .port()
        .is_none()
        .then(|| url.port_or_known_default())??;
    let (before, after) = (
        &url[..url::Position::AfterHost],
        &url[url::Position::BeforePath..],
    );
    Some(format!("{before}:{port}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expressions: &str, url: &str, expected: bool) {
        let allowed = AllowedUrls::parse(expressions).expect("expressions");
        let parsed = Url::parse(url).expect("a url");
        assert_eq!(
            allowed.permit(url, &parsed),
            expected,
            "{url} by {expressions}"
        );
    }

    #[test]
    fn the_default_is_torchserves() {
        let default = AllowedUrls::default();
        assert!(default.is_default());
        check(DEFAULT, "http://h/m.mar", true);
        check(DEFAULT, "HTTPS://h/m.mar?a=b", true);
        check(DEFAULT, "file:///m.mar", true);
        check(DEFAULT, "s3://b/m.mar", false);
        check(DEFAULT, "ftp://h/m.mar", false);
    }

    #[test]
    fn a_whole_url_must_match_one_of_them() {
        let two = r"https://good\.com/.*, s3://bucket/.*";
        check(two, "https://good.com/m.mar", true);
        check(two, "https://GOOD.com/m.mar", true);
        check(two, "s3://bucket/a/m.mar", true);
        check(two, "https://good.com", false);
        check(two, "https://good.com.evil.org/m.mar", false);
        check(two, "xhttps://good.com/m.mar", false);
        check(two, "s3://bucket2/m.mar", false);
        check("", "https://good.com/m.mar", false);
        check(
            r"https://a\.com/x|https://b\.com/y",
            "https://b.com/y",
            true,
        );
        check(
            r"https://a\.com/x|https://b\.com/y",
            "https://a.com/x/z",
            false,
        );
    }

    #[test]
    fn a_host_cannot_be_feigned() {
        let good = r"https?://[^/]*\.good\.com/.*";
        check(good, "http://a.good.com/m.mar", true);
        check(good, "http://evil.org#.good.com/m.mar", false);
        check(good, "http://evil.org?.good.com/m.mar", false);
        check(good, "http://evil.org\\.good.com/m.mar", false);
        check(good, "http://ev\til.org/.good.com/m.mar", false);
        check(
            r"http://good\.com.*",
            "http://good.com\\@evil.org/m.mar",
            false,
        );
    }

    #[test]
    fn a_ports_default_may_be_written() {
        check(r"http://h:80/.*", "http://h:80/m.mar", true);
        check(r"https://h:443/.*", "https://h:443/m.mar", true);
        check(r"http://h:8080/.*", "http://h:8080/m.mar", true);
        check(r"http://h:8080/.*", "http://h:80/m.mar", false);
    }
}
