//! Processes that run models: started, bounded, spoken with, listened to and buried.
//!
//! What all engines share whose workers are processes of their own: `python-engine`, whose processes are interpreters, and
//! `isolation`, whose processes are this very program. It knows neither what a process runs nor what is said to it.
//!
//! [`Process`] (`process.rs`) is started bound and in a group of its own, and ends with all that it has started;
//! [`Bounds`] are how much it may take; a [`Connection`] notices at once when the process at its other end dies;
//! [`wire`] is how values travel over it; [`Output`] carries what it prints to the log, and lines of metrics (`metric_line.rs`) to a [`MetricSink`].

mod bounds;
mod connection;
mod metric_line;
mod output;
mod process;
pub mod wire;

pub use bounds::Bounds;
pub use connection::{Broken, Connection, MOST_DESCRIPTORS, Source, is_dead, wait_until};
pub use metric_line::{Metric, MetricKind, MetricSink, NoSink};
pub use output::{Output, Speaker};
pub use process::{Death, Killer, Process, Start};
