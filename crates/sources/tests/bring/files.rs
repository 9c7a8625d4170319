//! Archives that lie elsewhere on this machine, and stores that cannot take them.

use std::fs;

use crate::{Store, bytes};

#[tokio::test]
async fn a_file_is_copied() {
    let store = Store::new();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let path = elsewhere.path().join("my m.mar");
    fs::write(&path, bytes(1 << 20)).expect("written");
    let url = format!("file://{}/my%20m.mar", elsewhere.path().display());
    let brought = store.bring(&url).await.expect("brought");
    assert_eq!(brought.name(), "my%20m.mar");
    assert!(store.content("my%20m.mar") == bytes(1 << 20));
    brought.remove().expect("removed");
    assert_eq!(store.names(), [""; 0]);
    assert!(path.exists(), "the original stays");
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let folder = elsewhere.path().display().to_string();
    fs::create_dir(elsewhere.path().join("m.mar")).expect("made");
    let check = async |path: &str, cause: &str| {
        let url = format!("file://{path}");
        let expected = format!("Failed to download archive from: {url} ({path}: {cause})");
        assert_eq!(Store::new().refusal(&url).await, expected);
    };
    check(&format!("{folder}/m.mar"), "expected a file").await;
    check("/dev/zero", "expected a file").await;
    let absent = "No such file or directory (os error 2)";
    check(&format!("{folder}/gone.mar"), absent).await;
}

#[tokio::test]
async fn too_large_a_file_is_refused() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let path = elsewhere.path().join("m.mar");
    fs::write(&path, bytes(1001)).expect("written");
    let store = Store::new().with(|settings| settings.max_size = 1000);
    let text = store.refusal(&format!("file://{}", path.display())).await;
    assert!(
        text.ends_with("(it is larger than 1000 bytes, which is max_download_size)"),
        "{text}"
    );
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_named() {
    let store = Store::new();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let path = elsewhere.path().join("m.mar");
    fs::write(&path, "m").expect("written");
    fs::remove_dir(store.path()).expect("removed");
    let url = format!("file://{}", path.display());
    let text = store.bring(&url).await.expect_err("no store").to_string();
    assert!(
        text.contains(&format!("({}/.m.mar.", store.path().display())),
        "{text}"
    );
    assert!(
        text.ends_with(".part: No such file or directory (os error 2))"),
        "{text}"
    );
}
