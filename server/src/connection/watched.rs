//! The watch over a connection: it ends when it stays silent too long between requests, when a head drips in too slowly,
//! or when nobody reads an answer. What arrives encrypted is watched after its decryption, so TLS gives nobody more time. The loop of
//! `connection.rs` wraps every stream in it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::ConnectionLimits;

/// A stream that ends when it stays silent too long between requests, when a head drips in too slowly, or when an answer
/// is not read on for as long as a connection may stay silent.
pub(super) struct Watched<S> {
    stream: S,
    /// Counts the beginnings and the ends of requests: odd from the end of a head to its answer.
    turns: Arc<AtomicUsize>,
    /// The count when the state below was last looked at.
    seen: usize,
    limits: ConnectionLimits,
    /// Whether bytes of the next head have arrived.
    in_head: bool,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer runs for the state at hand.
    armed: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, turns: Arc<AtomicUsize>, limits: ConnectionLimits) -> Self {
        let timer = Box::pin(tokio::time::sleep(limits.idle_timeout));
        Watched {
            stream,
            turns,
            seen: 0,
            limits,
            in_head: false,
            timer,
            armed: true,
        }
    }

    fn arm(&mut self, time: Duration) {
        self.timer.as_mut().reset(Instant::now() + time);
        self.armed = true;
    }

    /// Whether a request is at hand. Begins a new state when one has begun or ended since.
    fn is_in_request(&mut self) -> bool {
        // A request may begin and end between two calls, so that being busy would not be noticed: hence a count.
        let turns = self.turns.load(Ordering::Relaxed);
        if turns != self.seen {
            self.seen = turns;
            (self.in_head, self.armed) = (false, false);
        }
        turns % 2 == 1
    }

    /// What became of a write. A client that reads, however slowly, is not silent; one that does not is, in time.
    fn after_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<std::io::Result<T>>,
    ) -> Poll<std::io::Result<T>> {
        if self.is_in_request() {
            return written;
        }
        if written.is_ready() {
            // The head of the next request, if it has begun, keeps its own time.
            self.armed &= self.in_head;
            return written;
        }
        if !self.armed {
            self.arm(self.limits.idle_timeout);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if this.is_in_request() {
            // A body: its time is watched where it is read.
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        if !this.armed {
            this.arm(this.limits.idle_timeout);
        }
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            if buffer.filled().len() > before && !this.in_head {
                this.in_head = true;
                this.arm(this.limits.header_timeout);
            }
            return Poll::Ready(read);
        }
        ready!(this.timer.as_mut().poll(cx));
        Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.after_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.after_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
