//! Handlers in Python behind the servable waist: each worker is a process of its own, which may do what it likes without
//! hurting the daemon.
//!
//! [`PythonEngine`] stands for what all models share: the interpreter, the worker package that the daemon carries, a folder
//! for sockets. [`PythonLoader`] is one version of a model; what it loads is one process, spoken with over a socket by one of
//! the two protocols of `python/PROTOCOL.md`. It knows no queue and no HTTP, and no libtorch: what a handler imports is
//! the interpreter's affair.
//!
//! A request, through the files: `servable.rs` makes a message of a batch (`message.rs`), `protocol.rs` writes it to the
//! connection, which notices at once when the process at its other end dies; `outcome.rs` makes results of the answer. A
//! worker is started by `start.rs` with the words of `command.rs`; where its model is spread over several processes
//! (`parallel.rs`), the others are spoken with in `ranks.rs`. The process itself, its bounds, its connection and what it prints are `worker-process`.

mod command;
mod engine;
mod handler;
mod installed;
mod loader;
mod message;
mod outcome;
mod package;
mod parallel;
mod protocol;
mod ranks;
mod servable;
mod settings;
mod start;
mod venv;

pub use engine::PythonEngine;
pub use loader::PythonLoader;
pub use parallel::{Parallel, Ranks};
pub use settings::{ModelFiles, Settings, SettingsError, WorkerProgram};
pub use worker_process::{Bounds, Metric, MetricKind, MetricSink, NoSink};
