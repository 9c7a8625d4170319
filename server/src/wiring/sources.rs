//! The crate that brings archives, as the source that serving asks.

use serving::{Bringing, Source, SourceError, SourceOptions};
use sources::{Error, Options, Settings, Sources};
use tracing::warn;

use crate::config::Config;

/// Brings archives into the model store, as the configuration and the environment's variables of AWS allow.
pub(super) fn source(config: &Config) -> Remote {
    if config.enable_model_api && config.allowed_urls.is_default() {
        warn!(
            "allowed_urls has its default: whoever may register models can have any file and any web server read. Set \
             it to where your archives are."
        );
    }
    let settings = Settings {
        allowed: config.allowed_urls.clone(),
        allow_private: config.allow_private_urls,
        max_size: config.max_download_size,
        timeout: config.download_timeout,
        stall: config.download_stall_timeout,
        aws: aws_variables(),
        ..Settings::default()
    };
    Remote(Sources::new(&config.model_store, settings))
}

fn aws_variables() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("AWS_"))
        .collect()
}

pub(super) struct Remote(Sources);

impl Source for Remote {
    fn bring<'a>(&'a self, url: &'a str, options: SourceOptions) -> Bringing<'a> {
        let options = Options {
            s3_sse_kms: options.s3_sse_kms,
            reuse: options.at_startup,
        };
        Box::pin(async move {
            let brought = self.0.bring(url, options).await.map_err(|error| {
                // At start, the log hears of it anyway.
                if !options.reuse {
                    warn!("{error}");
                }
                told(&error)
            })?;
            let name = brought.name().to_owned();
            Ok(serving::Brought::new(name, move || {
                if let Err(error) = brought.remove() {
                    warn!("the copy of an archive stays in the model store: {error}");
                }
            }))
        })
    }
}

fn told(error: &Error) -> SourceError {
    let text = error.to_string();
    match error {
        Error::NotAllowed { .. } | Error::UnknownScheme { .. } | Error::RelativePath { .. } => {
            SourceError::Refused(text)
        }
        Error::Exists { .. } | Error::Busy { .. } => SourceError::Exists(text),
        Error::Failed { .. } => SourceError::Failed(text),
    }
}
