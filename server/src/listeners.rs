//! The sockets that HTTP and gRPC are served on: TCP, with or without TLS, and Unix sockets.
//!
//! [`bind`] opens all of a configuration; `main` calls it, so that a port that is taken or a key that cannot be read is
//! told before anything else starts. What happens on the connections is the affair of `connection.rs`.

pub mod identity;
mod socket_file;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tracing::info;

use crate::config::{Address, Config, Grpc};
use identity::IdentityError;
use socket_file::SocketFile;

/// The sockets of one server.
#[derive(Debug)]
pub struct Listeners {
    pub inference: Listener,
    pub management: Management,
    /// `None`: metrics are not served.
    pub metrics: Option<Listener>,
    /// As many as the configuration has fronts, in their order.
    pub fronts: Vec<Listener>,
    /// `None`: gRPC is not served. No configuration says so; servers within tests do.
    pub grpc: Option<GrpcListeners>,
}

/// The sockets of gRPC.
#[derive(Debug)]
pub struct GrpcListeners {
    pub inference: Listener,
    pub management: Management,
}

/// Where the management API is served.
#[derive(Debug)]
pub enum Management {
    Own(Listener),
    /// On the inference listener, because the two addresses are equal.
    Shared,
    /// Nowhere. No configuration says so; servers within tests do.
    Closed,
}

/// One open socket. Dropping it closes it, and removes the file of a Unix socket.
pub enum Listener {
    Tcp {
        socket: TcpListener,
        /// What shakes hands on an https listener.
        tls: Option<TlsAcceptor>,
    },
    Unix {
        /// Goes before the socket does: see `SocketFile`.
        file: SocketFile,
        socket: UnixListener,
    },
}

/// A connection to a [`Listener`]. A TLS handshake is still to come.
pub(crate) enum Accepted {
    Tcp {
        stream: TcpStream,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
    },
    Unix(UnixStream),
}

/// Why a listener cannot be opened.
#[derive(Debug, Error)]
pub enum ListenError {
    #[error("{key}: cannot listen on {address}")]
    Bind {
        /// The configuration's key, or the front.
        key: String,
        address: Address,
        source: io::Error,
    },
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Opens every listener that the configuration names, and logs `KEY: listening on ADDRESS` for each.
///
/// # Errors
/// The first address that cannot be listened on, or, if one of them is https, what is wrong with the key or the
/// certificate. Listeners that are open by then are closed again.
pub async fn bind(config: &Config) -> Result<Listeners, ListenError> {
    let tls = server_config(config)?;
    let http = tls.clone().map(|tls| acceptor(tls, b"http/1.1"));
    let open = async |key: &str, address| open(key, address, http.as_ref()).await;
    let inference = open("inference_address", &config.inference_address).await?;
    let management = if same(&config.management_address, &config.inference_address) {
        info!("management_address: listening on {}", inference.address());
        Management::Shared
    } else {
        Management::Own(open("management_address", &config.management_address).await?)
    };
    let metrics = if config.enable_metrics_api {
        Some(open("metrics_address", &config.metrics_address).await?)
    } else {
        None
    };
    let mut fronts = Vec::new();
    for front in &config.fronts {
        fronts.push(open(&format!("front {}", front.name), &front.address).await?);
    }
    let grpc = Some(bind_grpc(&config.grpc, tls).await?);
    Ok(Listeners {
        inference,
        management,
        metrics,
        fronts,
        grpc,
    })
}

async fn bind_grpc(grpc: &Grpc, tls: Option<ServerConfig>) -> Result<GrpcListeners, ListenError> {
    let tls = tls.map(|tls| acceptor(tls, b"h2"));
    let open = async |key: &str, address| open(key, address, tls.as_ref()).await;
    let (inference, management) = (&grpc.inference.address, &grpc.management.address);
    Ok(GrpcListeners {
        inference: open("grpc_inference_address", inference).await?,
        management: if same(management, inference) {
            Management::Shared
        } else {
            Management::Own(open("grpc_management_address", management).await?)
        },
    })
}

impl Listener {
    /// Where it listens, with the port that the system chose if it did: `http://127.0.0.1:8080` or `unix:/path`.
    pub fn address(&self) -> String {
        match self {
            Listener::Tcp { socket, tls } => {
                let scheme = if tls.is_some() { "https" } else { "http" };
                match socket.local_addr() {
                    Ok(address) => format!("{scheme}://{address}"),
                    Err(error) => format!("{scheme}://? ({error})"),
                }
            }
            Listener::Unix { file, .. } => format!("unix:{}", file.path().display()),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Listener::Tcp { socket, tls } => {
                let (stream, address) = socket.accept().await?;
                Ok(Accepted::Tcp {
                    stream,
                    address,
                    tls: tls.clone(),
                })
            }
            Listener::Unix { socket, .. } => Ok(Accepted::Unix(socket.accept().await?.0)),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Self {
        Listener::Tcp { socket, tls: None }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listener({})", self.address())
    }
}

/// The settings of TLS; `None` where no listener wants any, and then no key is read.
fn server_config(config: &Config) -> Result<Option<ServerConfig>, IdentityError> {
    let addresses = [
        Some(&config.inference_address),
        Some(&config.management_address),
        config.enable_metrics_api.then_some(&config.metrics_address),
        Some(&config.grpc.inference.address),
        Some(&config.grpc.management.address),
    ];
    let hosts: Vec<&str> = addresses
        .into_iter()
        .flatten()
        .chain(config.fronts.iter().map(|front| &front.address))
        .filter_map(|address| match address {
            Address::Tcp {
                https: true, host, ..
            } => Some(host.as_str()),
            Address::Tcp { https: false, .. } | Address::Unix(_) => None,
        })
        .collect();
    if hosts.is_empty() {
        return Ok(None);
    }
    identity::server_config(&config.key_material, &hosts).map(Some)
}

/// What shakes hands, for the one protocol that is spoken afterwards.
fn acceptor(mut tls: ServerConfig, protocol: &[u8]) -> TlsAcceptor {
    tls.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(tls))
}

/// Whether one socket serves both. Two free ports are two ports.
fn same(one: &Address, other: &Address) -> bool {
    one == other && !matches!(one, Address::Tcp { port: 0, .. })
}

async fn open(
    key: &str,
    address: &Address,
    tls: Option<&TlsAcceptor>,
) -> Result<Listener, ListenError> {
    let opened =
        match address {
            Address::Tcp { https, host, port } => TcpListener::bind((host.as_str(), *port))
                .await
                .map(|socket| Listener::Tcp {
                    socket,
                    tls: tls.filter(|_| *https).cloned(),
                }),
            Address::Unix(path) => SocketFile::bind(path)
                .await
                .map(|(file, socket)| Listener::Unix { file, socket }),
        };
    let listener = opened.map_err(|source| ListenError::Bind {
        key: key.to_owned(),
        address: address.clone(),
        source,
    })?;
    info!("{key}: listening on {}", listener.address());
    Ok(listener)
}

#[cfg(test)]
mod tests;
