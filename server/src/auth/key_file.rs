//! The file that tells the keys: whole or not at all, and for its owner alone from the first byte on.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;

use super::key::Expiring;
use super::{AuthError, Keys};
use crate::utc;

/// The members as TorchServe names and orders them.
#[derive(Serialize)]
struct Document<'a> {
    management: Entry<'a>,
    inference: Entry<'a>,
    #[serde(rename = "API")]
    api: Entry<'a>,
}

#[derive(Serialize)]
struct Entry<'a> {
    key: &'a str,
    #[serde(rename = "expiration time", skip_serializing_if = "Option::is_none")]
    expiration_time: Option<String>,
}

/// Puts the keys into `path`, in place of whatever is there.
pub(super) fn write(path: &Path, keys: &Keys) -> Result<(), AuthError> {
    replace(path, &text(keys)).map_err(|source| AuthError::KeyFile {
        path: path.to_owned(),
        source,
    })
}

fn text(keys: &Keys) -> String {
    let document = Document {
        management: expiring(&keys.management),
        inference: expiring(&keys.inference),
        api: Entry {
            key: keys.api.reveal(),
            expiration_time: None,
        },
    };
    let mut text = serde_json::to_string_pretty(&document).expect("text under names of text");
    text.push('\n');
    text
}

fn expiring(key: &Expiring) -> Entry<'_> {
    Entry {
        key: key.key.reveal(),
        expiration_time: Some(instant(key.until)),
    }
}

/// ISO 8601 to the nanosecond, in UTC.
fn instant(time: SystemTime) -> String {
    let (text, nanos) = utc::to_the_second(time);
    format!("{text}.{nanos:09}Z")
}

/// A new file takes the place of the old one, so that a reader sees either, and a link is replaced, not followed.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".key_file")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(without_path)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

/// tempfile names its own file, which is not the one the message is about.
fn without_path(error: io::Error) -> io::Error {
    error.kind().into()
}
