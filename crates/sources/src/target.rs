//! A url, checked: what is to be fetched from where, and which files of the store have to do with it.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use url::Url;

use crate::allowed::AllowedUrls;
use crate::error::{Cause, Error};

/// The longest name of a file. With what staging adds, it still fits into a name of 255 bytes.
const LONGEST_NAME: usize = 200;

/// A url that may be fetched.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    /// The name in the store.
    pub(crate) file: String,
    /// For logs and messages.
    pub(crate) shown: String,
    /// Names the url in names of files: the same for the same url, query included.
    mark: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Web(Url),
    File(PathBuf),
    S3 { bucket: String, key: String },
}

/// Where an archive and what belongs to it lie in the store.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// What has arrived so far: `.<name>.<mark>.part`.
    pub(crate) part: PathBuf,
    /// What is known about the part, and then about the file: `.<name>.<mark>.note`.
    pub(crate) note: PathBuf,
}

impl Target {
    pub(crate) fn check(url: &str, allowed: &AllowedUrls) -> Result<Self, Error> {
        let show = || shown(url);
        let failed = |cause| Error::Failed { url: show(), cause };
        if !has_known_scheme(url) {
            return Err(Error::UnknownScheme { url: show() });
        }
        let path = path_of(url);
        if path.split(['/', '\\']).any(is_parent) {
            return Err(Error::RelativePath { url: show() });
        }
        let parsed = Url::parse(url);
        if !parsed
            .as_ref()
            .is_ok_and(|parsed| allowed.permit(url, parsed))
        {
            // One that cannot be read matches nothing, but whoever mistyped it is told.
            return Err(match parsed {
                Err(error) if allowed.permit_text(url) => failed(Cause::BadUrl(error.to_string())),
                _ => Error::NotAllowed { url: show() },
            });
        }
        let parsed = parsed.map_err(|error| failed(Cause::BadUrl(error.to_string())))?;
        let file = file_name(path).ok_or_else(|| failed(Cause::NoFileName))?;
        let mark = Sha256::digest(url.as_bytes());
        Ok(Target {
            place: place(parsed).map_err(failed)?,
            file: file.to_owned(),
            shown: show(),
            mark: mark[..8].iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    pub(crate) fn paths(&self, store: &Path) -> Paths {
        let (file, mark) = (&self.file, &self.mark);
        Paths {
            name: file.clone(),
            file: store.join(file),
            part: store.join(format!(".{file}.{mark}.part")),
            note: store.join(format!(".{file}.{mark}.note")),
        }
    }
}

/// A url as it may be shown: without user, password, query and fragment. What has no scheme stays as it is.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let (authority, path) = rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    // One line, whatever it is.
    format!("{scheme}://{host}{path}").replace(char::is_control, "\u{fffd}")
}

fn has_known_scheme(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        ["http", "https", "file", "s3"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(scheme))
    })
}

/// From behind the authority to the query.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    &rest[rest.find(['/', '\\']).unwrap_or(rest.len())..]
}

/// A segment that leads up, in whatever spelling.
fn is_parent(segment: &str) -> bool {
    percent_decode_str(segment).eq(*b"..")
}

fn file_name(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    let fits = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with('.')
        && !name.contains(|c: char| c == '\\' || c.is_control());
    fits.then_some(name)
}

