//! Workers that die, hang or leave something behind: what is said of it, how soon, and that nothing remains.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use python_engine::Bounds;
use servable::{Abort, BatchError, Reason, Servable};

use crate::harness::{Model, ask, exists, python_or_return, runs, wait_until};

/// A handler that does what a request says in Python, and answers with what `answer` is then.
const DOES: &str = "
import os, signal, socket, subprocess, sys, time
def handle(data, context):
    if data is None:
        return None
    scope = dict(globals(), answer='done', context=context)
    for row in data:
        exec(bytes(row['body']).decode() if not isinstance(row['body'], str) else row['body'], scope)
    return [str(scope['answer'])] * len(data)
";

/// A worker, and the model whose folders it needs.
fn load(python: &Path) -> (Box<dyn Servable>, Model) {
    let model = Model::new(python, DOES);
    (model.load().expect("loaded"), model)
}

fn pid(servable: &mut dyn Servable) -> u32 {
    number(servable, "answer = os.getpid()")
}

fn number(servable: &mut dyn Servable, code: &str) -> u32 {
    let answer = ask(servable, code).expect("an answer");
    answer.parse().unwrap_or_else(|_| panic!("{answer}"))
}

/// Whether an error says that the worker is dead, in these words, and that it is.
fn check_dead(error: &BatchError, reason: Reason, detail: &str) {
    assert!(error.dead, "{error:?}");
    assert_eq!(
        (error.reason, error.message.as_str()),
        (reason, "Worker died.")
    );
    let found = error.detail.as_deref().unwrap_or_default();
    assert!(found.starts_with(detail), "{found}, expected {detail}");
}

/// What a worker does with a request, and what is said of that.
fn check(code: &str, reason: Reason, detail: &str) {
    let (mut servable, _model) = load(python_or_return!());
    let pid = pid(servable.as_mut());
    let error = ask(servable.as_mut(), code).expect_err("a death");
    check_dead(&error, reason, detail);
    assert!(!exists(pid), "{code}: it is buried");
    // It stays dead, and says so.
    let error = ask(servable.as_mut(), "pass").expect_err("dead already");
    assert!(error.dead);
}

#[test]
fn every_death_is_named() {
    check("os.abort()", Reason::Failed, "signal 6, SIGABRT");
    check("os._exit(3)", Reason::Failed, "exit code 3");
    check("sys.exit(4)", Reason::Failed, "exit code 4");
    check(
        "os.kill(os.getpid(), signal.SIGSEGV)",
        Reason::Failed,
        "signal 11, SIGSEGV",
    );
    // Nobody kills a worker but the system, when its memory has run out.
    check(
        "os.kill(os.getpid(), signal.SIGKILL)",
        Reason::OutOfMemory,
        "signal 9, SIGKILL",
    );
    check("os._exit(137)", Reason::OutOfMemory, "exit code 137");
}

#[test]
fn its_last_words_are_told() {
    let (mut servable, _model) = load(python_or_return!());
    let code = "print('KeyError: such a pity', file=sys.stderr, flush=True)\nos._exit(5)";
    let error = ask(servable.as_mut(), code).expect_err("a death");
    check_dead(
        &error,
        Reason::Failed,
        "exit code 5\nits last words: KeyError: such a pity",
    );
}

#[test]
fn a_crash_is_told_with_its_place() {
    let (mut servable, _model) = load(python_or_return!());
    let worker = pid(servable.as_mut());
    let code = "signal.raise_signal(signal.SIGSEGV)";
    let error = ask(servable.as_mut(), code).expect_err("a death");
    check_dead(
        &error,
        Reason::Failed,
        "signal 11, SIGSEGV\nits last words: Fatal Python error: Segmentation fault, File \"<string>\", line 1",
    );
    let detail = error.detail.unwrap_or_default();
    // For the log; clients are told the first line.
    assert!(detail.ends_with(&format!("\nprocess {worker}")), "{detail}");
}

