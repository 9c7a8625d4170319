//! When a run lets go of values: each tensor here counts itself while it lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use servable::{DType, Storage, Tensor, Value};

use super::build::{Name, Workflow};
use super::*;

/// How many values there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Living(Arc<AtomicUsize>);

struct Counted {
    bytes: [u8; 8],
    living: Living,
}

impl Living {
    /// A number that is counted while anybody has it.
    pub(super) fn value(&self, number: i64) -> Value {
        self.0.fetch_add(1, Ordering::Relaxed);
        let storage = Counted {
            bytes: number.to_ne_bytes(),
            living: self.clone(),
        };
        let tensor = Tensor::from_storage(DType::I64, Vec::new(), Arc::new(storage));
        Value::Tensor(tensor.expect("eight bytes"))
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Storage for Counted {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.living.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Calls everything in turn, and tells for each call how many values there were before it took its inputs, while it had
/// them, and after it had dropped them, its own not yet given: `b 1 1 0`. Each call gives as many values as `sizes` says for
/// its node, else one.
fn check(graph: &str, sizes: &[(&str, usize)], expected: &str) {
    let living = Living::default();
    let workflow = Workflow::parse(graph);
    let mut run = Run::<String>::new(workflow.plan(), workflow.request());
    let mut log = Vec::new();
    loop {
        let before = living.count();
        let Some(mut calls) = run.next(|_| true) else {
            break;
        };
        let call = calls.pop().expect("a call");
        let held = living.count();
        drop(call.inputs);
        let name = Name::of(&workflow.graph, call.id.node, &call.item);
        log.push(format!("{name} {before} {held} {}", living.count()));
        let node = &workflow.graph.node(call.id.node).name;
        let size = sizes.iter().find(|(name, _)| name == node);
        let value = match size {
            Some((_, size)) => Value::list((0..*size).map(|_| living.value(0))),
            None => living.value(0),
        };
        run.complete(call.id, Ok(value));
    }
    assert!(run.is_over(), "{graph}");
    log.push(format!("end {}", living.count()));
    assert_eq!(log.join(", "), expected, "{graph}");
    drop(run);
    assert_eq!(living.count(), 0, "{graph}");
}

#[test]
fn the_last_user_of_a_value_is_the_last_to_have_it() {
    check(
        "a = call $x
         b = call a
         c = call b
         -> c",
        &[],
        "a 0 0 0, b 1 1 0, c 1 1 0, end 1",
    );
    // Twice by one, and by two.
    check(
        "a = call $x
         b = call a a
         -> b",
        &[],
        "a 0 0 0, b 1 1 0, end 1",
    );
    check(
        "a = call $x
         b = call a
         c = call a
         d = call b c
         -> d",
        &[],
        "a 0 0 0, c 1 1 1, b 2 2 1, d 2 2 0, end 1",
    );
    // What stands in is kept until it is clear that nobody needs it.
    check(
        "a = call $x
         b = call a use a
         -> b",
        &[],
        "a 0 0 0, b 1 1 1, end 1",
    );
    // What is answered stays, what nobody takes does not.
    check(
        "a = call $x
         b = call a
         -> a, b",
        &[],
        "a 0 0 0, b 1 1 1, end 2",
    );
}

#[test]
fn items_go_one_by_one() {
    check(
        "a = call $x
         i = foreach a
         t = call i
         g = gather t
         n = call g
         -> n",
        &[("a", 3)],
        "a 0 0 0, t[0] 3 3 2, t[1] 3 3 2, t[2] 3 3 2, n 3 3 0, end 1",
    );
    // The list itself is not kept for the sake of its items, nor an item for the sake of others.
    check(
        "a = call $x
         i = foreach a
         t = call i
         u = call t
         g = gather u
         -> g",
        &[("a", 2)],
        "a 0 0 0, t[0] 2 2 1, u[0] 2 2 1, t[1] 2 2 1, u[1] 2 2 1, end 2",
    );
    // Items that nobody in their scope wants.
    check(
        "a = call $x
         i = foreach a
         g = gather i
         n = call g
         -> n",
        &[("a", 2)],
        "a 0 0 0, n 2 2 0, end 1",
    );
    // A gather that does not run keeps nothing.
    check(
        "a = call $x
         i = foreach a
         t = call i
         g = gather t when no
         n = call g?
         -> n",
        &[("a", 2)],
        "a 0 0 0, t[0] 2 2 1, t[1] 2 2 1, n 0 0 0, end 1",
    );
    // What is outside stays for as long as some item may use it.
    check(
        "a = call $x
         b = call $x
         i = foreach a
         t = call i b
         g = gather t
         n = call g
         -> n",
        &[("a", 2)],
        "b 0 0 0, a 1 1 1, t[0] 3 3 2, t[1] 3 3 2, n 2 2 0, end 1",
    );
}
