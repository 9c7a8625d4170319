//! How a process is bound, and when it ends.

use std::thread;

use isolation::Bounds;
use servable::{Servable, Value};

use crate::harness::{loaded, number, text, value, wait_for_end, wait_until, within};

fn lines(servable: &mut dyn Servable, cue: &str) -> Vec<String> {
    let Value::Text(text) = value(servable, text(cue)) else {
        panic!("{cue}: no text");
    };
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn a_process_is_bound_before_it_loads() {
    let mut servable = within(Bounds {
        memory: Some(3 << 30),
        cpu: Some(77),
        files: Some(99),
        time: None,
    });
    let limits = lines(servable.as_mut(), "limits");
    let memory = 3u64 << 30;
    for expected in [
        "Max core file size 0 0 bytes".to_owned(),
        "Max cpu time 77 78 seconds".to_owned(),
        "Max open files 99 99 files".to_owned(),
        format!("Max address space {memory} {memory} bytes"),
    ] {
        assert!(limits.contains(&expected), "{expected}: {limits:?}");
    }
    let status = lines(servable.as_mut(), "status");
    assert!(status.contains(&"NoNewPrivs: 1".to_owned()), "{status:?}");
}

#[test]
fn a_process_gets_no_variables_but_those_of_libraries() {
    let mut servable = loaded();
    let Value::List(names) = value(servable.as_mut(), text("variables")) else {
        panic!("no list");
    };
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    // Cargo has set some for this program.
    assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO_")));
    assert!(
        !names.iter().any(|name| name.contains("CARGO_")),
        "{names:?}"
    );
}

#[test]
fn a_process_ends_with_its_servable() {
    let mut servable = loaded();
    let pid = number(servable.as_mut(), "pid");
    drop(servable);
    wait_for_end(pid);
}

#[test]
fn a_process_ends_with_the_thread_that_started_it() {
    let started = thread::spawn(|| {
        let mut servable = loaded();
        let pid = number(servable.as_mut(), "pid");
        // As if the daemon were killed: nothing is tidied up.
        std::mem::forget(servable);
        pid
    });
    let pid = started.join().expect("started");
    wait_until("its end", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
            .then_some(())
    });
}
