//! Where gRPC is served, and for how long a connection may last.

use std::time::Duration;

use super::Address;
use super::reader::Reader;

/// The two gRPC services of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grpc {
    pub inference: GrpcService,
    pub management: GrpcService,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcService {
    /// Always TCP; `https` where `enable_grpc_ssl` says so.
    pub address: Address,
    /// The age at which a connection is asked to end. `None`: as long as it likes.
    pub max_age: Option<Duration>,
    /// What calls on a connection of that age are given to finish. `None`: as long as they take.
    pub grace: Option<Duration>,
}

impl Grpc {
    /// Reads the keys `grpc_…` and `enable_grpc_ssl`.
    pub(super) fn read(reader: &mut Reader<'_>) -> Grpc {
        let https = reader.bool("enable_grpc_ssl");
        Grpc {
            inference: GrpcService::read(reader, "inference", https),
            management: GrpcService::read(reader, "management", https),
        }
    }
}

impl GrpcService {
    fn read(reader: &mut Reader<'_>, name: &str, https: bool) -> GrpcService {
        let host = reader.text(&format!("grpc_{name}_address"));
        let key = format!("grpc_{name}_port");
        let port = reader.number(&key).unwrap_or_default();
        let port = u16::try_from(port).unwrap_or_else(|_| {
            if let Some(setting) = reader.setting(&key) {
                let message = format!("a port is a number from 0 to 65535, found {port}");
                reader.report.error(&setting.origin, Some(&key), message);
            }
            0
        });
        let mut millis = |what: &str| {
            let number = reader.number(&format!("grpc_{name}_max_connection_{what}_ms"));
            number.map(Duration::from_millis)
        };
        GrpcService {
            address: Address::Tcp {
                https,
                host: host.unwrap_or_default(),
                port,
            },
            max_age: millis("age"),
            grace: millis("age_grace"),
        }
    }
}
