//! Accepting connections and serving HTTP on them: our own loop, for the sake of its bounds and of its end. TCP, TLS and
//! Unix sockets differ in how a connection begins and in nothing else; HTTP/1.1 and the HTTP/2 of gRPC in what is said then
//! (`connection/http1.rs`, `connection/http2.rs`).

mod greeting;
mod http1;
mod http2;
mod kept;
mod watched;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::listeners::{Accepted, Listener};
use greeting::{Greeting, greet, https_only};

/// The bounds of the connections of one listener.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// The most connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// From a request's first byte to the end of its head; and, before that, for a TLS handshake.
    pub header_timeout: Duration,
    /// How long a connection may stand open with no request on it.
    pub idle_timeout: Duration,
}

/// What is spoken on the connections of one listener.
#[derive(Debug, Clone, Copy)]
pub enum Protocol {
    Http1,
    /// That of gRPC.
    Http2(Age),
}

/// How long a connection may last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Age {
    /// After so long it is asked to end. `None`: never.
    pub most: Option<Duration>,
    /// So long its calls are given to finish then. `None`: as long as they take.
    pub grace: Option<Duration>,
}

/// An answer whose body says so lasts as long as its maker wants: silence within it ends no connection. It sees to it itself
/// that a client who does not read does not stay for ever.
#[derive(Debug, Clone, Copy)]
pub struct Lasting;

/// Where a request came from, as the access log tells it: `/127.0.0.1:4711`, or `unix:pid=4711`.
#[derive(Debug, Clone, Copy)]
pub enum Peer {
    Tcp(SocketAddr),
    /// The process that connected, where the system says which.
    Unix(Option<i32>),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => write!(f, "/{address}"),
            Peer::Unix(Some(process)) => write!(f, "unix:pid={process}"),
            Peer::Unix(None) => f.write_str("unix:"),
        }
    }
}

/// Serves until `stop`; then accepts nothing more and returns. Connections finish what they are at, as tasks of `tracker`.
pub async fn accept(
    listener: Listener,
    protocol: Protocol,
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
        let Some((accepted, place)) = accepted else {
            return;
        };
        let conversation = Conversation {
            protocol,
            router: router.clone(),
            limits,
            stop: stop.clone(),
        };
        tracker.spawn(async move {
            match accepted {
                Accepted::Tcp {
                    stream,
                    address,
                    tls,
                } => conversation.over_tcp(stream, address, tls).await,
                Accepted::Unix(stream) => conversation.over_unix(stream).await,
            }
            drop(place);
        });
    }
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn next(listener: &Listener, room: &Arc<Semaphore>) -> Option<(Accepted, Place)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok(accepted) => return Some((accepted, place)),
            // The connection went away again, or descriptors ran out; neither is a reason to end, and the second passes.
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// What is said on one connection, and until when.
struct Conversation {
    protocol: Protocol,
    router: Router,
    limits: ConnectionLimits,
    stop: CancellationToken,
}

impl Conversation {
    async fn over_tcp(mut self, stream: TcpStream, address: SocketAddr, tls: Option<TlsAcceptor>) {
        let peer = Peer::Tcp(address);
        if let Err(error) = stream.set_nodelay(true) {
            debug!("{peer}: {error}");
        }
        let Some(tls) = tls else {
            return self.serve(stream, peer).await;
        };
        let greeting = tokio::time::timeout(self.limits.header_timeout, greet(stream, &tls));
        let greeting = tokio::select! {
            greeting = greeting => greeting,
            // No request is at hand yet that would have to be answered.
            () = self.stop.cancelled() => return,
        };
        match greeting {
            Ok(Ok(Greeting::Tls(stream))) => self.serve(stream, peer).await,
            Ok(Ok(Greeting::Plain(stream))) => {
                self.router = https_only();
                self.serve(stream, peer).await;
            }
            Ok(Err(error)) => debug!("{peer}: no TLS handshake: {error}"),
            Err(_) => debug!("{peer}: the TLS handshake took too long"),
        }
    }

    async fn over_unix(self, stream: UnixStream) {
        let process = stream.peer_cred().ok().and_then(|peer| peer.pid());
        self.serve(stream, Peer::Unix(process)).await;
    }

    async fn serve<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.protocol {
            Protocol::Http1 => http1::serve(stream, peer, self).await,
            Protocol::Http2(age) => http2::serve(stream, peer, self, age).await,
        }
    }
}