#[test]
fn a_death_is_noticed_although_a_child_holds_the_connection() {
    let (mut servable, _model) = load(python_or_return!());
    // The child has the socket and the pipes, and leaves the group.
    let code = "
child = os.fork()
if child == 0:
    os.setsid()
    time.sleep(3600)
os._exit(7)
";
    let error = ask(servable.as_mut(), code).expect_err("a death");
    check_dead(&error, Reason::Failed, "exit code 7");
}

#[test]
fn nothing_that_a_handler_starts_outlives_its_worker() {
    let python = python_or_return!();
    let starts = [
        "answer = subprocess.Popen(['sleep', '3600']).pid",
        "answer = subprocess.Popen(['sleep', '3600'], start_new_session=True).pid",
        // Twice forked, so that nobody knows whose it is.
        "
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    child = os.fork()
    if child:
        os.write(w, str(child).encode())
        os._exit(0)
    os.close(w)
    time.sleep(3600)
answer = os.read(r, 100).decode()
",
    ];
    for start in starts {
        for ends_itself in [false, true] {
            let (mut servable, _model) = load(python);
            let (worker, child) = (pid(servable.as_mut()), number(servable.as_mut(), start));
            assert!(runs(child) && runs(worker));
            if ends_itself {
                ask(servable.as_mut(), "os._exit(1)").expect_err("a death");
            }
            drop(servable);
            assert!(!exists(worker), "{start}");
            wait_until("end of the child", || (!runs(child)).then_some(()));
        }
    }
}

#[test]
fn a_worker_that_dies_with_nothing_to_do_is_known_to_be_dead() {
    let (mut servable, _model) = load(python_or_return!());
    assert!(servable.is_alive() && servable.looked_at_every().is_some());
    let worker = pid(servable.as_mut());
    let killed = std::process::Command::new("kill")
        .args(["-9", &worker.to_string()])
        .status();
    assert!(killed.expect("kill").success());
    wait_until("death", || (!servable.is_alive()).then_some(()));
    assert!(!exists(worker), "buried");
}

#[test]
fn an_idle_worker_ends_when_it_is_dropped_and_may_tidy_up() {
    let model = Model::new(python_or_return!(), DOES);
    let note = model.root.path().join("note");
    let mut servable = model.load().expect("loaded");
    let worker = pid(servable.as_mut());
    let code = format!("import atexit; atexit.register(lambda: open({note:?}, 'w').close())");
    ask(servable.as_mut(), &code).expect("an answer");
    drop(servable);
    assert!(!exists(worker));
    assert!(note.exists(), "its last act");
}

#[test]
fn a_worker_that_hangs_is_ended_from_outside() {
    let model = Model::new(python_or_return!(), DOES);
    // Neither sleep nor a lock without end keeps it.
    for code in [
        "time.sleep(3600)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass",
    ] {
        let abort = Abort::default();
        let mut servable = model.load_abortable(&abort).expect("loaded");
        let worker = pid(servable.as_mut());
        let note = model.root.path().join("begun");
        let begun = note.clone();
        let firing = thread::spawn(move || {
            wait_until("begin", || begun.exists().then_some(()));
            abort.fire();
        });
        let code = format!("open({note:?}, 'w').close()\n{code}");
        let error = ask(servable.as_mut(), &code).expect_err("a death");
        check_dead(&error, Reason::Failed, "it was ended (signal 9, SIGKILL)");
        firing.join().expect("fired");
        assert!(!exists(worker));
        std::fs::remove_file(note).expect("removed");
    }
}

#[test]
fn a_worker_that_hangs_while_it_loads_is_ended_from_outside() {
    let handler = "
import os, time
open('loading', 'w').write(str(os.getpid()))
time.sleep(3600)
";
    let model = Model::new(python_or_return!(), handler);
    let note = model.files.dir.join("loading");
    let abort = Abort::default();
    let fires = abort.clone();
    let firing = thread::spawn(move || {
        let pid = wait_until("load", || {
            std::fs::read_to_string(&note).ok()?.parse::<u32>().ok()
        });
        fires.fire();
        pid
    });
    let error = model.load_abortable(&abort).err().expect("given up");
    assert_eq!(error.to_string(), "model m: loading was given up");
    assert!(!exists(firing.join().expect("fired")));
}

