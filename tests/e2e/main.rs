//! The daemon end to end: the real program on a port of its own, spoken to over sockets, answering with real networks.
//!
//! Each file is one subject. `harness.rs` starts daemons, `client.rs` speaks HTTP, `fixtures.rs` knows the models and
//! pictures. Tests on shared data say so and pass where that data is absent.

mod archives;
mod background;
mod bad_input;
mod bad_models;
mod chaos;
mod client;
mod client_commands;
mod contract;
mod cover;
mod crashes;
mod cue;
mod dev;
mod disks;
mod faults;
mod fixtures;
mod fronts;
mod grpc;
mod harness;
mod isolation;
mod listeners;
mod load;
mod logs;
mod max_front;
mod parameters;
mod pictures;
mod plates;
mod python;
mod python_debugger;
mod python_functions;
mod python_handlers;
mod python_matrix;
mod python_metrics;
mod python_parallel;
mod python_plates;
mod python_workers;
mod queueing;
mod restarts;
mod shipped_workflows;
mod shutdown;
mod snapshots;
mod sources;
mod start_up;
mod streaming;
mod tensors;
mod timeouts;
mod torchserve;
mod traces;
mod v2;
mod war;
mod web_server;
mod workbench;
mod workflows;
