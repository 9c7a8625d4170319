//! The two servers of a comparison, each with its inference and its management API.

use std::path::Path;
use std::time::Duration;

use crate::Context;
use crate::args::Options;
use crate::compare::args::Compare;
use crate::compare::samples::MOST_BYTES;
use crate::endpoint::{Api, Endpoint};
use crate::error::Error;
use crate::http::Server;
use crate::places::Place;
use crate::session::QUICK;
use crate::tls;
use crate::token::Keys;

/// TorchServe's own bound of a prediction.
const PREDICTION: Duration = Duration::from_secs(120);

pub(super) struct Side {
    name: &'static str,
    pub(super) inference: Server,
    pub(super) management: Server,
}

impl Side {
    /// TorchServe, whose key file may lie in `folder`.
    pub(super) fn theirs(
        args: &Compare,
        folder: Option<&Path>,
        context: &Context<'_>,
    ) -> Result<Self, Error> {
        let inference = args.compare.clone();
        let options = Options {
            management: beside(args.management.as_ref(), inference.as_ref(), "--compare")?,
            inference,
            key_file: args.their_key_file.clone(),
            token: args.their_token.clone(),
            ..shared(args)
        };
        // The key file of the working directory is Torchrelay's.
        let folder = folder.unwrap_or(Path::new(""));
        let nowhere = folder.as_os_str().is_empty();
        let folder = if nowhere {
            &context.folder.join("no-such-folder")
        } else {
            folder
        };
        Side::find("theirs", &options, folder, context)
    }

    pub(super) fn ours(args: &Compare, context: &Context<'_>) -> Result<Self, Error> {
        let options = Options {
            management: beside(args.our_management.as_ref(), args.ours.as_ref(), "--ours")?,
            inference: args.ours.clone(),
            key_file: args.key_file.clone(),
            token: args.token.clone(),
            ..shared(args)
        };
        Side::find("ours", &options, &context.folder, context)
    }

    fn find(
        name: &'static str,
        options: &Options,
        folder: &Path,
        context: &Context<'_>,
    ) -> Result<Self, Error> {
        let server = |api, patience| {
            let place = Place::find(api, options, context)?;
            let keys = Keys::find(options, &place, folder);
            let https = place.endpoint.is_https();
            let tls = https.then(|| tls::config(options)).transpose()?;
            let patience = options.timeout.map_or(patience, Duration::from_secs);
            Ok::<Server, Error>(Server::new(place, keys, tls, patience).at_most(MOST_BYTES))
        };
        Ok(Side {
            name,
            inference: server(Api::Inference, PREDICTION)?,
            management: server(Api::Management, QUICK)?,
        })
    }

    /// The error with the server that it is about.
    pub(super) fn named(&self, error: Error) -> Error {
        let Error::Refused { message, document } = error else {
            return error;
        };
        let (name, address) = (self.name, self.management.address());
        let message = format!("{name} ({address}): {message}");
        Error::Refused { message, document }
    }
}

fn shared(args: &Compare) -> Options {
    Options {
        ca: args.ca.clone(),
        insecure: args.insecure,
        timeout: args.timeout,
        ..Options::default()
    }
}

/// The address of the management API: the one that was typed, or the usual one on the machine of the inference API.
fn beside(
    typed: Option<&String>,
    inference: Option<&String>,
    flag: &str,
) -> Result<Option<String>, Error> {
    let (None, Some(text)) = (typed, inference) else {
        return Ok(typed.cloned());
    };
    let endpoint = Endpoint::parse(text, Api::Inference)
        .map_err(|message| Error::Usage(format!("{flag} {text}: {message}")))?;
    Ok(Some(endpoint.beside(Api::Management).to_string()))
}
