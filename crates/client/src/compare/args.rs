//! What can be typed about a comparison. Part of `torchrelay doctor`.

use std::path::PathBuf;

use clap::Args;

use crate::args::Secret;

/// The two servers, what is sent to both, and the keys for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Options of a comparison")]
pub struct Compare {
    /// Compare with the TorchServe that runs there: the address of its inference API
    ///
    /// Every model that is registered there is looked up at both, and what they say of it is compared; with --samples, what
    /// they answer, too.
    #[arg(long, value_name = "URL")]
    pub compare: Option<String>,
    /// Its management API; port 8081 (with https 8444) of the same machine if left out
    #[arg(long, value_name = "URL", requires = "compare")]
    pub management: Option<String>,
    /// The inference API of Torchrelay; where the configuration in the working directory says if left out
    #[arg(long, value_name = "URL", requires = "compare")]
    pub ours: Option<String>,
    /// The management API of Torchrelay; with --ours, port 8081 of the same machine if left out
    #[arg(long, value_name = "URL", requires = "compare")]
    pub our_management: Option<String>,
    /// Files to send to both: DIR/MODEL/*
    #[arg(long, value_name = "DIR", requires = "compare")]
    pub samples: Option<PathBuf>,
    /// Torchrelay's key file; key_file.json if it is here and the server on this machine
    #[arg(long, value_name = "FILE", requires = "compare")]
    pub key_file: Option<PathBuf>,
    /// The key for Torchrelay, in place of a key file's
    #[arg(
        long,
        value_name = "KEY",
        requires = "compare",
        conflicts_with = "key_file",
        allow_hyphen_values = true
    )]
    pub token: Option<Secret>,
    /// TorchServe's key file; key_file.json beside PATH if it is there and the server on this machine
    #[arg(long, value_name = "FILE", requires = "compare")]
    pub their_key_file: Option<PathBuf>,
    /// The key for TorchServe, in place of a key file's
    #[arg(
        long,
        value_name = "KEY",
        requires = "compare",
        conflicts_with = "their_key_file",
        allow_hyphen_values = true
    )]
    pub their_token: Option<Secret>,
    /// Certificates in PEM form to trust in https, in place of the system's
    #[arg(
        long,
        value_name = "FILE",
        requires = "compare",
        conflicts_with = "insecure"
    )]
    pub ca: Option<PathBuf>,
    /// Talk https with whoever answers, whatever its certificate
    #[arg(long, requires = "compare")]
    pub insecure: bool,
    /// How long to wait for an answer; 30 for descriptions and 120 for predictions if left out
    #[arg(long, value_name = "SECONDS", requires = "compare", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
}
