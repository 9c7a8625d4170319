//! A daemon as its users run it: the release build, started with a configuration file, its log in a file. It ends when
//! this is dropped.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Client, Reply};

const PATIENCE: Duration = Duration::from_secs(60);

/// How often a start is looked at; small beside what it takes.
const PAUSE: Duration = Duration::from_millis(2);

/// How a daemon is started.
pub(crate) struct Start<'a> {
    /// The daemon's program, if not the one beside our own.
    pub(crate) program: Option<&'a Path>,
    /// Holds the model store, and gets the daemon's files.
    pub(crate) folder: &'a Path,
    /// The models to load, as `--models` takes them.
    pub(crate) models: &'a str,
    /// More lines for `config.properties`.
    pub(crate) config: &'a str,
    /// `RUST_LOG`, if not its default.
    pub(crate) log: Option<&'a str>,
}

pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) management: SocketAddr,
    pub(crate) metrics: SocketAddr,
    /// Of gRPC, for inference.
    pub(crate) grpc: SocketAddr,
    started: Instant,
    log: PathBuf,
}

/// Free ports, no tokens (every request would carry one), metrics as they are scraped.
const CONFIG: &str = "inference_address=http://127.0.0.1:0\nmanagement_address=http://127.0.0.1:0\n\
                      metrics_address=http://127.0.0.1:0\ngrpc_inference_port=0\ngrpc_management_port=0\n\
                      disable_token_authorization=true\nmetrics_mode=prometheus\n";

impl Daemon {
    /// Starts the program and waits until it listens.
    pub(crate) fn start(start: &Start<'_>) -> Result<Self> {
        let program = match start.program {
            Some(program) => program.to_owned(),
            None => std::env::current_exe()
                .context("the path of this program")?
                .with_file_name("torchrelay"),
        };
        let folder = start.folder;
        let config = folder.join("config.properties");
        fs::write(&config, format!("{CONFIG}{}", start.config))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let log = folder.join("torchrelay.log");
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let scratch = folder.join("tmp");
        fs::create_dir_all(&scratch)?;
        let mut command = Command::new(&program);
        command
            .args(["--start", "--foreground", "--ncs", "--ts-config"])
            .arg(&config)
            .args(["--models", start.models, "--model-store"])
            .arg(folder)
            .current_dir(folder)
            .env_remove("TS_CONFIG_FILE")
            .env_remove("RUST_LOG")
            .env_remove("OMP_WAIT_POLICY")
            .env_remove("OMP_NUM_THREADS")
            .envs(start.log.map(|filter| ("RUST_LOG", filter)))
            .envs([("TMPDIR", &scratch), ("TEMP", &scratch)])
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output);
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut daemon = Daemon {
            child,
            address: nowhere,
            management: nowhere,
            metrics: nowhere,
            grpc: nowhere,
            started,
            log,
        };
        let text = daemon.wait_for("Model server started.")?;
        let address = |key| {
            address_in(&text, key).with_context(|| format!("the daemon's log tells no {key}"))
        };
        daemon.address = address("inference_address")?;
        daemon.management = address("management_address")?;
        daemon.metrics = address("metrics_address")?;
        daemon.grpc = address("grpc_inference_address")?;
        Ok(daemon)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks until the answer is right; how long that took from the start of the process.
    pub(crate) fn first_right(
        &mut self,
        path: &str,
        body: &[u8],
        is_right: impl Fn(&[u8]) -> bool,
    ) -> Result<Duration> {
        let mut client = Client::new(self.address);
        loop {
            match client.post(path, body) {
                Ok(Reply { status: 200, body }) => {
                    let took = self.started.elapsed();
                    if is_right(&body) {
                        return Ok(took);
                    }
                    bail!("a wrong answer: {}", String::from_utf8_lossy(&body));
                }
                Ok(Reply { status: 503, .. }) if self.started.elapsed() < PATIENCE => {}
                Ok(reply) => bail!("the daemon answered {}: {}", reply.status, reply.text()),
                Err(error) if self.started.elapsed() >= PATIENCE => return Err(error),
                Err(_) => {}
            }
            self.check_alive()?;
            thread::sleep(PAUSE);
        }
    }

    /// Waits until every model has all its workers.
    pub(crate) fn wait_until_ready(&mut self) -> Result<()> {
        let mut client = Client::new(self.address);
        while client.send("GET", "/ready", b"")?.status != 200 {
            self.check_alive()?;
            if self.started.elapsed() > PATIENCE {
                bail!("not every worker loaded within {} s", PATIENCE.as_secs());
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "the daemon ended by itself ({status}); its log is {}",
                self.log.display()
            );
        }
        Ok(())
    }

    /// The log, once it holds `text`.
    fn wait_for(&mut self, text: &str) -> Result<String> {
        loop {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if log.contains(text) {
                return Ok(log);
            }
            self.check_alive()?;
            if self.started.elapsed() > PATIENCE {
                bail!(
                    "the daemon did not say {text:?} within {} s; its log is {}",
                    PATIENCE.as_secs(),
                    self.log.display()
                );
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let told = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if told.elapsed() > Duration::from_secs(10) {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

fn address_in(log: &str, key: &str) -> Option<SocketAddr> {
    let text = format!("{key}: listening on http://");
    let (_, rest) = log.split_once(&text)?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_off_the_log() {
        let log = "x - inference_address: listening on http://127.0.0.1:4711\n\
                   x - management_address: listening on http://127.0.0.1:4712\n";
        let found = |key| address_in(log, key).map(|address| address.port());
        assert_eq!(found("inference_address"), Some(4711));
        assert_eq!(found("management_address"), Some(4712));
        assert_eq!(found("metrics_address"), None);
    }
}
