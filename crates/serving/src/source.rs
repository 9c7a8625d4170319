//! Where archives come from that are not in the model store: the trait that the wiring supplies, as it does the engine.

use std::fmt;
use std::pin::Pin;

use thiserror::Error;

/// Brings the archive of a url into the model store. Called once per registration whose url has a scheme.
pub trait Source: Send + Sync {
    /// Dropping the future ends it.
    fn bring<'a>(&'a self, url: &'a str, options: SourceOptions) -> Bringing<'a>;
}

/// What [`Source::bring`] works on.
pub type Bringing<'a> = Pin<Box<dyn Future<Output = Result<Brought, SourceError>> + Send + 'a>>;

/// What a registration says beside the url.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceOptions {
    /// Ask S3 for encryption by KMS, with a signed request.
    pub s3_sse_kms: bool,
    /// At start, the copy that an earlier run left in the store is as good as a new one.
    pub at_startup: bool,
}

/// A copy in the model store that belongs to one registration. Dropping it removes it.
#[must_use]
pub struct Brought {
    name: String,
    remove: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Brought {
    /// `name` is the file's, in the store. `remove` may block for a moment.
    pub fn new(name: String, remove: impl FnOnce() + Send + Sync + 'static) -> Self {
        Brought {
            name,
            remove: Some(Box::new(remove)),
        }
    }

    /// The name in the model store.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Leaves the copy where it is: a server that stops is no registration taken back.
    pub fn keep(mut self) {
        self.remove = None;
    }
}

impl Drop for Brought {
    fn drop(&mut self) {
        if let Some(remove) = self.remove.take() {
            remove();
        }
    }
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Brought").field(&self.name).finish()
    }
}

/// Why there is no copy. The text is one line without secrets, in the words that clients of TorchServe know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// Nothing is fetched from there, or nothing can be.
    #[error("{0}")]
    Refused(String),
    /// The store has a file of that name.
    #[error("{0}")]
    Exists(String),
    #[error("{0}")]
    Failed(String),
}

/// Whether a url is for a [`Source`], rather than a name in the store or a folder.
pub fn has_scheme(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// Knows no urls: every archive is in the store already.
pub struct StoreOnly;

impl Source for StoreOnly {
    fn bring<'a>(&'a self, url: &'a str, _: SourceOptions) -> Bringing<'a> {
        let refused = SourceError::Refused(format!("Model not found at: {url}"));
        Box::pin(std::future::ready(Err(refused)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn urls_and_names() {
        let check = |url: &str, expected: bool| assert_eq!(has_scheme(url), expected, "{url}");
        check("http://h/m.mar", true);
        check("file:///m.mar", true);
        check("s3+x://b/m.mar", true);
        check("m.mar", false);
        check("/a/b", false);
        check("://m.mar", false);
        check("a/b://m.mar", false);
        check("", false);
    }

    #[test]
    fn a_copy_goes_with_its_owner_unless_it_is_kept() {
        let gone = Arc::new(AtomicBool::new(false));
        let copy = || {
            let gone = Arc::clone(&gone);
            Brought::new("m.mar".into(), move || gone.store(true, Ordering::SeqCst))
        };
        copy().keep();
        assert!(!gone.load(Ordering::SeqCst));
        drop(copy());
        assert!(gone.load(Ordering::SeqCst));
    }
}
