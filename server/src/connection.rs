//! Accepting connections and serving HTTP on them: our own loop, for the sake of its bounds and of its end.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};

/// The bounds of connections.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// The most connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// From a request's first byte to the end of its head.
    pub header_timeout: Duration,
    /// How long a connection may stand open with no request on it.
    pub idle_timeout: Duration,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(SocketAddr);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

/// Serves until `stop`; then accepts nothing more and returns. Connections finish what they are at, as tasks of `tracker`.
pub async fn accept(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    stop: CancellationToken,
    tracker: TaskTracker,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = next(&listener, &room) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            return;
        };
        let (router, stop) = (router.clone(), stop.clone());
        tracker.spawn(async move {
            serve(stream, peer, router, limits, stop).await;
            drop(place);
        });
    }
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, Place)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, place)),
            // The connection went away again, or descriptors ran out; neither is a reason to end, and the second passes.
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: ConnectionLimits,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!("{peer}: {error}");
    }
    let turns = Arc::new(AtomicUsize::new(0));
    let service = hyper::service::service_fn({
        let turns = Arc::clone(&turns);
        move |request: Request<Incoming>| {
            let (router, turns) = (router.clone(), Arc::clone(&turns));
            async move {
                turns.fetch_add(1, Ordering::Relaxed);
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(Peer(peer));
                let response = router.oneshot(request).await;
                turns.fetch_add(1, Ordering::Relaxed);
                response
            }
        }
    });
    let stream = TokioIo::new(Watched::new(stream, turns, limits));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The watch below tells an idle connection from a slow head; this bound holds for both together.
        .header_read_timeout(limits.idle_timeout + limits.header_timeout)
        .serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            // The request at hand is answered; then the connection closes.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!("{peer}: {error}");
    }
}

/// A stream that ends when it stays silent too long between requests, or when a head drips in too slowly.
struct Watched<S> {
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
    fn new(stream: S, turns: Arc<AtomicUsize>, limits: ConnectionLimits) -> Self {
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
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        // A request may begin and end between two reads, so that being busy would not be noticed: hence a count.
        let turns = this.turns.load(Ordering::Relaxed);
        if turns != this.seen {
            this.seen = turns;
            (this.in_head, this.armed) = (false, false);
        }
        if turns % 2 == 1 {
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
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
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
