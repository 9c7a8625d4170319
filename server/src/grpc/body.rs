//! The bounds on what a call brings: the size of a message, the time it may stand still, and what all calls hold together.
//!
//! The messages are told apart here by their heads alone (a byte for compression and four for the length, before each), so
//! that one that is too large is refused before it is read, and so that silence between the messages of a stream is no
//! stall. What is in them is read by the services.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;

use super::status;
use crate::app::BodyLimits;
use crate::memory::Claim;

/// How many bytes come before each message.
const HEAD: usize = 5;

/// The most that an answer may be: that of a model, and what goes around it.
pub(super) fn most_to_send(max_response_size: usize) -> usize {
    max_response_size.saturating_add(1 << 16)
}

/// A call's body under the limits. What it holds is given back when the second of the two is dropped too, which is for who
/// works on the message.
pub(super) fn bounded(body: Body, limits: &BodyLimits) -> (Body, Held) {
    let held = Held(Arc::new(Mutex::new(limits.memory.claim())));
    let bounded = Bounded {
        body,
        progress: Progress::new(limits.size),
        stall: limits.stall,
        timer: None,
        limits: limits.clone(),
        held: held.clone(),
    };
    (Body::new(bounded), held)
}

/// A call's part of the memory for bodies.
#[derive(Clone)]
pub(super) struct Held(Arc<Mutex<Claim>>);

struct Bounded {
    body: Body,
    progress: Progress,
    stall: Duration,
    /// Since something is waited for: most messages are there at once, and need no clock.
    timer: Option<Pin<Box<Sleep>>>,
    limits: BodyLimits,
    held: Held,
}

impl Bounded {
    fn received(&mut self, bytes: &[u8]) -> Result<(), Status> {
        let begun = self.progress.feed(bytes)?;
        let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        if begun > 0 {
            // Those before it have been read.
            *held = self.limits.memory.claim();
        }
        held.grow(bytes.len()).map_err(status::of_request)?;
        self.timer = None;
        Ok(())
    }
}

impl hyper::body::Body for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(bytes) = frame.data_ref()
                    && let Err(refused) = this.received(&bytes.clone())
                {
                    return Poll::Ready(Some(Err(refused)));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let status = Status::cancelled(format!("the message broke off: {error}"));
                Poll::Ready(Some(Err(status)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if this.progress.between_messages() => Poll::Pending,
            Poll::Pending => {
                let start = || Box::pin(tokio::time::sleep(this.stall));
                let timer = this.timer.get_or_insert_with(start);
                ready!(timer.as_mut().poll(cx));
                let seconds = this.stall.as_secs();
                let text = format!("the message stood still for {seconds} s");
                Poll::Ready(Some(Err(Status::deadline_exceeded(text))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where in its messages a body is.
#[derive(Debug)]
struct Progress {
    most: usize,
    head: [u8; HEAD],
    /// How much of the head has arrived.
    of_head: usize,
    /// How much of the message is still to come, its head aside.
    rest: usize,
    /// How many messages have begun.
    messages: usize,
}

impl Progress {
    fn new(most: usize) -> Self {
        Progress {
            most,
            head: [0; HEAD],
            of_head: 0,
            rest: 0,
            messages: 0,
        }
    }

    /// Whether the next message, if there is one, has not begun, and it is not the first: that one is due.
    fn between_messages(&self) -> bool {
        self.messages > 0 && self.rest == 0 && self.of_head == 0
    }

    /// How many further messages begin within these bytes, the first of all not counted.
    fn feed(&mut self, mut bytes: &[u8]) -> Result<usize, Status> {
        let before = self.messages.max(1);
        while !bytes.is_empty() {
            if self.rest > 0 {
                let taken = self.rest.min(bytes.len());
                self.rest -= taken;
                bytes = &bytes[taken..];
                continue;
            }
            let taken = (HEAD - self.of_head).min(bytes.len());
            self.head[self.of_head..self.of_head + taken].copy_from_slice(&bytes[..taken]);
            self.of_head += taken;
            bytes = &bytes[taken..];
            if self.of_head == HEAD {
                let [_, length @ ..] = self.head;
                self.rest = u32::from_be_bytes(length) as usize;
                self.of_head = 0;
                self.messages += 1;
                if self.rest > self.most {
                    let (found, most) = (self.rest, self.most);
                    return Err(Status::resource_exhausted(format!(
                        "the message holds {found} bytes, more than max_request_size, which is {most}"
                    )));
                }
            }
        }
        Ok(self.messages.saturating_sub(before))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::memory::Memory;

    /// Pieces of a body to where they lead: how many messages have begun and whether the next has.
    #[test]
    fn messages_are_told_apart_however_they_are_cut() {
        let check = |pieces: &[&[u8]], messages: usize, between: bool| {
            let mut progress = Progress::new(10);
            for piece in pieces {
                progress.feed(piece).expect("small messages");
            }
            assert_eq!(
                (progress.messages, progress.between_messages()),
                (messages, between),
                "{pieces:?}"
            );
        };
        check(&[], 0, false);
        check(&[&[0, 0, 0]], 0, false);
        check(&[&[0, 0, 0, 0, 0]], 1, true);
        check(&[&[0, 0], &[0, 0, 2, 7]], 1, false);
        check(&[&[0, 0, 0, 0, 2, 7], &[7]], 1, true);
        check(&[&[0, 0, 0, 0, 1, 7, 1, 0, 0, 0, 1, 9, 0]], 2, false);
        let refused = Progress::new(10).feed(&[0, 0, 0, 0, 11]);
        let refused = refused.expect_err("more than ten");
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    }

    #[tokio::test]
    async fn what_a_message_holds_is_counted_until_it_is_done_with() {
        let memory = Memory::new(16);
        let limits = BodyLimits {
            size: 100,
            stall: Duration::from_secs(5),
            memory: memory.clone(),
            copied: servable::Copied::default(),
        };
        let message = |length: u8| {
            let mut bytes = vec![0, 0, 0, 0, length];
            bytes.resize(5 + usize::from(length), 1);
            Body::from(bytes)
        };
        let (body, held) = bounded(message(10), &limits);
        body.collect().await.expect("within the bound");
        let (second, _held) = bounded(message(0), &limits);
        let refused = second.collect().await.expect_err("no room for 5 bytes");
        let refused = Status::from_error(refused.into());
        assert_eq!(refused.code(), tonic::Code::Unavailable);
        drop((held, _held));
        let (third, _) = bounded(message(10), &limits);
        third.collect().await.expect("room again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_stands_still_is_given_up() {
        let limits = BodyLimits {
            size: 100,
            stall: Duration::from_secs(5),
            memory: Memory::new(100),
            copied: servable::Copied::default(),
        };
        let begun = Bytes::from_static(&[0, 0, 0, 0, 9, 1]);
        let first = futures_util::stream::once(async { Ok::<_, Status>(begun) });
        let silent = futures_util::StreamExt::chain(first, futures_util::stream::pending());
        let (body, _held) = bounded(Body::from_stream(silent), &limits);
        let refused = body.collect().await.expect_err("eight bytes are missing");
        let refused = Status::from_error(refused.into());
        assert_eq!(refused.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(refused.message(), "the message stood still for 5 s");
    }
}
