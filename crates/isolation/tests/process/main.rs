//! Processes for real. The child is this very test program, which is told to run one "test" that serves; so what is tested is
//! what the daemon does, with a stub for libtorch.

mod answers;
mod deaths;
mod harness;
mod life;
mod stub;

/// Not a test: what the other tests start.
#[test]
#[ignore = "the other tests start it"]
fn the_child() {
    if let Err(error) = isolation::serve(|description, _| stub::loader(description)) {
        panic!("{error}");
    }
}
