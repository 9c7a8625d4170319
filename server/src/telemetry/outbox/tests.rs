//! Lines through a real thread into sinks that remember, fail or hold up.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// Remembers what was written; the first `failures` attempts fail.
#[derive(Clone, Default)]
struct Remembers {
    written: Arc<Mutex<Vec<u8>>>,
    failures: Arc<Mutex<usize>>,
}

impl Sink for Remembers {
    fn name(&self) -> String {
        "sink".to_owned()
    }

    fn write(&mut self, lines: &[u8], _: SystemTime) -> io::Result<()> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.written.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }
}

impl Remembers {
    fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }
}

/// Says that it began to write, and goes on when it is told to.
struct HoldsUp(SyncSender<()>, Receiver<()>);

impl Sink for HoldsUp {
    fn name(&self) -> String {
        "slow".to_owned()
    }

    fn write(&mut self, _: &[u8], _: SystemTime) -> io::Result<()> {
        let _ = self.0.send(());
        let _ = self.1.recv();
        Ok(())
    }
}

fn start(sinks: Vec<Box<dyn Sink>>) -> (Outbox, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let of_thread = Arc::clone(&told);
    let outbox = Outbox::start_with("test-outbox", sinks, move |report| {
        of_thread.lock().unwrap().push(report.to_string());
    });
    (outbox.unwrap(), told)
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

#[test]
fn lines_keep_their_order_and_their_sink() {
    let (first, second) = (Remembers::default(), Remembers::default());
    let (outbox, told) = start(vec![Box::new(first.clone()), Box::new(second.clone())]);
    for number in 0..1000 {
        outbox.put(number % 2, &[format!("{number}").as_bytes(), b"\n"]);
    }
    outbox.close(soon());
    let expected = |from: usize| {
        let lines: Vec<String> = (from..1000).step_by(2).map(|n| format!("{n}\n")).collect();
        lines.concat()
    };
    assert_eq!(first.text(), expected(0));
    assert_eq!(second.text(), expected(1));
    assert!(told.lock().unwrap().is_empty());
}

#[test]
fn a_flush_waits_for_what_was_put() {
    let sink = Remembers::default();
    let (outbox, _) = start(vec![Box::new(sink.clone())]);
    for expected in ["a\n", "a\na\n", "a\na\na\n"] {
        outbox.put(0, &[b"a\n"]);
        outbox.flush(soon());
        assert_eq!(sink.text(), expected);
    }
    outbox.close(soon());
}

#[test]
fn a_failing_sink_is_told_of_once_and_tried_again() {
    let sink = Remembers::default();
    *sink.failures.lock().unwrap() = 2;
    let (outbox, told) = start(vec![Box::new(sink.clone())]);
    for line in ["1\n", "2\n3\n", "4\n", "5\n"] {
        outbox.put(0, &[line.as_bytes()]);
        outbox.flush(soon());
    }
    outbox.close(soon());
    assert_eq!(sink.text(), "4\n5\n");
    assert_eq!(
        *told.lock().unwrap(),
        [
            "sink: log lines cannot be written and are lost: no storage space",
            "sink: log lines can be written again; 3 of them were lost",
        ]
    );
}

#[test]
fn what_does_not_fit_is_dropped_and_counted_and_holds_nobody_up() {
    let (began, begins) = sync_channel(1);
    let (go, goes) = sync_channel(8);
    let (outbox, told) = start(vec![Box::new(HoldsUp(began, goes))]);
    outbox.put(0, &[b"first\n"]);
    begins.recv_timeout(PATIENCE).unwrap();
    // The thread is held up now.
    let line = vec![b'x'; ROOM / 4];
    for _ in 0..7 {
        outbox.put(0, &[&line]);
    }
    drop(go);
    drop(begins);
    outbox.close(soon());
    assert_eq!(
        *told.lock().unwrap(),
        ["slow: 3 log lines were dropped, because they came faster than they could be written"]
    );
}
