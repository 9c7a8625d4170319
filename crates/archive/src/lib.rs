//! Model and workflow archives: what is in them, how they are made, and how they are opened without trusting them.
//!
//! A model archive is a zip (`.mar`), a gzip-compressed tar (`.tar.gz`) or a plain folder that holds a model's files
//! and `MAR-INF/MANIFEST.json`; it is the format TorchServe's own archiver writes. The way through this crate:
//!
//! - reading: [`open`] decides the format by content, unpacks under [`Limits`] into a folder of its own, reads the
//!   [`Manifest`] and the [`ModelConfig`], and hands back an [`Unpacked`] that removes the folder when dropped.
//!   [`inspect`] looks at an archive without unpacking it;
//! - workflows: [`open_workflow`] does the same for a `.war`, whose manifest is `WAR-INF/MANIFEST.json`, and for a plain
//!   YAML spec; it hands back [`WorkflowFiles`]. What the spec says is not read here;
//! - writing: [`PackOptions`] (of a workflow, [`WorkflowPackOptions`]) are checked into a [`Plan`], which [`pack`] turns into an archive, byte for byte the
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
mod members;
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
mod workflow;

pub use config::{DeviceType, Envelope, Isolation, ModelConfig, ParallelType, Torchrun};
pub use error::{ArchiveError, Refusal};
pub use handler::{DEFAULT_HANDLERS, is_default_handler};
pub use limits::Limits;
pub use list::{Entry, Listing, inspect};
pub use manifest::{MANIFEST, Manifest, ModelSection, Runtime, default_model_name};
pub use pack::pack;
pub use plan::{ArchiveFormat, PackError, PackOptions, Plan, WorkflowPackOptions, source_date};
pub use reader::Format;
pub use unpack::{Unpacked, open};
pub use workflow::{
    HandlerFile, WORKFLOW_MANIFEST, WorkflowFiles, WorkflowListing, WorkflowManifest,
    inspect_workflow, is_workflow, open_workflow, spec_name,
};

/// A YAML value, as [`ModelConfig`] keeps them for handlers.
pub use serde_yaml::Value as Yaml;
