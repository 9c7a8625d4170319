//! Real workers: an interpreter of this machine, the package that the crate carries, and handlers that behave or do not.

// What is skipped is said aloud.
#![allow(clippy::print_stderr)]

mod answers;
mod deaths;
mod environments;
mod harness;
mod installed;
mod loading;
mod output;
mod parallel;
mod pool;
