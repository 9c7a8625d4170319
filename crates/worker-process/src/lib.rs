//! Processes that run models: started, bounded, spoken with, listened to and buried.
//!
//! What all engines share whose workers are processes of their own: `python-engine`, whose processes are interpreters, and
//! `isolation`, whose processes are this very program. It knows neither what a process runs nor what is asked of it.
//!
//! A [`Supervised`] process (`supervised.rs`) is a [`Process`] (`process.rs`: a group of its own, ended with all that it has
//! started), its [`Output`] (to the log, and lines of metrics to a [`MetricSink`]) and what is said of its death. [`Bounds`]
//! are how much it may take, a [`Group`] of the system's holds it to its memory, and [`bind`] is how a program of ours binds
//! itself to them. A [`Connection`] notices at once when the process at its other end dies; [`wire`] is how values travel
//! over it.

mod bind;
mod bounds;
mod connection;
mod metric_line;
mod output;
mod process;
mod supervised;
pub mod wire;

pub use bind::{Unbound, bind};
pub use bounds::Bounds;
pub use connection::{Broken, Connection, MOST_DESCRIPTORS, Source, is_dead, wait_until};
pub use metric_line::{Metric, MetricKind, MetricSink, NoSink};
pub use output::{Output, Speaker};
pub use process::{Death, Group, Groups, Killer, Process, Start, end_orphans};
pub use supervised::{Supervised, died, died_idle};
