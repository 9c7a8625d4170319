//! Why a command did not do what it was asked for, and the exit code that says which kind of reason it was.

use std::io::{self, Write as _};
use std::path::PathBuf;

use archive::ArchiveError;
use thiserror::Error;

use crate::paint::printable;

#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(String),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// A file that is there and is no workflow.
    #[error("{0}")]
    Archive(ArchiveError),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    /// Everything was printed already, and the exit code has to say that all is not well.
    #[error("")]
    Told,
}

impl Error {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            // Whoever reads has had enough, `head` say.
            Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Error::Output(_) | Error::Archive(_) | Error::Told => 1,
            Error::Usage(_) | Error::File { .. } => 2,
        }
    }

    /// Writes it to standard error, if anybody reads that.
    pub(crate) fn tell(&self) {
        if self.exit_code() == 0 || matches!(self, Error::Told) {
            return;
        }
        let text = self.to_string();
        let lines: Vec<String> = text.lines().map(printable).collect();
        let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
    }
}
