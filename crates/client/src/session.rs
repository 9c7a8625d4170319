//! What one run of a command works with: its options, where it prints, and servers made from both.

use std::time::Duration;

use crate::Context;
use crate::args::Options;
use crate::endpoint::Api;
use crate::error::Error;
use crate::http::{Answer, Call, Server};
use crate::output::Output;
use crate::places::Place;
use crate::text::Line;
use crate::tls;
use crate::token::Keys;

/// For what a server answers from memory.
pub(crate) const QUICK: Duration = Duration::from_secs(30);
/// For what loads models or computes; the server has bounds of its own, which are shorter unless somebody set them.
pub(crate) const LONG: Duration = Duration::from_secs(600);

pub(crate) struct Session<'a> {
    pub(crate) options: Options,
    pub(crate) context: &'a Context<'a>,
    pub(crate) output: &'a mut Output,
}

impl Session<'_> {
    /// The server of that API. `patience` is how long a call may take where `--timeout` does not say.
    pub(crate) fn server(&self, api: Api, patience: Duration) -> Result<Server, Error> {
        let place = Place::find(api, &self.options, self.context)?;
        let keys = Keys::find(&self.options, &place, &self.context.folder);
        let tls = place
            .endpoint
            .is_https()
            .then(|| tls::config(&self.options))
            .transpose()?;
        let patience = self.options.timeout.map_or(patience, Duration::from_secs);
        Ok(Server::new(place, keys, tls, patience))
    }

    /// Sends a call that has to succeed. With `--json` the server's document is printed.
    pub(crate) async fn ask(&mut self, server: &mut Server, call: &Call) -> Result<Answer, Error> {
        let answer = server.ask(call).await?;
        if self.options.json {
            self.output.bytes(&answer.body)?;
        }
        Ok(answer)
    }

    /// Prints for people; with `--json` the document was printed already.
    pub(crate) fn show(&mut self, lines: &[Line]) -> Result<(), Error> {
        if self.options.json {
            return Ok(());
        }
        self.output.lines(lines)
    }
}
