//! Keys, their file and their check, with the time passed in.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::UNIX_EPOCH;

use axum::http::HeaderValue;
use regex::Regex;

use super::*;

/// 2026-11-21T21:30:00.123456789Z
const NOW: Duration = Duration::new(1_795_296_600, 123_456_789);
const HOUR: Duration = Duration::from_secs(3600);

struct Start {
    auth: Auth,
    folder: tempfile::TempDir,
}

impl Start {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let auth = start(folder.path(), HOUR).expect("keys");
        Start { auth, folder }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.folder.path().join(KEY_FILE)).expect("a key file")
    }

    fn key(&self, name: &str) -> String {
        let document: serde_json::Value = serde_json::from_str(&self.text()).expect("JSON");
        document[name]["key"].as_str().expect("a key").to_owned()
    }

    fn admits(&self, purpose: Purpose, authorization: &str, after: Duration) -> bool {
        let now = UNIX_EPOCH + NOW + after;
        self.auth
            .check(purpose, &headers(authorization), now)
            .is_ok()
    }
}

fn start(folder: &Path, lifetime: Duration) -> Result<Auth, AuthError> {
    Auth::on(&folder.join(KEY_FILE), lifetime, UNIX_EPOCH + NOW)
}

fn headers(authorization: &str) -> HeaderMap {
    let value = HeaderValue::from_bytes(authorization.as_bytes()).expect("a header");
    [(header::AUTHORIZATION, value)].into_iter().collect()
}

#[test]
fn the_file_is_torchserves_and_its_owners_alone() {
    let start = Start::new();
    let key = "[A-Za-z0-9_-]{8}";
    let expiring = |name: &str| {
        format!(
            "  \"{name}\": \\{{\n    \"key\": \"{key}\",\n    \"expiration time\": \"2026-11-21T22:30:00.123456789Z\"\n  \\}},\n"
        )
    };
    let expected = format!(
        "^\\{{\n{}{}  \"API\": \\{{\n    \"key\": \"{key}\"\n  \\}}\n\\}}\n$",
        expiring("management"),
        expiring("inference")
    );
    let text = start.text();
    assert!(
        Regex::new(&expected).expect("a pattern").is_match(&text),
        "{text}"
    );
    let metadata = fs::metadata(start.folder.path().join(KEY_FILE)).expect("a file");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_old_file_or_a_link_is_replaced_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, elsewhere) = (folder.path().join(KEY_FILE), folder.path().join("other"));
    fs::write(&file, "old").expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("set");
    start(folder.path(), HOUR).expect("keys");
    let first = fs::read_to_string(&file).expect("text");
    assert!(first.contains("management"), "{first}");
    let mode = fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    fs::write(&elsewhere, "untouched").expect("written");
    fs::remove_file(&file).expect("removed");
    symlink(&elsewhere, &file).expect("a link");
    start(folder.path(), HOUR).expect("keys");
    assert_eq!(fs::read_to_string(&elsewhere).expect("text"), "untouched");
    assert_ne!(fs::read_to_string(&file).expect("text"), first);
    assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 2);
}

#[test]
fn a_file_that_cannot_be_written_refuses_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("nowhere");
    let error = start(&nowhere, HOUR).err().expect("no such folder");
    let expected = format!(
        "token authorization: cannot write the keys to {} (disable_token_authorization=true does without): \
         entity not found",
        nowhere.join(KEY_FILE).display()
    );
    assert_eq!(format!("{:#}", anyhow::Error::new(error)), expected);
}

#[test]
fn a_header_has_one_form() {
    let start = Start::new();
    let key = start.key("inference");
    let check = |form: &str, expected: bool| {
        let header = form.replace("KEY", &key);
        let found = start.admits(Purpose::Inference, &header, Duration::ZERO);
        assert_eq!(found, expected, "{form:?}");
    };
    check("Bearer KEY", true);
    check("Bearer   KEY", true);
    check("Bearer\tKEY", true);
    check("bearer KEY", false);
    check("BEARER KEY", false);
    check("BearerKEY", false);
    check("Basic KEY", false);
    check("Bearer", false);
    check("Bearer ", false);
    check("Bearer KEY KEY", false);
    check("Bearer KEY ", false);
    check("Bearer, KEY", false);
    check(" Bearer KEY", false);
    check("KEY", false);
    check("", false);
    check("Bearer KEYx", false);
    check("Bearer schlüssel", false);
    check(&format!("Bearer {}", &key[..7]), false);
    let without = start
        .auth
        .check(Purpose::Inference, &HeaderMap::new(), UNIX_EPOCH + NOW);
    assert_eq!(without, Err(Failure::invalid_key(NOT_AUTHORIZED)));
}

#[test]
fn each_key_opens_what_it_is_for() {
    let start = Start::new();
    for (name, inference, management) in [
        ("inference", true, false),
        ("management", false, true),
        ("API", false, false),
    ] {
        let header = format!("Bearer {}", start.key(name));
        let admits = |purpose| start.admits(purpose, &header, Duration::ZERO);
        let found = (admits(Purpose::Inference), admits(Purpose::Management));
        assert_eq!(found, (inference, management), "{name}");
    }
}

#[test]
fn a_key_expires_when_the_file_says_and_can_be_renewed() {
    let start = Start::new();
    let old = format!("Bearer {}", start.key("management"));
    let nano = Duration::from_nanos(1);
    assert!(start.admits(Purpose::Management, &old, HOUR - nano));
    assert!(!start.admits(Purpose::Management, &old, HOUR));

    // The API key does not expire.
    let api = headers(&format!("Bearer {}", start.key("API")));
    let later = UNIX_EPOCH + NOW + 24 * HOUR;
    assert_eq!(start.auth.renew(Some("management"), &api, later), Ok(()));
    let text = start.text();
    assert!(text.contains("2026-11-22T22:30:00.123456789Z"), "{text}");
    let fresh = format!("Bearer {}", start.key("management"));
    assert!(start.admits(Purpose::Management, &fresh, 25 * HOUR - nano));
    assert!(!start.admits(Purpose::Management, &fresh, 25 * HOUR));
    assert!(!start.admits(Purpose::Management, &old, Duration::ZERO));
}

#[test]
fn a_key_that_cannot_be_written_is_not_used() {
    let start = Start::new();
    let key = format!("Bearer {}", start.key("inference"));
    let api = headers(&format!("Bearer {}", start.key("API")));
    fs::remove_dir_all(start.folder.path()).expect("removed");
    let renewed = start.auth.renew(Some("inference"), &api, UNIX_EPOCH + NOW);
    assert_eq!(renewed.map_err(|failure| failure.status.as_u16()), Err(500));
    assert!(start.admits(Purpose::Inference, &key, Duration::ZERO));
}

#[test]
fn every_start_and_every_purpose_has_keys_of_its_own() {
    let starts = [Start::new(), Start::new()];
    let mut keys: Vec<String> = starts
        .iter()
        .flat_map(|start| ["management", "inference", "API"].map(|name| start.key(name)))
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 6);
}

#[test]
fn a_lifetime_beyond_all_dates_ends_with_them() {
    let folder = tempfile::tempdir().expect("a folder");
    start(folder.path(), Duration::MAX).expect("keys");
    let text = fs::read_to_string(folder.path().join(KEY_FILE)).expect("a key file");
    assert!(
        text.contains("\"9999-12-31T23:59:59.000000000Z\""),
        "{text}"
    );
}
