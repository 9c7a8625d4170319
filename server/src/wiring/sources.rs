//! The crate that brings archives, as the sources that serving asks.

use std::sync::Arc;

use serving::{Bringing, Source, SourceError, SourceOptions};
use sources::{Error, Options, Settings, Sources};
use tracing::warn;

use crate::config::Config;

/// What brings archives into the model store, and what brings them into the workflow store, as the configuration and the
/// environment's variables of AWS allow.
pub(super) fn sources(config: &Config) -> (Remote, Remote) {
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
    let models = Arc::new(Sources::new(&config.model_store, settings.clone()));
    // One folder has one keeper of its names.
    let workflows = if config.workflow_store == config.model_store {
        Arc::clone(&models)
    } else {
        Arc::new(Sources::new(&config.workflow_store, settings))
    };
    let remote = |sources, told| Remote { sources, told };
    (
        remote(models, told_of_model as Told),
        remote(workflows, told_of_workflow as Told),
    )
}

fn aws_variables() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("AWS_"))
        .collect()
}

pub(super) struct Remote {
    sources: Arc<Sources>,
    told: Told,
}

/// Puts a failure in the words that clients know.
type Told = fn(&Error) -> SourceError;

impl Source for Remote {
    fn bring<'a>(&'a self, url: &'a str, options: SourceOptions) -> Bringing<'a> {
        let options = Options {
            s3_sse_kms: options.s3_sse_kms,
            reuse: options.at_startup,
        };
        Box::pin(async move {
            let brought = self.sources.bring(url, options).await.map_err(|error| {
                // At start, the log hears of it anyway.
                if !options.reuse {
                    warn!("{error}");
                }
                (self.told)(&error)
            })?;
            let name = brought.name().to_owned();
            Ok(serving::Brought::new(name, move || {
                if let Err(error) = brought.remove() {
                    warn!("the copy of an archive stays in the store: {error}");
                }
            }))
        })
    }
}

/// TorchServe has other words for workflows, and of a file that is there it says no more than the name.
fn told_of_workflow(error: &Error) -> SourceError {
    match error {
        Error::UnknownScheme { url } => {
            SourceError::Refused(format!("Workflow not found at: {url}"))
        }
        Error::Exists { file } | Error::Busy { file } => SourceError::Exists(file.clone()),
        Error::NotAllowed { .. } | Error::RelativePath { .. } | Error::Failed { .. } => {
            told_of_model(error)
        }
    }
}

fn told_of_model(error: &Error) -> SourceError {
    let text = error.to_string();
    match error {
        Error::NotAllowed { .. } | Error::UnknownScheme { .. } | Error::RelativePath { .. } => {
            SourceError::Refused(text)
        }
        Error::Exists { .. } | Error::Busy { .. } => SourceError::Exists(text),
        Error::Failed { .. } => SourceError::Failed(text),
    }
}
