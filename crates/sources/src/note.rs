//! The note beside a part or a file in the store: what must survive a restart of the server.
//!
//! While a download lasts it holds what the server said the content is (its entity tag or its date), with which the rest
//! can be asked for. Then it says which file was brought, so that a file that somebody else put under that name is
//! neither taken for the copy nor removed as one.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// Part of a content, which the server named so; as it goes into the header If-Range.
    Part {
        validator: String,
    },
    File(Identity),
}

/// Which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970.
    modified: i128,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Identity {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
        }
    }
}

impl Note {
    /// `None` if there is none that can be read.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        Note::parse(&fs::read_to_string(path).ok()?)
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, self.text())
    }

    fn text(&self) -> String {
        match self {
            Note::Part { validator } => format!("part {validator}\n"),
            Note::File(Identity {
                inode,
                size,
                modified,
            }) => format!("file {inode} {size} {modified}\n"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.strip_suffix('\n')?.split_once(' ')?;
        match kind {
            "part" => Some(Note::Part {
                validator: rest.to_owned(),
            }),
            "file" => {
                let mut words = rest.split(' ');
                Some(Note::File(Identity {
                    inode: words.next()?.parse().ok()?,
                    size: words.next()?.parse().ok()?,
                    modified: words.next()?.parse().ok()?,
                }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_as_it_was_written() {
        let check = |note: Note| assert_eq!(Note::parse(&note.text()), Some(note));
        check(Note::Part {
            validator: "\"a b\"".into(),
        });
        check(Note::File(Identity {
            inode: 1,
            size: 2,
            modified: -3,
        }));
        // As a crash may leave it.
        for text in ["", "part", "part \"a", "file 1 2\n", "file 1 2 x\n"] {
            assert_eq!(Note::parse(text), None, "{text:?}");
        }
    }
}