fn place(url: Url) -> Result<Place, Cause> {
    let bad = |what: &str| Cause::BadUrl(what.to_owned());
    let decoded = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .map(|text| text.into_owned())
            .map_err(|_| bad("its path is no UTF-8"))
    };
    match url.scheme() {
        "file" => {
            let path = url.to_file_path();
            path.map(Place::File)
                .map_err(|()| bad("expected file:///path"))
        }
        "s3" => {
            let bucket = url.host_str().unwrap_or_default();
            let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
            let plain = url.username().is_empty() && url.port().is_none() && url.query().is_none();
            if bucket.is_empty() || !bucket.chars().all(is_name) || !plain {
                return Err(bad("expected s3://bucket/key"));
            }
            Ok(Place::S3 {
                bucket: bucket.to_owned(),
                key: decoded(url.path().trim_start_matches('/'))?,
            })
        }
        _ => Ok(Place::Web(url)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(url: &str) -> String {
        let allowed = AllowedUrls::parse(".*").expect("an expression");
        match Target::check(url, &allowed) {
            Ok(target) => {
                let place = match target.place {
                    Place::Web(url) => url.to_string(),
                    Place::File(path) => path.display().to_string(),
                    Place::S3 { bucket, key } => format!("{bucket} | {key}"),
                };
                format!("{} from {place}", target.file)
            }
            Err(error) => error.to_string(),
        }
    }

    #[track_caller]
    fn check(url: &str, expected: &str) {
        assert_eq!(found(url), expected, "{url}");
    }

    #[test]
    fn the_last_segment_is_the_name() {
        check(
            "http://h/a/m.mar?v=1#x",
            "m.mar from http://h/a/m.mar?v=1#x",
        );
        check("HTTPS://u:p@H:1/m.mar", "m.mar from https://u:p@h:1/m.mar");
        check("file:///a/my%20m.mar", "my%20m.mar from /a/my m.mar");
        check("file:///a/my m.mar", "my m.mar from /a/my m.mar");
        check("s3://b/a/my%20m.mar", "my%20m.mar from b | a/my m.mar");
        check("http://h/a..b.mar", "a..b.mar from http://h/a..b.mar");
    }

    #[test]
    fn what_cannot_be_fetched_is_told() {
        let unknown = "Model not found at: ftp://h/m.mar";
        check("ftp://u:p@h/m.mar?x", unknown);
        for url in [
            "http://h/a/../m.mar",
            "file:///a/..",
            "s3://b/%2e%2E/m.mar",
            "http://h/a\\..\\m.mar",
        ] {
            check(url, &format!("Relative path is not allowed in url: {url}"));
        }
        let nameless = |url: &str| {
            format!(
                "Failed to download archive from: {url} (its path ends in no name that a file in the \
                 model store can have)"
            )
        };
        for url in [
            "http://h",
            "http://h/",
            "file:///",
            "s3://b/a/",
            "http://h/.m.mar",
        ] {
            check(url, &nameless(url));
        }
        let long = format!("http://h/{}", "m".repeat(201));
        check(&long, &nameless(&long));
        let bad = |url: &str, what: &str| {
            let text =
                format!("Failed to download archive from: {url} (the url cannot be read: {what})");
            check(url, &text);
        };
        bad("file://host/m.mar", "expected file:///path");
        bad("s3://b:1/m.mar", "expected s3://bucket/key");
        bad("http://h:x/m.mar", "invalid port number");
        check(
            "http:// h/m.mar",
            "Failed to download archive from: http:// h/m.mar (the url cannot be read: invalid \
             international domain name)",
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let check = |url: &str, expected: &str| assert_eq!(shown(url), expected, "{url}");
        check("http://u:p@h:1/m.mar?token=x#y", "http://h:1/m.mar");
        check("http://u:p@q@h/m.mar", "http://h/m.mar");
        check("http://h/a@b.mar", "http://h/a@b.mar");
        check("http://h?token=x", "http://h");
        check("s3://b/m.mar", "s3://b/m.mar");
        check("http://h/a\nb", "http://h/a\u{fffd}b");
        check("m.mar", "m.mar");
    }

    #[test]
    fn part_files_are_hidden_and_named_after_file_and_url() {
        let paths = |url: &str| {
            let target = Target::check(url, &AllowedUrls::default()).expect("allowed");
            target.paths(Path::new("/store"))
        };
        let one = paths("http://h/m.mar?v=1");
        assert_eq!(one.file, Path::new("/store/m.mar"));
        assert_eq!(one.part, Path::new("/store/.m.mar.bf1ba4b11ce7e545.part"));
        assert_eq!(one.note, Path::new("/store/.m.mar.bf1ba4b11ce7e545.note"));
        assert_eq!(paths("http://h/m.mar?v=1").part, one.part);
        assert_ne!(paths("http://h/m.mar?v=2").part, one.part);
    }
}
