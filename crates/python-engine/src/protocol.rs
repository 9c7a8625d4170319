//! The two protocols, which `python/PROTOCOL.md` lays down byte by byte. A conversation begins with the first, and goes on
//! with the second if the worker agrees.

pub(crate) mod agreement;
pub(crate) mod one;
pub(crate) mod two;

use worker_process::{Broken, Connection};

use crate::message::{Answer, Load, Request};

/// The connection to one worker and what is spoken on it.
pub(crate) enum Protocol {
    One(one::One),
    Two(two::Two),
}

impl Protocol {
    /// Answers may hold so many bytes.
    pub(crate) fn new(connection: Connection, most: usize) -> Self {
        Protocol::One(one::One::new(connection, most))
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        match self {
            Protocol::One(one) => &mut one.connection,
            Protocol::Two(two) => &mut two.connection,
        }
    }

    /// Has the worker load, and goes on with the protocol on which both agree. Returns its answer, whatever it is.
    pub(crate) fn load(self, load: &Load<'_>) -> Result<(Self, Answer), Broken> {
        let Protocol::One(mut one) = self else {
            return Err(Broken::Protocol("it has loaded already".into()));
        };
        one.send_load(load)?;
        let answer = one.receive()?;
        let agreed = agreement::read(&answer.predictions)?;
        let protocol = if agreed == 2 && answer.code == 200 {
            if one.has_unread() {
                let message = "something follows the answer to the load";
                return Err(Broken::Protocol(message.into()));
            }
            Protocol::Two(two::Two::new(one.connection, one.most))
        } else {
            Protocol::One(one)
        };
        Ok((protocol, answer))
    }

    /// Sends a batch; `typed` allows that its answers are values rather than bodies of HTTP.
    pub(crate) fn send(&mut self, requests: &[Request<'_>], typed: bool) -> Result<(), Broken> {
        match self {
            Protocol::One(one) => one.send(requests),
            Protocol::Two(two) => two.send(requests, typed),
        }
    }

    /// The next answer to the batch that was sent last.
    pub(crate) fn receive(&mut self) -> Result<Answer, Broken> {
        match self {
            Protocol::One(one) => one.receive(),
            Protocol::Two(two) => two.receive(),
        }
    }

    pub(crate) fn number(&self) -> u8 {
        match self {
            Protocol::One(_) => 1,
            Protocol::Two(_) => 2,
        }
    }
}
