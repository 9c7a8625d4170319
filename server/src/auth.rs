//! Token authorization, as TorchServe has it: keys of this start in a file that only its owner reads, and the check that
//! a request carries the right one.
//!
//! There is a key for predictions, one for management, and one, the API key, that renews the other two. The first two
//! expire. Whoever may read the file may use the server; nothing else, the log included, ever tells a key. This is no user
//! management, and without TLS a key travels in the clear.
//!
//! [`crate::serve`] makes the keys; `http/token.rs` puts the check before the endpoints and renews on request.

mod key;
mod key_file;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, header};
use thiserror::Error;
use tracing::{error, info};

use crate::error::Failure;
use key::{Expiring, Key};

/// The name of the key file, which lies in the working directory.
pub const KEY_FILE: &str = "key_file.json";

/// The words with which TorchServe turns down a request, and one to renew a key.
const NOT_AUTHORIZED: &str =
    "Token Authorization failed. Token either incorrect, expired, or not provided correctly";
const NOT_RENEWED: &str =
    "Token Authentication failed. Token either incorrect, expired, or not provided correctly";

/// What a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Inference,
    Management,
}

impl Purpose {
    fn named(name: &str) -> Option<Self> {
        [Purpose::Inference, Purpose::Management]
            .into_iter()
            .find(|purpose| purpose.to_string() == name)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Inference => "inference",
            Purpose::Management => "management",
        })
    }
}

/// Why a start with authorization is refused.
#[derive(Debug, Error)]
pub enum AuthError {
    #[error("token authorization: the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
    #[error(
        "token authorization: cannot write the keys to {} (disable_token_authorization=true does without)",
        path.display()
    )]
    KeyFile {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// The guard of one server: off, or on with its keys. Clones share the keys. It has no `Debug`, so that no key is printed.
#[derive(Clone)]
pub struct Auth(Option<Arc<Guard>>);

struct Guard {
    file: PathBuf,
    lifetime: Duration,
    keys: RwLock<Keys>,
    /// Held while a key is renewed, so that requests are not held up by the disk.
    renewing: Mutex<()>,
}

/// What the key file says.
#[derive(Clone)]
struct Keys {
    management: Expiring,
    inference: Expiring,
    api: Key,
}

impl Auth {
    /// Every request passes, and there is nothing to renew.
    pub fn off() -> Self {
        Auth(None)
    }

    /// Makes new keys and writes them to `file`, in place of what is there. Those that expire do so `lifetime` after `now`.
    ///
    /// # Errors
    /// The system has no randomness, or the file cannot be written.
    pub fn on(file: &Path, lifetime: Duration, now: SystemTime) -> Result<Self, AuthError> {
        let keys = Keys {
            management: Expiring::new(now, lifetime)?,
            inference: Expiring::new(now, lifetime)?,
            api: Key::random()?,
        };
        key_file::write(file, &keys)?;
        info!(
            "token authorization is on; the keys are in {}",
            file.display()
        );
        Ok(Auth(Some(Arc::new(Guard {
            file: file.to_owned(),
            lifetime,
            keys: RwLock::new(keys),
            renewing: Mutex::new(()),
        }))))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a request with these headers may pass at `now`.
    ///
    /// # Errors
    /// The answer to a request without the key for `purpose`, or with one that has expired.
    pub fn check(
        &self,
        purpose: Purpose,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Result<(), Failure> {
        let Some(guard) = &self.0 else {
            return Ok(());
        };
        let keys = guard.keys();
        let key = match purpose {
            Purpose::Inference => &keys.inference,
            Purpose::Management => &keys.management,
        };
        if bearer(headers).is_some_and(|token| key.admits(token, now)) {
            Ok(())
        } else {
            Err(Failure::invalid_key(NOT_AUTHORIZED))
        }
    }

    /// Replaces the key named `kind` (`management` or `inference`), if the headers carry the API key. The new key is told
    /// in the file alone, and the old one opens nothing from then on. Blocks on the disk.
    ///
    /// # Errors
    /// The answer to a request without the API key or with another `kind`; an internal one if the new key cannot be
    /// written, and then the old one stays.
    pub fn renew(
        &self,
        kind: Option<&str>,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Result<(), Failure> {
        let Some(guard) = &self.0 else {
            return Err(Failure::no_such_route());
        };
        let purpose = kind.and_then(Purpose::named);
        match (purpose, bearer(headers)) {
            (Some(purpose), Some(token)) if guard.keys().api.is(token) => {
                guard.renew(purpose, now).map_err(|error| {
                    let error = anyhow::Error::new(error);
                    error!("the {purpose} key stays as it is: {error:#}");
                    Failure::internal("The key file cannot be written.")
                })
            }
            _ => Err(Failure::invalid_key(NOT_RENEWED)),
        }
    }
}

impl Guard {
    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// First the file, then the key in use: a key that nobody can read would lock everybody out.
    fn renew(&self, purpose: Purpose, now: SystemTime) -> Result<(), AuthError> {
        let _turn = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Expiring::new(now, self.lifetime)?;
        let mut keys = self.keys().clone();
        match purpose {
            Purpose::Inference => keys.inference = fresh,
            Purpose::Management => keys.management = fresh,
        }
        key_file::write(&self.file, &keys)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        info!("a new {purpose} key is in {}", self.file.display());
        Ok(())
    }
}

/// The token of the header `Authorization: Bearer <token>`. TorchServe's pattern is `^Bearer\s+(\S+)$`, case and all.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let rest = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer")?;
    let token = rest.trim_start_matches([' ', '\t']);
    let apart = token.len() < rest.len();
    (apart && !token.is_empty() && !token.contains([' ', '\t'])).then_some(token)
}
