//! What is said of a process that dies, and that nothing else does.

use std::thread;
use std::time::Duration;

use isolation::Bounds;
use servable::{Abort, LoadError, Reason};

use crate::harness::{abortable, ask, loaded, number, refusal, text, wait_for_end, within};

/// A request of which the process dies: why, and the beginning of the detail.
fn check(cue: &str, bounds: Bounds, reason: Reason, detail: &str) {
    let mut servable = within(bounds);
    let pid = number(servable.as_mut(), "pid");
    let error = ask(servable.as_mut(), &[text(cue)]).expect_err("it dies");
    let found = error.detail.clone().unwrap_or_default();
    assert!(found.contains(detail), "{cue}: {found}");
    assert_eq!(
        (error.reason, error.message.as_str(), error.dead),
        (reason, "Worker died.", true),
        "{cue}"
    );
    wait_for_end(pid);
    assert!(!servable.is_alive());
    let again = ask(servable.as_mut(), &[text("echo")]).expect_err("it is dead");
    assert!(again.dead);
}

#[test]
fn a_death_costs_its_request_and_says_how() {
    let none = Bounds::default();
    check("abort", none, Reason::Failed, "signal 6, SIGABRT");
    check("exit", none, Reason::Failed, "exit code 7");
    check(
        "overflow",
        none,
        Reason::Failed,
        "SIGABRT\nits last words: fatal runtime error: stack overflow",
    );
}

#[test]
fn bounds_end_what_takes_too_much() {
    let memory = Bounds {
        memory: Some(512 << 20),
        ..Bounds::default()
    };
    check("eat", memory, Reason::Failed, "signal 6, SIGABRT");
    let cpu = Bounds {
        cpu: Some(1),
        ..Bounds::default()
    };
    check(
        "spin",
        cpu,
        Reason::Failed,
        "it has used its 1 s of processor time",
    );
    let time = Bounds {
        time: Some(Duration::from_millis(200)),
        ..Bounds::default()
    };
    check(
        "wait 60000",
        time,
        Reason::Failed,
        "it did not answer within 0.",
    );
}

#[test]
fn what_hangs_is_ended_from_another_thread() {
    let abort = Abort::default();
    let mut servable = abortable(&abort);
    let pid = number(servable.as_mut(), "pid");
    let firing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        abort.fire();
    });
    let error = ask(servable.as_mut(), &[text("wait 60000")]).expect_err("it is ended");
    assert_eq!(error.reason, Reason::Failed);
    let detail = error.detail.unwrap_or_default();
    assert!(
        detail.starts_with("it was ended (signal 9, SIGKILL)"),
        "{detail}"
    );
    firing.join().expect("fired");
    wait_for_end(pid);
}

#[test]
fn what_a_process_has_started_ends_with_it() {
    let mut servable = loaded();
    let sleeper = number(servable.as_mut(), "start another");
    ask(servable.as_mut(), &[text("abort")]).expect_err("it dies");
    // Its parent is gone, so whoever took it over buries it; a zombie does nothing.
    crate::harness::wait_until("its end", || {
        let stat = std::fs::read_to_string(format!("/proc/{sleeper}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
            .then_some(())
    });
}

#[test]
fn a_model_that_does_not_load_says_why() {
    let check = |description: &str, expected: LoadError| {
        assert_eq!(refusal(description), expected);
    };
    check("refuses", LoadError::Unsupported("not by this one".into()));
    check("lacks", LoadError::OutOfMemory("none on cpu".into()));
    check("wants", LoadError::Invalid("wants another archive".into()));
    check("what", LoadError::Invalid("what is nothing".into()));
    let LoadError::Invalid(why) = refusal("aborts") else {
        panic!("it is the archive's fault");
    };
    let expected = "model m: its worker ended while it loaded (signal 6, SIGABRT)";
    assert!(why.starts_with(expected), "{why}");
}
