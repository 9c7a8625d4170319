//! Model archives: what is in them, how they are made, and how they are opened without trusting them.
//!
//! A model archive is a zip (`.mar`), a gzip-compressed tar (`.tar.gz`) or a plain folder that holds a model's files
//! and `MAR-INF/MANIFEST.json`; it is the format TorchServe's own archiver writes. The way through this crate:
//!
//! - reading: [`open`] decides the format by content, unpacks under [`Limits`] into a folder of its own, reads the
//!   [`Manifest`] and the [`ModelConfig`], and hands back an [`Unpacked`] that removes the folder when dropped.
//!   [`inspect`] looks at an archive without unpacking it;
//! - writing: [`PackOptions`] are checked into a [`Plan`], which [`pack`] turns into an archive, byte for byte the
//!   same for the same input.
//!
//! The server opens archives, the archiver does everything here. Nothing in this crate knows how a model is run, and
//! there is no async in it: callers move it to a blocking thread.

mod config;
mod date;
mod digest;
mod error;
mod gate;
mod handler;
mod limits;
mod list;
mod manifest;
mod name;
mod pack;
mod plan;
mod reader;
mod reader_tar;
mod reader_zip;
#[cfg(test)]
mod testing;
mod tree;
mod unpack;

pub use config::{DeviceType, ModelConfig, ParallelType, Torchrun};
pub use error::{ArchiveError, Refusal};
pub use handler::{DEFAULT_HANDLERS, is_default_handler};
pub use limits::Limits;
pub use list::{Entry, Listing, inspect};
pub use manifest::{MANIFEST, Manifest, ModelSection, Runtime, default_model_name};
pub use pack::pack;
pub use plan::{ArchiveFormat, PackError, PackOptions, Plan, source_date};
pub use reader::Format;
pub use unpack::{Unpacked, open};

/// A YAML value, as [`ModelConfig`] keeps them for handlers.
pub use serde_yaml::Value as Yaml;
