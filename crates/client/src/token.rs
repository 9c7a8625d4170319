//! The key that a request carries: where it comes from, and what to do about one that opens nothing.
//!
//! A key file that merely lies in the working directory is the key of the daemon that was started there. It is sent to
//! addresses of this machine or of the configuration, and never to a machine that somebody typed: that takes `--key-file`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::args::{Options, Secret};
use crate::endpoint::Api;
use crate::error::Error;
use crate::instant;
use crate::places::Place;
use crate::units;

/// The name of the key file that a daemon writes to its working directory.
pub(crate) const KEY_FILE: &str = "key_file.json";

/// Where to look for keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keys {
    /// `--token`.
    Given(Secret),
    /// `--key-file`, which has to be there; or the file that may lie in the working directory.
    File { path: PathBuf, named: bool },
    /// The file in the working directory is for another machine, so far as one can tell.
    NotForThere { path: PathBuf },
}

/// A key and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) key: Secret,
    expires: Option<SystemTime>,
    expires_text: String,
}

impl Keys {
    pub(crate) fn find(options: &Options, place: &Place, folder: &Path) -> Self {
        let own = folder.join(KEY_FILE);
        match (&options.token, &options.key_file) {
            (Some(key), _) => Keys::Given(key.clone()),
            (None, Some(path)) => Keys::File {
                path: path.clone(),
                named: true,
            },
            (None, None) if place.configured || place.endpoint.is_local() => Keys::File {
                path: own,
                named: false,
            },
            (None, None) => Keys::NotForThere { path: own },
        }
    }

    /// The key named `member` (`management`, `inference` or `API`), as it is now.
    ///
    /// # Errors
    /// A key file that cannot be read or is none, or `--key-file` without that key.
    pub(crate) fn token(&self, member: &str) -> Result<Option<Token>, Error> {
        let (path, named) = match self {
            Keys::Given(key) => {
                return Ok(Some(Token {
                    key: key.clone(),
                    expires: None,
                    expires_text: String::new(),
                }));
            }
            Keys::NotForThere { .. } => return Ok(None),
            Keys::File { path, named } => (path, *named),
        };
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && !named => return Ok(None),
            Err(source) => {
                return Err(Error::File {
                    path: path.clone(),
                    source,
                });
            }
        };
        read(&text, member)
            .map(Some)
            .map_err(|message| Error::Usage(format!("{}: {message}", path.display())))
    }

    /// What to do when the server turned down this token, or none, at `now`.
    pub(crate) fn advice(&self, token: Option<&Token>, api: Api, now: SystemTime) -> String {
        let name = api.name();
        match (self, token) {
            (Keys::Given(_), _) => {
                format!("the key of --token is not the {name} key of this server, or has expired")
            }
            (Keys::NotForThere { path }, _) if path.exists() => {
                "the key file here is not sent to another machine unless --key-file names it"
                    .to_owned()
            }
            (Keys::File { path, .. }, Some(token)) => {
                let path = path.display();
                match token.expired_since(now) {
                    Some(ago) => format!(
                        "the {name} key in {path} expired {} ago ({}); `torchrelay renew-key {name}` has a new one made",
                        units::duration(ago),
                        token.expires_text,
                    ),
                    None => format!(
                        "the {name} key in {path} is not what it asks for: either this is not the {name} address, or the key \
                         is another server's; every start makes new ones, in the folder of the start"
                    ),
                }
            }
            (Keys::File { .. } | Keys::NotForThere { .. }, _) => format!(
                "the server asks for a key: run this where the server was started, whose {KEY_FILE} has it, or name that \
                 file with --key-file, or the {name} key with --token"
            ),
        }
    }
}

impl Token {
    fn expired_since(&self, now: SystemTime) -> Option<std::time::Duration> {
        now.duration_since(self.expires?).ok()
    }
}

fn read(text: &[u8], member: &str) -> Result<Token, String> {
    let document: Value =
        serde_json::from_slice(text).map_err(|error| format!("not a key file: {error}"))?;
    let entry = &document[member];
    let key = entry["key"]
        .as_str()
        .ok_or_else(|| format!("not a key file: there is no {member}.key"))?;
    let expires_text = entry["expiration time"].as_str().unwrap_or_default();
    Ok(Token {
        key: key
            .parse()
            .map_err(|message| format!("{member}.key: {message}"))?,
        expires: instant::parse(expires_text),
        expires_text: expires_text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::endpoint::Endpoint;

    const FILE: &str = r#"{
        "management": {"key": "m", "expiration time": "2026-11-21T21:52:55.324Z"},
        "inference": {"key": "i", "expiration time": "2026-11-21T21:52:55.324Z"},
        "API": {"key": "a"}
    }"#;

    fn place(address: &str, configured: bool) -> Place {
        Place {
            api: Api::Management,
            endpoint: Endpoint::parse(address, Api::Management).unwrap(),
            configured,
        }
    }

    /// The management key that is sent, and the advice if it is turned down two minutes after it expired.
    fn check(options: &Options, place: &Place, key: Result<Option<&str>, &str>, advice: &str) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("key_file.json", FILE), ("other.json", "{}"), ("no", "[")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let options = Options {
            key_file: options
                .key_file
                .as_ref()
                .map(|name| folder.path().join(name)),
            ..options.clone()
        };
        let local = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
        let keys = Keys::find(&options, place, folder.path());
        let found = keys
            .token("management")
            .map_err(|error| local(error.to_string()));
        let sent = found
            .as_ref()
            .map(|token| token.as_ref().map(|token| token.key.reveal()));
        assert_eq!(
            sent,
            key.map_err(|text| text.to_owned()).as_ref().copied(),
            "{options:?}"
        );
        if let Ok(token) = &found {
            let now = UNIX_EPOCH + Duration::from_secs(1_795_297_975 + 120);
            let found = local(keys.advice(token.as_ref(), Api::Management, now));
            assert_eq!(found, advice, "{options:?}");
        }
    }

    #[test]
    fn the_right_key_goes_to_the_right_place() {
        let none = Options::default();
        let expired = "the management key in key_file.json expired 2 min ago (2026-11-21T21:52:55.324Z); `torchrelay \
                       renew-key management` has a new one made";
        check(&none, &place("localhost", false), Ok(Some("m")), expired);
        check(&none, &place("box", true), Ok(Some("m")), expired);
        let kept = "the key file here is not sent to another machine unless --key-file names it";
        check(&none, &place("box", false), Ok(None), kept);
        let named = |name: &str| Options {
            key_file: Some(name.into()),
            ..Options::default()
        };
        check(
            &named("key_file.json"),
            &place("box", false),
            Ok(Some("m")),
            expired,
        );
        let error = Err("absent: No such file or directory (os error 2)");
        check(&named("absent"), &place("box", false), error, "");
        let error = Err("other.json: not a key file: there is no management.key");
        check(&named("other.json"), &place("box", false), error, "");
        let error = Err("no: not a key file: EOF while parsing a list at line 1 column 1");
        check(&named("no"), &place("box", false), error, "");
        let given = Options {
            token: Some("t".parse().unwrap()),
            ..Options::default()
        };
        let advice = "the key of --token is not the management key of this server, or has expired";
        check(&given, &place("box", false), Ok(Some("t")), advice);
    }

    #[test]
    fn keys_are_told_apart_from_blanks_and_never_shown() {
        assert!("a b".parse::<Secret>().is_err() && "".parse::<Secret>().is_err());
        let token = read(FILE.as_bytes(), "API").unwrap();
        assert_eq!((token.key.reveal(), token.expires), ("a", None));
        assert!(!format!("{token:?}").contains("\"a\""));
    }
}
