//! The archiver as its users run it: the real binary, on real files.

mod harness;
mod import_paddle_seg;
mod inspect;
mod original;
mod pack;
mod verify;
mod workflow;
