//! The HTTP/2 of gRPC on one connection: how many calls at once, how much of them in flight, and when it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;
use tracing::debug;

use super::kept::Kept;
use super::{Age, Conversation, Peer};

/// The most calls at once on one connection; a client holds back more.
const CALLS: u32 = 1024;

/// How many bytes of one call, and of all calls together, may be under way to us before somebody reads them. As much as a
/// picture's worth for one: a large tensor should not wait for round trips.
const CALL_WINDOW: u32 = 1 << 20;
const WINDOW: u32 = 4 << 20;

/// The most that a client may put into one frame. Each frame costs about as much as copying 16 kB, which is what it may hold
/// unless told otherwise; and other calls of the connection wait no longer than for one.
const FRAME: u32 = 256 << 10;

/// How long a client that does not answer a ping is believed to be there.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What goes on on a connection.
#[derive(Default)]
struct Calls {
    inside: AtomicUsize,
    /// Counts those that have begun.
    begun: AtomicU64,
}

/// A call that is inside as long as this lives: until its answer, or until the client has cancelled it.
struct Inside(Arc<Calls>);

impl Inside {
    fn enter(calls: &Arc<Calls>) -> Self {
        calls.begun.fetch_add(1, Ordering::Relaxed);
        calls.inside.fetch_add(1, Ordering::Relaxed);
        Inside(Arc::clone(calls))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves until the client goes, until it has been idle for too long, until it is too old, or until `stop`. But for the
/// first, the client is told to open another connection for its next call, and calls at hand are finished.
pub(super) async fn serve<S>(stream: S, peer: Peer, conversation: Conversation, age: Age)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Conversation {
        router,
        limits,
        stop,
        protocol: _,
    } = conversation;
    let calls = Arc::new(Calls::default());
    let service = hyper::service::service_fn({
        let calls = Arc::clone(&calls);
        move |request: Request<Incoming>| {
            let router = router.clone();
            let inside = Inside::enter(&calls);
            async move {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(peer);
                let response = router.oneshot(request).await;
                // A stream of answers is a call for as long as it lasts.
                response.map(|response| response.map(|body| Kept::new(body, inside)))
            }
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(CALLS)
        .initial_stream_window_size(CALL_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);

    let begin = Instant::now();
    let mut old = age.most.map(|most| begin + most);
    let mut idle = Some((begin + limits.idle_timeout, 0));
    let mut stopping = false;
    // When it is over in any case.
    let mut end: Option<Instant> = None;
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = stop.cancelled(), if !stopping => {
                (stopping, old, idle) = (true, None, None);
                connection.as_mut().graceful_shutdown();
            }
            () = at(old), if old.is_some() => {
                (old, idle) = (None, None);
                end = age.grace.map(|grace| Instant::now() + grace);
                connection.as_mut().graceful_shutdown();
            }
            () = at(idle.map(|(time, _)| time)), if idle.is_some() => {
                let begun = calls.begun.load(Ordering::Relaxed);
                let same = idle.is_some_and(|(_, seen)| seen == begun);
                if same && calls.inside.load(Ordering::Relaxed) == 0 {
                    (old, idle) = (None, None);
                    // It has nothing to finish; a client that does not even say goodbye is not waited for.
                    end = Some(Instant::now() + limits.header_timeout);
                    connection.as_mut().graceful_shutdown();
                } else {
                    idle = Some((Instant::now() + limits.idle_timeout, begun));
                }
            }
            () = at(end), if end.is_some() => {
                debug!("{peer}: calls were still inside at the end of their time");
                return;
            }
        }
    };
    if let Err(error) = ended {
        debug!("{peer}: {error}");
    }
}

/// At that time; never without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
