//! Which sockets a configuration opens, and what becomes of socket files.

use std::path::{Path, PathBuf};

use clap::Parser as _;

use super::*;
use crate::args::Args;

/// A folder with a model store, in which socket files may be.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Opens what these lines say; `DIR` in them is the folder. Addresses they leave out are free ports.
    async fn bind(&self, lines: &str) -> Result<Listeners, String> {
        let free = ["inference", "management", "metrics"]
            .map(|role| format!("{role}_address=http://127.0.0.1:0\n"))
            .concat();
        let free = free + "grpc_inference_port=0\ngrpc_management_port=0\n";
        let lines = lines.replace("DIR", &self.0.path().display().to_string());
        std::fs::write(self.path("config.properties"), free + &lines).expect("written");
        let args = ["torchrelay", "--start", "--model-store", "."];
        let args = Args::try_parse_from(args).expect("arguments");
        let (config, _) = Config::load(&args, &|_| None, self.0.path()).expect("a configuration");
        bind(&config).await.map_err(|error| {
            let text = format!("{:#}", anyhow::Error::from(error));
            text.replace(&self.0.path().display().to_string(), "DIR")
        })
    }

    async fn check_refused(&self, lines: &str, expected: &str) {
        let refused = self.bind(lines).await.expect_err("refused");
        assert_eq!(refused, expected, "{lines}");
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[tokio::test]
async fn every_address_has_its_socket_unless_two_are_equal() {
    let folder = Folder::new();
    let own = folder.bind("").await.expect("free ports");
    assert!(matches!(own.management, Management::Own(_)));
    let grpc = own.grpc.as_ref().expect("configurations open it");
    assert!(matches!(grpc.management, Management::Own(_)));
    assert!(own.metrics.is_some());

    let shared = "inference_address=unix:DIR/one\nmanagement_address=unix:DIR/one";
    let shared = folder.bind(shared).await.expect("one socket");
    assert!(matches!(shared.management, Management::Shared));

    let without = folder.bind("enable_metrics_api=false").await;
    assert!(without.expect("free ports").metrics.is_none());

    let busy = own.inference.address();
    folder
        .check_refused(
            &format!("metrics_address={busy}"),
            &format!(
                "metrics_address: cannot listen on {busy}: Address already in use (os error 98)"
            ),
        )
        .await;
}

#[tokio::test]
async fn a_socket_file_goes_with_its_listener() {
    let folder = Folder::new();
    let lines = "inference_address=unix:DIR/one\nmetrics_address=unix:DIR/two";
    let files = [folder.path("one"), folder.path("two")];
    let listeners = folder.bind(lines).await.expect("bound");
    assert_eq!(files.each_ref().map(|path| exists(path)), [true, true]);
    drop(listeners);
    assert_eq!(files.each_ref().map(|path| exists(path)), [false, false]);

    // Nor does a start that fails leave any behind.
    std::fs::write(&files[1], "mine").expect("written");
    folder
        .check_refused(
            lines,
            "metrics_address: cannot listen on unix:DIR/two: there is a file that is no socket",
        )
        .await;
    assert_eq!(files.each_ref().map(|path| exists(path)), [false, true]);
    assert_eq!(std::fs::read(&files[1]).expect("still there"), b"mine");
}

#[tokio::test]
async fn a_socket_file_is_replaced_only_if_nobody_listens() {
    let folder = Folder::new();
    let lines = "inference_address=unix:DIR/one";
    // Dropped without its file, as by a process that is killed.
    drop(std::os::unix::net::UnixListener::bind(folder.path("one")).expect("bound"));
    assert!(exists(&folder.path("one")));
    let listeners = folder.bind(lines).await.expect("nobody listens");

    let busy =
        "inference_address: cannot listen on unix:DIR/one: Address already in use (os error 98)";
    folder.check_refused(lines, busy).await;
    folder
        .check_refused(
            "inference_address=unix:DIR/x\nmetrics_address=unix:DIR/x",
            "metrics_address: cannot listen on unix:DIR/x: Address already in use (os error 98)",
        )
        .await;
    drop(listeners);
    folder.bind(lines).await.expect("nobody listens any more");
}

#[tokio::test]
async fn keys_are_read_only_for_https() {
    let folder = Folder::new();
    let lines = "private_key_file=DIR/absent\ncertificate_file=DIR/absent\n";
    folder.bind(lines).await.expect("plain HTTP");
    folder
        .check_refused(
            &format!("{lines}management_address=https://127.0.0.1:0"),
            "private_key_file: DIR/absent cannot be read: No such file or directory (os error 2)",
        )
        .await;
    let made = folder.bind("inference_address=https://127.0.0.1:0").await;
    let address = made.expect("a certificate is made").inference.address();
    assert!(address.starts_with("https://127.0.0.1:"), "{address}");
}
