//! Why an archive could not be read. Every message is one line and names the archive and what is wrong in it.

use std::io;
use std::path::Path;

use thiserror::Error;

/// A failure to open or inspect an archive. Nothing is left on the disk after one.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// There is nothing at that path.
    #[error("{path}: no such archive")]
    NotFound { path: String },
    /// The file is neither a zip nor a gzip-compressed tar.
    #[error(
        "{path}: not a model archive: expected a zip (.mar) or a gzip-compressed tar (.tar.gz)"
    )]
    UnknownFormat { path: String },
    /// The bytes do not follow the format they claim: truncated, wrong checksum, unknown compression.
    #[error("{archive}: damaged archive: {detail}")]
    Damaged { archive: String, detail: String },
    /// An entry that no honest model archive has.
    #[error("{archive}: entry {entry:?} refused: {why}")]
    Refused {
        archive: String,
        entry: String,
        why: Refusal,
    },
    /// One of the [`Limits`](crate::Limits) was passed.
    #[error("{archive}: {what}")]
    Limit { archive: String, what: String },
    /// `MAR-INF/MANIFEST.json` is there but cannot be used; the detail names the member.
    #[error("{archive}: MAR-INF/MANIFEST.json: {detail}")]
    Manifest { archive: String, detail: String },
    /// A workflow's manifest or spec that cannot be used.
    #[error("{archive}: {detail}")]
    Workflow { archive: String, detail: String },
    /// The file that the manifest's `configFile` names cannot be used.
    #[error("{archive}: model configuration {file:?}: {detail}")]
    Config {
        archive: String,
        file: String,
        detail: String,
    },
    /// A name in the manifest that leads outside the archive or to no file.
    #[error("{archive}: file {name:?}: {detail}")]
    File {
        archive: String,
        name: String,
        detail: &'static str,
    },
    /// The disk refused.
    #[error("{path}: {cause}")]
    Io { path: String, cause: io::Error },
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("the name is empty")]
    EmptyName,
    #[error("the name is not UTF-8")]
    NotUtf8,
    #[error("the name is absolute")]
    Absolute,
    #[error("the name leads to a parent folder")]
    Parent,
    #[error("the name has a backslash")]
    Backslash,
    #[error("the name starts with a drive letter")]
    DriveLetter,
    #[error("the name has a control character")]
    Control,
    #[error("the name is too long")]
    TooLong,
    #[error("the name is there twice (case ignored)")]
    Duplicate,
    #[error("it is a file where another entry needs a folder")]
    FileAndFolder,
    #[error("it is a link")]
    Link,
    #[error("it is neither a file nor a folder")]
    Special,
    #[error("it is encrypted")]
    Encrypted,
}

impl ArchiveError {
    pub(crate) fn io(path: &Path, cause: io::Error) -> Self {
        let path = path.display().to_string();
        if cause.kind() == io::ErrorKind::NotFound {
            return ArchiveError::NotFound { path };
        }
        let cause = without_path(cause);
        ArchiveError::Io { path, cause }
    }
}

/// The error without the path that the crate for temporary files puts behind it: our messages have one in front.
pub(crate) fn without_path(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path \"") {
        Some((reason, _)) => io::Error::new(error.kind(), reason),
        None => error,
    }
}

/// Another crate's message as one line of bounded length: parsers like to quote the bytes they choked on.
pub(crate) fn one_line(message: impl ToString) -> String {
    let mut line = String::new();
    for letter in message.to_string().chars().take(300) {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("written");
        let cause = tempfile::tempdir_in(&file).expect_err("no folder in a file");
        let text = ArchiveError::io(&file, cause).to_string();
        let expected = io::Error::from_raw_os_error(20);
        assert_eq!(text, format!("{}: {expected}", file.display()));
    }

    #[test]
    fn a_quoted_line_break_stays_in_the_line() {
        assert_eq!(
            one_line("not a number: 1\n\u{7f}"),
            "not a number: 1\\n\\u{7f}"
        );
        assert_eq!(one_line("x".repeat(1000)).len(), 300);
    }
}
