//! One attempt over HTTP: the request, the redirects, the head of the answer.

use futures_util::{StreamExt, TryStreamExt};
use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE,
    LAST_MODIFIED, LOCATION, RANGE,
};
use url::Url;

use crate::Settings;
use crate::client::Clients;
use crate::error::{Cause, root};
use crate::guard;
use crate::origin::Content;
use crate::s3::Aws;
use crate::target::{Place, shown};

const MOST_REDIRECTS: usize = 10;

#[derive(Debug)]
pub(crate) struct Web<'a> {
    pub(crate) place: &'a Place,
    /// Whether S3 is to decrypt by KMS, which it does for signed requests alone.
    pub(crate) kms: bool,
    pub(crate) settings: &'a Settings,
    pub(crate) clients: &'a Clients,
    pub(crate) aws: &'a Aws,
}

/// One request of a chain of redirects.
struct Step {
    url: Url,
    signed: bool,
    /// Whether the operator's environment chose the host, rather than whoever wrote the url.
    trusted: bool,
}

impl Web<'_> {
    /// Asks for the content, from a byte on if it is still the one of that name.
    pub(crate) async fn open(&self, resume: Option<(u64, &str)>) -> Result<Content, Cause> {
        let mut step = self.first()?;
        for _ in 0..=MOST_REDIRECTS {
            let response = self.send(&step, resume).await?;
            let status = response.status();
            match status {
                StatusCode::OK => return Ok(content(response, 0)),
                StatusCode::PARTIAL_CONTENT => return self.partial(response, resume).await,
                // There is nothing behind what we have: it is another content.
                StatusCode::RANGE_NOT_SATISFIABLE if resume.is_some() => {
                    return Box::pin(self.open(None)).await;
                }
                _ if is_redirect(status) && !step.trusted => {
                    step = self.follow(&step, response.headers(), status)?;
                }
                _ => return Err(Cause::Status(status)),
            }
        }
        Err(Cause::TooManyRedirects(MOST_REDIRECTS))
    }

    fn first(&self) -> Result<Step, Cause> {
        match self.place {
            Place::Web(url) => Ok(Step {
                url: url.clone(),
                signed: self.kms,
                trusted: false,
            }),
            Place::S3 { bucket, key } => Ok(Step {
                url: self.aws.url(bucket, key)?,
                signed: !self.aws.anonymous(),
                trusted: true,
            }),
            Place::File(path) => Err(Cause::BadUrl(path.display().to_string())),
        }
    }

    /// The step that a redirect asks for, if it may be taken.
    fn follow(&self, from: &Step, headers: &HeaderMap, status: StatusCode) -> Result<Step, Cause> {
        let location = headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        let next = location.and_then(|location| from.url.join(location).ok());
        let next = next.ok_or(Cause::Status(status))?;
        let show = || shown(next.as_str());
        let to_web = ["http", "https"].contains(&next.scheme());
        if !to_web || !self.settings.allowed.permit_parsed(&next) {
            return Err(Cause::RedirectNotAllowed(show()));
        }
        if from.url.scheme() == "https" && next.scheme() == "http" {
            return Err(Cause::Downgrade(show()));
        }
        Ok(Step {
            // What was signed for one host is nothing for another.
            signed: from.signed && next.origin() == from.url.origin(),
            trusted: false,
            url: next,
        })
    }

    async fn send(
        &self,
        step: &Step,
        resume: Option<(u64, &str)>,
    ) -> Result<reqwest::Response, Cause> {
        let client = if step.trusted {
            self.clients.free().await?
        } else {
            if !self.settings.allow_private {
                guard::check_literal(&step.url)?;
            }
            self.clients.guarded().await?
        };
        let mut url = step.url.clone();
        let mut headers = HeaderMap::new();
        if step.signed {
            // The signature takes the place of a user's name.
            let _ = url.set_username("").and_then(|()| url.set_password(None));
            headers = self.aws.sign(self.clients, &url, self.kms).await?;
        }
        // Positions in the file are positions in what is sent.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some((from, validator)) = resume
            && let Ok(validator) = HeaderValue::from_str(validator)
        {
            headers.insert(RANGE, range(from));
            headers.insert(IF_RANGE, validator);
        }
        let sent = client.get(url).headers(headers).send().await;
        sent.map_err(|error| guard::refusal(&error).unwrap_or_else(|| unanswered(&error)))
    }

    /// A part, which must be the one that was asked for.
    async fn partial(
        &self,
        response: reqwest::Response,
        resume: Option<(u64, &str)>,
    ) -> Result<Content, Cause> {
        let range = text(response.headers(), CONTENT_RANGE).and_then(parse_range);
        let same = validator(response.headers())
            .is_none_or(|found| resume.is_some_and(|(_, known)| found == known));
        match (range, resume) {
            (Some((start, total)), Some((from, _))) if start == from && same => {
                let mut content = content(response, start);
                content.total = total;
                Ok(content)
            }
            (_, Some(_)) => Box::pin(self.open(None)).await,
            (_, None) => Err(Cause::Status(StatusCode::PARTIAL_CONTENT)),
        }
    }
}

