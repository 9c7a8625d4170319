//! Why an archive could not be brought. No text holds a url's query or credentials.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

/// Why a url gave no archive. Where TorchServe's clients know a sentence, it is that one.
#[derive(Debug, Error)]
pub enum Error {
    #[error("Given URL {url} does not match any allowed URL(s)")]
    NotAllowed { url: String },
    #[error("Model not found at: {url}")]
    UnknownScheme { url: String },
    #[error("Relative path is not allowed in url: {url}")]
    RelativePath { url: String },
    #[error("Model file already exists {file}")]
    Exists { file: String },
    #[error("Model file already exists {file} (another registration has taken that name)")]
    Busy { file: String },
    #[error("Failed to download archive from: {url} ({cause})")]
    Failed { url: String, cause: Cause },
}

/// What went wrong on the way.
#[derive(Debug, Error)]
pub enum Cause {
    #[error("the url cannot be read: {0}")]
    BadUrl(String),
    #[error("its path ends in no name that a file in the model store can have")]
    NoFileName,
    #[error(
        "{host} has the address {address}, which is not public; allow_private_urls=true would permit it"
    )]
    Private { host: String, address: IpAddr },
    #[error("it redirects to {0}, which does not match any allowed URL(s)")]
    RedirectNotAllowed(String),
    #[error("it redirects from https to {0}")]
    Downgrade(String),
    #[error("it redirects more than {0} times")]
    TooManyRedirects(usize),
    #[error("the server answered {0}")]
    Status(http::StatusCode),
    #[error("there was no connection: {0}")]
    Unreachable(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("it is larger than {limit} bytes, which is max_download_size")]
    TooLarge { limit: u64 },
    #[error("nothing came for {} s", .0.as_secs_f64())]
    Stalled(Duration),
    #[error("it took longer than {} s", .0.as_secs_f64())]
    TooSlow(Duration),
    #[error("{path}: {error}")]
    Source { path: String, error: io::Error },
    #[error("{path}: expected a file")]
    NoFile { path: String },
    #[error("{path}: {error}")]
    Store { path: String, error: io::Error },
    #[error("no credentials of AWS: {0}")]
    Credentials(String),
    #[error("the https client cannot be set up: {0}")]
    Client(String),
}

impl Cause {
    /// Whether another attempt may end better.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Cause::Unreachable(_) | Cause::Broken(_) | Cause::Stalled(_) => true,
            Cause::Status(status) => status.is_server_error() || status.as_u16() == 429,
            Cause::BadUrl(_)
            | Cause::NoFileName
            | Cause::Private { .. }
            | Cause::RedirectNotAllowed(_)
            | Cause::Downgrade(_)
            | Cause::TooManyRedirects(_)
            | Cause::TooLarge { .. }
            | Cause::TooSlow(_)
            | Cause::Source { .. }
            | Cause::NoFile { .. }
            | Cause::Store { .. }
            | Cause::Credentials(_)
            | Cause::Client(_) => false,
        }
    }

    /// Whether nothing is gained by keeping what has arrived; on a full disk it would be in everybody's way.
    pub(crate) fn spoils_the_part(&self) -> bool {
        !self.may_pass() && !matches!(self, Cause::TooSlow(_))
    }
}

/// An error and its causes on one line, each once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = error.source();
    }
    text.replace(['\n', '\r'], " ")
}

/// What an error comes from in the end. A client wraps its causes in words that say nothing more.
pub(crate) fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(error) = deepest.source() {
        deepest = error;
    }
    deepest.to_string().replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether another attempt may help, and whether what came is thrown away.
    fn check(cause: &Cause, may_pass: bool, spoils: bool) {
        let found = (cause.may_pass(), cause.spoils_the_part());
        assert_eq!(found, (may_pass, spoils), "{cause}");
    }

    #[test]
    fn what_follows_from_a_failure() {
        check(&Cause::Broken("x".into()), true, false);
        check(&Cause::Stalled(Duration::from_secs(1)), true, false);
        check(&Cause::TooSlow(Duration::from_secs(1)), false, false);
        check(&Cause::TooLarge { limit: 1 }, false, true);
        for (status, may_pass) in [
            (503, true),
            (500, true),
            (429, true),
            (404, false),
            (403, false),
        ] {
            let status = http::StatusCode::from_u16(status).expect("a status");
            check(&Cause::Status(status), may_pass, !may_pass);
        }
    }

    #[test]
    fn a_full_disk_is_named_and_made_free() {
        let full = Cause::Store {
            path: "/store/.m.mar.0123456789abcdef.part".into(),
            error: io::Error::from_raw_os_error(28),
        };
        check(&full, false, true);
        assert_eq!(
            full.to_string(),
            "/store/.m.mar.0123456789abcdef.part: No space left on device (os error 28)"
        );
    }

    #[test]
    fn an_error_is_told_with_its_causes_or_by_the_last_of_them() {
        #[derive(Debug, Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        let error = Outer(io::Error::other("inner\nline"));
        assert_eq!(
            (chain(&error).as_str(), root(&error).as_str()),
            ("outer: inner line", "inner line")
        );
    }
}
