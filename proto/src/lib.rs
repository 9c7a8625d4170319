//! The gRPC services of Torchrelay as Rust types: messages, the traits that a server implements, and, with the feature
//! `client`, clients.
//!
//! The `.proto` files beside this crate are what counts; everything here is made of them when the crate is built. It has no
//! behaviour: the daemon's is in `server/src/grpc`.

/// The Open Inference Protocol.
pub mod inference {
    tonic::include_proto!("inference");
}

/// Torchrelay's own services, for workflows.
pub mod torchrelay {
    pub mod v1 {
        tonic::include_proto!("torchrelay.v1");
    }
}

/// TorchServe's services.
pub mod torchserve {
    pub use crate::org::pytorch::serve::grpc::{inference, management, openinference};
}

/// The standard health service.
pub mod grpc {
    pub mod health {
        pub mod v1 {
            tonic::include_proto!("grpc.health.v1");
        }
    }
}

/// Failures with details.
pub mod google {
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

// Modules lie as the packages do: generated code reaches from one to another by relative paths.
mod org {
    pub(crate) mod pytorch {
        pub(crate) mod serve {
            pub(crate) mod grpc {
                pub mod inference {
                    tonic::include_proto!("org.pytorch.serve.grpc.inference");
                }
                pub mod management {
                    tonic::include_proto!("org.pytorch.serve.grpc.management");
                }
                pub mod openinference {
                    tonic::include_proto!("org.pytorch.serve.grpc.openinference");
                }
            }
        }
    }
}

/// All files above as one encoded `FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