fn content(response: reqwest::Response, start: u64) -> Content {
    Content {
        start,
        total: response.content_length(),
        validator: validator(response.headers()),
        body: response
            .bytes_stream()
            .map_err(|error| Cause::Broken(root(&error)))
            .boxed(),
    }
}

/// What If-Range may hold: a strong entity tag, or else a date.
fn validator(headers: &HeaderMap) -> Option<String> {
    text(headers, ETAG)
        .filter(|tag| tag.starts_with('"'))
        .or_else(|| text(headers, LAST_MODIFIED))
        .map(str::to_owned)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn range(from: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes={from}-")).expect("digits and ASCII letters")
}

/// `bytes 3-9/10`: the first position, and the length of the whole if it is told.
fn parse_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn unanswered(error: &reqwest::Error) -> Cause {
    let text = root(error);
    if error.is_connect() {
        Cause::Unreachable(text)
    } else {
        Cause::Broken(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |text: &str, expected| assert_eq!(parse_range(text), expected, "{text}");
        check("bytes 3-9/10", Some((3, Some(10))));
        check("bytes 3-9/*", Some((3, None)));
        check("bytes */10", None);
        check("lines 3-9/10", None);
        check("", None);
    }

    #[test]
    fn only_strong_names_are_kept() {
        let check = |tag: &'static str, date: &'static str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(ETAG, tag), (LAST_MODIFIED, date)] {
                if !value.is_empty() {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            assert_eq!(validator(&headers).as_deref(), expected, "{tag} {date}");
        };
        check("\"a\"", "Sun, 22 Nov 2026 03:00:00 GMT", Some("\"a\""));
        check(
            "W/\"a\"",
            "Sun, 22 Nov 2026 03:00:00 GMT",
            Some("Sun, 22 Nov 2026 03:00:00 GMT"),
        );
        check("W/\"a\"", "", None);
        check("", "", None);
    }

    #[tokio::test]
    async fn a_public_server_cannot_redirect_to_a_private_address() {
        let settings = Settings::default();
        let place = Place::Web(Url::parse("http://example.org/m.mar").expect("a url"));
        let web = Web {
            place: &place,
            kms: true,
            settings: &settings,
            clients: &Clients::new(&settings),
            aws: &Aws::new(&[]),
        };
        let first = web.first().expect("a url");
        for to in [
            "http://127.0.0.1:1/m.mar",
            "//169.254.169.254/m.mar",
            "http://[::1]/",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static(to));
            let next = web.follow(&first, &headers, StatusCode::FOUND);
            let next = next.expect("allowed_urls has nothing against it");
            // Not even a trusted host's redirect is trusted, and what was signed for it stays there.
            assert!(!next.trusted && !next.signed, "{to}");
            let refused = web.send(&next, None).await;
            assert!(matches!(refused, Err(Cause::Private { .. })), "{to}");
        }
    }
}