#[test]
fn a_request_has_its_time() {
    let mut model = Model::new(python_or_return!(), DOES);
    model.files.bounds.time = Some(Duration::from_millis(300));
    let mut servable = model.load().expect("loaded");
    assert_eq!(ask(servable.as_mut(), "pass").as_deref(), Ok("done"));
    let error = ask(servable.as_mut(), "time.sleep(3600)").expect_err("too slow");
    check_dead(&error, Reason::Failed, "it did not answer within 0.3");
}

#[test]
fn a_worker_dies_with_the_thread_that_started_it() {
    let python = python_or_return!();
    // Leaked, as by a thread that ends without dropping what it has: only the system can end it.
    let starting = thread::spawn(|| {
        let (mut servable, model) = load(python);
        let pid = pid(servable.as_mut());
        std::mem::forget(servable);
        (pid, model)
    });
    let (worker, _model) = starting.join().expect("started");
    wait_until("end of the worker", || (!runs(worker)).then_some(()));
}

#[test]
fn a_worker_is_bound_before_its_handler_runs() {
    let mut model = Model::new(python_or_return!(), DOES);
    model.files.bounds = Bounds {
        memory: Some(1 << 30),
        cpu: Some(1000),
        files: Some(100),
        time: None,
    };
    // An archive's own `sitecustomize` is the first of its code that can run.
    model.write(
        "sitecustomize.py",
        "
import resource
found = {line.split(':')[0]: line.split(':')[1].strip() for line in open('/proc/self/status')}
limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)]
open('bound', 'a').write('%s %s\\n' % (found['NoNewPrivs'], limits))
",
    );
    let mut servable = model.load().expect("loaded");
    let bound = std::fs::read_to_string(model.files.dir.join("bound")).expect("it ran");
    assert_eq!(
        bound,
        format!("1 [{}, 1000, 100, 0]\n", 1 << 30),
        "once, in what serves"
    );
    assert_eq!(ask(servable.as_mut(), "pass").as_deref(), Ok("done"));
}

#[test]
fn limits_cost_the_request_or_the_worker() {
    let python = python_or_return!();
    let mut model = Model::new(python, DOES);
    model.files.bounds.memory = Some(512 << 20);
    let mut servable = model.load().expect("loaded");
    let error = ask(servable.as_mut(), "answer = len(bytearray(1 << 30))").expect_err("no memory");
    assert_eq!(
        (error.reason, error.message.as_str(), error.dead),
        (Reason::OutOfMemory, "Out of resources", false)
    );
    assert_eq!(ask(servable.as_mut(), "pass").as_deref(), Ok("done"));

    model.files.bounds = Bounds {
        files: Some(64),
        ..Bounds::default()
    };
    let mut servable = model.load().expect("loaded");
    let code = "kept = [open('/dev/null') for _ in range(100)]";
    let error = ask(servable.as_mut(), code).expect_err("no files");
    assert_eq!(
        (error.message.as_str(), error.dead),
        ("Prediction failed", false)
    );

    model.files.bounds = Bounds {
        cpu: Some(1),
        ..Bounds::default()
    };
    let mut servable = model.load().expect("loaded");
    let error = ask(servable.as_mut(), "while True: pass").expect_err("a death");
    check_dead(
        &error,
        Reason::Failed,
        "it has used its 1 s of processor time (signal 24, SIGXCPU)",
    );
}

#[test]
fn many_workers_at_once_leave_nothing_behind() {
    let python = python_or_return!();
    let failed = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..6)
        .map(|index| {
            let failed = Arc::clone(&failed);
            thread::spawn(move || {
                let (mut servable, _model) = load(python);
                let worker = pid(servable.as_mut());
                if index % 2 == 0 {
                    ask(servable.as_mut(), "os.abort()").expect_err("a death");
                }
                drop(servable);
                if exists(worker) {
                    failed.store(true, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("it is done");
    }
    assert!(!failed.load(Ordering::Relaxed));
}
