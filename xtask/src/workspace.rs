//! Where things lie.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of the workspace's Cargo.toml, wherever the command was called from.
///
/// `cargo run` tells it when it starts us. What it told the compiler may be another clone's folder, when two of them
/// share one `CARGO_TARGET_DIR`.
pub fn root() -> PathBuf {
    let told = env::var_os("CARGO_MANIFEST_DIR");
    let package = told.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or(package.clone(), Path::to_owned)
}

/// Where Cargo puts what it builds: `CARGO_TARGET_DIR`, or `target`.
pub fn build_dir() -> PathBuf {
    let root = root();
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => root.join(dir),
        _ => root.join("target"),
    }
}

/// The folder that `.cargo/config.toml` names as LIBTORCH. It does not follow `CARGO_TARGET_DIR`.
pub fn libtorch() -> PathBuf {
    root().join("target").join("libtorch")
}
