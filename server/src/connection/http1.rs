//! HTTP/1.1 on one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceExt;
use tracing::debug;

use super::kept::Kept;
use super::watched::Watched;
use super::{Conversation, Lasting, Peer};

pub(super) async fn serve<S>(stream: S, peer: Peer, conversation: Conversation)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Conversation {
        router,
        limits,
        stop,
        protocol: _,
    } = conversation;
    let turns = Arc::new(AtomicUsize::new(0));
    let service = hyper::service::service_fn({
        let turns = Arc::clone(&turns);
        move |request: Request<Incoming>| {
            let (router, turns) = (router.clone(), Arc::clone(&turns));
            async move {
                turns.fetch_add(1, Ordering::Relaxed);
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(peer);
                // Also where the client leaves before the answer.
                let turn = Turn(turns);
                let response = router.oneshot(request).await;
                response.map(|response| match response.extensions().get() {
                    Some(Lasting) => response.map(|body| Body::new(Kept::new(body, turn))),
                    None => response,
                })
            }
        }
    });
    let stream = TokioIo::new(Watched::new(stream, turns, limits));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The watch tells an idle connection from a slow head; this bound holds for both together.
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

/// Ends a request's turn when it is dropped.
struct Turn(Arc<AtomicUsize>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
