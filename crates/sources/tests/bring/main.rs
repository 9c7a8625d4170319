//! Archives brought over real sockets from a server that does as it is told: cuts, stalls, redirects, lies.

mod downloads;
mod files;
mod refusals;
mod s3;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sources::{AllowedUrls, Brought, Error, Options, Settings, Sources};

/// A model store in a folder of its own.
struct Store {
    folder: tempfile::TempDir,
    settings: Settings,
}

impl Store {
    /// Everything is allowed, private addresses too, since the server here has one; and nobody is patient.
    fn new() -> Self {
        Store {
            folder: tempfile::tempdir().expect("a folder"),
            settings: Settings {
                allowed: AllowedUrls::parse(".*").expect("an expression"),
                allow_private: true,
                pause: Duration::from_millis(1),
                ..Settings::default()
            },
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    fn sources(&self) -> Sources {
        Sources::new(self.path(), self.settings.clone())
    }

    async fn bring(&self, url: &str) -> Result<Brought, Error> {
        self.sources().bring(url, Options::default()).await
    }

    /// Why it was not brought; and that it left nothing behind.
    async fn refusal(&self, url: &str) -> String {
        let error = self.bring(url).await.expect_err("refused");
        assert_eq!(self.names(), [""; 0], "{error}");
        error.to_string()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn content(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Everything in the store, hidden or not.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    /// The one file whose name ends so.
    fn hidden(&self, end: &str) -> PathBuf {
        let names = self.names();
        let found: Vec<&String> = names.iter().filter(|name| name.ends_with(end)).collect();
        assert_eq!(found.len(), 1, "{end}: {names:?}");
        self.path().join(found[0])
    }
}

/// Bytes that differ everywhere.
fn bytes(count: usize) -> Vec<u8> {
    (0..count)
        .map(|at| (at * 31 + at / 251).to_le_bytes()[0])
        .collect()
}
