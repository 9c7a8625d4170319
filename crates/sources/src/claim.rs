//! Who has which name of the store: a name is claimed when its archive is about to be brought, and free again when the
//! copy is nobody's any more.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Clone, Default)]
pub(crate) struct Claims(Arc<Mutex<HashSet<String>>>);

/// A name that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Claims,
    file: String,
}

impl Claims {
    /// `None` if somebody has it.
    pub(crate) fn take(&self, file: &str) -> Option<Claim> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Not `then_some`: a claim made in vain would set the name free.
        taken.insert(file.to_owned()).then(|| Claim {
            claims: self.clone(),
            file: file.to_owned(),
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut taken = self.claims.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.file);
    }
}
