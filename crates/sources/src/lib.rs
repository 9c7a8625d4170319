//! Brings an archive from a url into the model store: `http://`, `https://`, `file://` and `s3://`.
//!
//! It fetches bytes and puts them under their final name, whole or not at all; what is in them is the business of
//! `archive`. It knows neither models nor wires. The daemon's wiring puts [`Sources`] behind the trait that `serving`
//! asks. In the order in which a url travels:
//!
//! 1. [`AllowedUrls`] and `target.rs`: may it be fetched at all, and under which name.
//! 2. `staging.rs`: the part file, hidden in the store, locked, and perhaps half full from an earlier attempt.
//! 3. `download.rs`: attempts, pauses, caps on size and time; `progress.rs` tells the log.
//! 4. `origin.rs`: one attempt, over HTTP (`web.rs`, which `guard.rs` keeps off private networks) or from a file.
//! 5. `staging.rs` again: everything is on the disk before the name is.
//!
//! Two crates share the work. `reqwest` does HTTP, S3's too, because each redirect and each resolved address is to be
//! checked on the connection that is really used, and because an object of S3 then resumes, stalls and is bounded by
//! the same code. `object_store` knows where credentials of AWS come from and how a request is signed; its own HTTP
//! client lets nobody between a name and its addresses. Proxies are not used: a proxy would resolve names out of sight.
//!
//! Dropping the future of [`Sources::bring`] ends a download and leaves its part file, from which the next goes on.

mod address;
mod allowed;
mod brought;
mod claim;
mod client;
mod download;
mod error;
mod guard;
mod note;
mod origin;
mod progress;
mod s3;
mod staging;
mod stale;
mod target;
mod web;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use allowed::AllowedUrls;
pub use brought::Brought;
pub use error::{Cause, Error};
pub use target::shown;

use claim::Claims;
use client::Clients;
use origin::Origin;
use s3::Aws;
use staging::Staging;
use target::{Place, Target};
use tracing::info;
use web::Web;

/// Where archives may come from, and how much patience there is.
#[derive(Debug, Clone)]
pub struct Settings {
    pub allowed: AllowedUrls,
    /// Whether hosts may have private, loopback and link-local addresses.
    pub allow_private: bool,
    /// The largest archive, in bytes.
    pub max_size: u64,
    /// How long one archive may take in all.
    pub timeout: Duration,
    /// How long it may stand still.
    pub stall: Duration,
    /// How often a broken download is taken up again without getting any further.
    pub retries: u32,
    /// The first pause before that; each next one is twice as long.
    pub pause: Duration,
    /// Variables of the environment that begin with `AWS_`.
    pub aws: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            allowed: AllowedUrls::default(),
            allow_private: false,
            max_size: 16 << 30,
            timeout: Duration::from_secs(3600),
            stall: Duration::from_secs(60),
            retries: 4,
            pause: Duration::from_secs(1),
            aws: Vec::new(),
        }
    }
}

/// What a caller asks beside the url.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Sign the request for S3 and ask for its encryption by KMS.
    pub s3_sse_kms: bool,
    /// Take a copy of the same url that an earlier run of the server left in the store, instead of refusing its name.
    pub reuse: bool,
}

/// Brings archives into one model store.
#[derive(Debug)]
pub struct Sources {
    store: PathBuf,
    settings: Settings,
    clients: Clients,
    aws: Aws,
    claims: Claims,
}

impl Sources {
    /// `store` is the folder of the model store. Nothing is opened yet.
    pub fn new(store: &Path, settings: Settings) -> Self {
        Sources {
            store: store.to_owned(),
            clients: Clients::new(&settings),
            aws: Aws::new(&settings.aws),
            claims: Claims::default(),
            settings,
        }
    }

    /// Brings the archive of `url` into the store, under the last segment of its path.
    ///
    /// # Errors
    /// [`Error`] says what the caller can do about it; nothing is left under the final name.
    pub async fn bring(&self, url: &str, options: Options) -> Result<Brought, Error> {
        let target = Target::check(url, &self.settings.allowed)?;
        let file = &target.file;
        let busy = || Error::Busy { file: file.clone() };
        let exists = || Error::Exists { file: file.clone() };
        let failed = |cause| Error::Failed {
            url: target.shown.clone(),
            cause,
        };
        stale::sweep(&self.store).await;
        let paths = target.paths(&self.store);
        let there = paths.file.symlink_metadata().is_ok();
        let Some(claim) = self.claims.take(file) else {
            return Err(if there { exists() } else { busy() });
        };
        if there {
            if !options.reuse {
                return Err(exists());
            }
            let earlier = Brought::by_earlier_run(paths, claim).ok_or_else(exists)?;
            info!(
                "{file} is in the store already, where an earlier run brought it from {}",
                target.shown
            );
            return Ok(earlier);
        }
        let staging = Staging::open(paths, claim).await.map_err(failed)?;
        let mut staging = staging.ok_or_else(busy)?;
        let origin = self.origin(&target, options);
        if let Err(cause) =
            download::run(&origin, &mut staging, &self.settings, &target.shown).await
        {
            if cause.spoils_the_part() || staging.length() == 0 {
                staging.remove();
            }
            return Err(failed(cause));
        }
        staging.finish().await.map_err(failed)?.ok_or_else(exists)
    }

    fn origin<'a>(&'a self, target: &'a Target, options: Options) -> Origin<'a> {
        match &target.place {
            Place::File(path) => Origin::File(path),
            Place::Web(_) | Place::S3 { .. } => Origin::Web(Web {
                place: &target.place,
                kms: options.s3_sse_kms,
                settings: &self.settings,
                clients: &self.clients,
                aws: &self.aws,
            }),
        }
    }
}
