//! Which address is asked: that of the API's own flag, that of `--address`, or that of the configuration.

use crate::args::Options;
use crate::endpoint::{Api, Endpoint};
use crate::error::Error;
use crate::{Configured, Context};

/// An API at its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) api: Api,
    pub(crate) endpoint: Endpoint,
    /// Whether the configuration named it, and not somebody at the keyboard.
    pub(crate) configured: bool,
}

impl Place {
    /// The configuration is read only where no flag says where to go, so that a broken one hinders nobody else.
    pub(crate) fn find(api: Api, options: &Options, context: &Context<'_>) -> Result<Self, Error> {
        let own = match api {
            Api::Inference => (&options.inference, "--inference"),
            Api::Management => (&options.management, "--management"),
            Api::Metrics => (&options.metrics, "--metrics"),
        };
        for (text, flag) in [own, (&options.address, "--address")] {
            if let Some(text) = text {
                let endpoint = Endpoint::parse(text, api)
                    .map_err(|message| Error::Usage(format!("{flag} {text}: {message}")))?;
                return Ok(Place {
                    api,
                    endpoint,
                    configured: false,
                });
            }
        }
        let configured = (context.configured)(options.config.as_deref()).map_err(Error::Usage)?;
        Place::configured(api, &configured)
    }

    fn configured(api: Api, configured: &Configured) -> Result<Self, Error> {
        let text = match api {
            Api::Inference => &configured.inference,
            Api::Management => &configured.management,
            Api::Metrics => &configured.metrics,
        };
        let name = api.name();
        if text.starts_with("http") && text.ends_with(":0") {
            return Err(Error::Usage(format!(
                "the configuration leaves the port to the system ({name}_address={text}); the daemon's log tells it, and \
                 --{name} takes it"
            )));
        }
        let endpoint = Endpoint::parse(text, api)
            .map_err(|message| Error::Usage(format!("{name}_address {text}: {message}")))?;
        Ok(Place {
            api,
            endpoint,
            configured: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn configured(file: Option<&Path>) -> Result<Configured, String> {
        let host = match file {
            None => "127.0.0.1",
            Some(path) if path == Path::new("other") => "0.0.0.0",
            Some(_) => return Err("no such file".to_owned()),
        };
        Ok(Configured {
            inference: format!("http://{host}:8080"),
            management: "unix:/run/m".to_owned(),
            metrics: "http://127.0.0.1:0".to_owned(),
        })
    }

    fn check(api: Api, options: &Options, expected: &str) {
        let context = Context {
            configured: &configured,
            program: clap::Command::new("test"),
            env: &|_| None,
            folder: PathBuf::new(),
        };
        let found = match Place::find(api, options, &context) {
            Ok(place) => {
                let by = if place.configured { "file" } else { "flag" };
                format!("{} by {by}", place.endpoint)
            }
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(found, expected, "{options:?}");
    }

    #[test]
    fn the_nearest_word_counts() {
        let set = |text: &str| Some(text.to_owned());
        let none = Options::default();
        check(Api::Inference, &none, "http://127.0.0.1:8080 by file");
        check(Api::Management, &none, "unix:/run/m by file");
        let zero = "error: the configuration leaves the port to the system (metrics_address=http://127.0.0.1:0); the \
                    daemon's log tells it, and --metrics takes it";
        check(Api::Metrics, &none, zero);
        let file = Options {
            config: Some("other".into()),
            ..Options::default()
        };
        check(Api::Inference, &file, "http://127.0.0.1:8080 by file");
        let absent = Options {
            config: Some("absent".into()),
            ..Options::default()
        };
        check(Api::Inference, &absent, "error: no such file");
        let flags = Options {
            address: set("box"),
            management: set("https://far:1"),
            ..absent
        };
        check(Api::Inference, &flags, "http://box:8080 by flag");
        check(Api::Management, &flags, "https://far:1 by flag");
        check(Api::Metrics, &flags, "http://box:8082 by flag");
        let wrong = Options {
            metrics: set("ftp://x"),
            ..Options::default()
        };
        let expected = "error: --metrics ftp://x: expected http://host[:port], https://host[:port] or unix:/path";
        check(Api::Metrics, &wrong, expected);
    }
}
