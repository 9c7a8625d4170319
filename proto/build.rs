//! Makes Rust of the `.proto` files. protox reads them, so no `protoc` has to be installed.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

/// Every file with a service or a message of its own, as other files and clients import them.
const FILES: [&str; 7] = [
    "google/rpc/error_details.proto",
    "grpc/health/v1/health.proto",
    "inference/grpc_service.proto",
    "torchrelay/v1/workflows.proto",
    "torchserve/inference.proto",
    "torchserve/management.proto",
    "torchserve/open_inference.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for folder in ["google", "grpc", "inference", "torchrelay", "torchserve"] {
        println!("cargo:rerun-if-changed={folder}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // What reflection tells clients.
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Tensors and pictures are handed on as they lie in the message.
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
