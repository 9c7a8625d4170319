//! One key: made of the system's randomness, compared without telling how much of it was right.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use subtle::ConstantTimeEq as _;

use super::AuthError;

/// Eight characters. Without `Debug` and `Display`, so that it is not printed by accident.
#[derive(Clone)]
pub(super) struct Key(String);

impl Key {
    /// Six random bytes in URL-safe base64, as TorchServe's keys are.
    pub(super) fn random() -> Result<Self, AuthError> {
        let mut bytes = [0; 6];
        getrandom::fill(&mut bytes).map_err(AuthError::Random)?;
        Ok(Key(URL_SAFE.encode(bytes)))
    }

    /// For the key file alone.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// In a time that depends on the length of `token` at most.
    pub(super) fn is(&self, token: &str) -> bool {
        self.0.as_bytes().ct_eq(token.as_bytes()).into()
    }
}

/// A key that opens nothing from a moment on.
#[derive(Clone)]
pub(super) struct Expiring {
    pub(super) key: Key,
    pub(super) until: SystemTime,
}

impl Expiring {
    /// A new key, for `lifetime` from `now`, or to the end of the year 9999, after which dates have other lengths.
    pub(super) fn new(now: SystemTime, lifetime: Duration) -> Result<Self, AuthError> {
        let end = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        Ok(Expiring {
            key: Key::random()?,
            until: now
                .checked_add(lifetime)
                .map_or(end, |until| until.min(end)),
        })
    }

    pub(super) fn admits(&self, token: &str, now: SystemTime) -> bool {
        self.key.is(token) && now < self.until
    }
}
