//! The daemon as a child: started, waited for, ended. It never outlives this program.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::run::{describe, show};

/// What TorchServe's launchers wait for too.
const STARTED: &str = "Model server started.";

/// How long the daemon may drain.
const GRACE: Duration = Duration::from_secs(30);

/// A log that is silent for this long has said what it had to say.
const SILENCE: Duration = Duration::from_millis(150);

pub struct Daemon {
    child: Child,
    log: Arc<Log>,
}

/// What the daemon printed: kept until it is asked for, then passed on as it comes.
#[derive(Default)]
struct Log {
    kept: Mutex<Vec<String>>,
    shown: AtomicBool,
    lines: AtomicUsize,
}

impl Daemon {
    /// Starts `command` and waits until it says that it serves. On failure its log is shown.
    pub fn start(mut command: Command, patience: Duration) -> Result<Self> {
        let shown = show(&command);
        println!("$ {shown}");
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("`{shown}` could not be started"))?;
        let stdout = child.stdout.take().expect("piped above");
        let mut daemon = Self {
            child,
            log: Arc::default(),
        };

        let (sender, started) = sync_channel(1);
        let log = Arc::clone(&daemon.log);
        thread::spawn(move || log.read(stdout, &sender));
        match started.recv_timeout(patience) {
            Ok(()) => Ok(daemon),
            Err(RecvTimeoutError::Timeout) => {
                daemon.log.show();
                bail!(
                    "the daemon did not print {STARTED:?} within {} s",
                    patience.as_secs()
                )
            }
            // Its output has ended; so, in a moment, will it.
            Err(RecvTimeoutError::Disconnected) => {
                daemon.log.show();
                let ended = daemon.wait(Duration::from_secs(5))?;
                bail!(
                    "the daemon ended before it served{}",
                    if ended { "" } else { ", or closed its output" }
                )
            }
        }
    }

    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            self.log.show();
            bail!("the daemon ended by itself ({})", describe(status));
        }
        Ok(())
    }

    /// Shows the log from now on, and returns when it has come to rest: what is printed next stands below it.
    pub fn show_log(&self) {
        self.log.show();
        let begin = Instant::now();
        let lines = || self.log.lines.load(Ordering::Relaxed);
        loop {
            let before = lines();
            thread::sleep(SILENCE);
            if lines() == before || begin.elapsed() > 10 * SILENCE {
                return;
            }
        }
    }

    /// Asks the daemon to end and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    /// Shows the daemon's log until somebody interrupts.
    pub fn wait_for_interrupt(mut self) -> Result<()> {
        let (interrupted, terminated) = (Arc::default(), Arc::default());
        signal_hook::flag::register(SIGINT, Arc::clone(&interrupted))?;
        signal_hook::flag::register(SIGTERM, Arc::clone(&terminated))?;
        self.log.show();
        loop {
            if terminated.load(Ordering::Relaxed) {
                return self.end();
            }
            if interrupted.load(Ordering::Relaxed) {
                // The terminal interrupts the whole process group, so the daemon is draining already;
                // a signal from us would be its second, which ends it at once.
                return if self.wait(GRACE)? {
                    Ok(())
                } else {
                    self.end()
                };
            }
            match self.child.try_wait()? {
                // Interrupted together with us, and faster.
                Some(_) if interrupted.load(Ordering::Relaxed) => return Ok(()),
                Some(status) => bail!("the daemon ended by itself ({})", describe(status)),
                None => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        if self.wait(GRACE)? {
            return Ok(());
        }
        self.child.kill()?;
        self.child.wait()?;
        bail!(
            "the daemon did not end within {} s and was killed",
            GRACE.as_secs()
        )
    }

    /// Whether it ended within this time.
    fn wait(&mut self, patience: Duration) -> Result<bool> {
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begin.elapsed() > patience {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.end();
        }
    }
}

impl Log {
    fn read(&self, stdout: ChildStdout, started: &SyncSender<()>) {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let serves = line.contains(STARTED);
            self.add(line);
            if serves {
                let _ = started.try_send(());
            }
        }
    }

    fn add(&self, line: String) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.lines.fetch_add(1, Ordering::Relaxed);
        if self.shown.load(Ordering::Relaxed) {
            println!("{line}");
        } else {
            kept.push(line);
        }
    }

    /// Prints what was kept, and from now on everything at once.
    fn show(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.shown.store(true, Ordering::Relaxed);
        for line in kept.drain(..) {
            println!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Result<Daemon> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Daemon::start(command, Duration::from_secs(2))
    }

    #[test]
    fn a_daemon_that_serves_is_stopped_by_a_signal() {
        let daemon =
            start("echo booting; echo 'Model server started.'; exec sleep 60").expect("it says so");
        let begin = Instant::now();
        daemon.stop().expect("sleep ends when told to");
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    fn check(script: &str, expected: &str) {
        let error = start(script).err().expect(script);
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_daemon_that_does_not_serve_is_told_apart() {
        check(
            "echo no model store; exit 1",
            "the daemon ended before it served",
        );
        check(
            "exec sleep 60",
            "the daemon did not print \"Model server started.\" within 2 s",
        );
    }

    #[test]
    fn a_daemon_that_ended_is_noticed() {
        let mut daemon = start("echo 'Model server started.'; exit 3").expect("it says so");
        daemon
            .wait(Duration::from_secs(5))
            .expect("it can be waited for");
        let error = daemon.check_alive().expect_err("it ended");
        assert_eq!(
            error.to_string(),
            "the daemon ended by itself (exit code 3)"
        );
    }
}
