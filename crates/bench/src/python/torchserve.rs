//! TorchServe as its users run it: the program of a virtual environment, on free ports, its log in a file. It and all that
//! it has started end when this is dropped.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::client::{Client, Reply};

/// A virtual machine and its workers take a while.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct TorchServe {
    child: Child,
    pub(super) address: SocketAddr,
    pub(super) version: String,
}

impl TorchServe {
    /// Starts it with the model of that name, whose folder lies in `folder`, and waits until it answers.
    pub(super) fn start(folder: &Path, environment: &Path, model: &str) -> Result<Self> {
        let bin = environment.join("bin");
        let scratch = folder.join("torchserve");
        fs::create_dir_all(scratch.join("tmp"))?;
        let [inference, management, metrics, grpc, grpc_management] = free_ports()?;
        let config = scratch.join("config.properties");
        let lines = format!(
            "inference_address=http://127.0.0.1:{inference}\n\
             management_address=http://127.0.0.1:{management}\n\
             metrics_address=http://127.0.0.1:{metrics}\n\
             grpc_inference_port={grpc}\ngrpc_management_port={grpc_management}\n\
             metrics_mode=prometheus\n"
        );
        fs::write(&config, lines).with_context(|| format!("cannot write {}", config.display()))?;
        let log = scratch.join("torchserve.log");
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let path = std::env::var("PATH").unwrap_or_default();
        let child = Command::new(bin.join("torchserve"))
            .args([
                "--start",
                "--foreground",
                "--ncs",
                "--disable-token-auth",
                "--ts-config",
            ])
            .arg(&config)
            .arg("--model-store")
            .arg(folder)
            .args(["--models", &format!("{model}={model}")])
            .current_dir(&scratch)
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("LOG_LOCATION", scratch.join("logs"))
            .env("METRICS_LOCATION", scratch.join("logs"))
            .env("TMPDIR", scratch.join("tmp"))
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            // Signals are for all of it: the program, the virtual machine, the workers.
            .process_group(0)
            .spawn()
            .context("TorchServe could not be started")?;
        let mut server = TorchServe {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], inference)),
            version: version(&bin)?,
        };
        server
            .wait(model)
            .with_context(|| format!("its log is {}", log.display()))?;
        Ok(server)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    fn wait(&mut self, model: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let reply = Client::new(self.address).post(&format!("/predictions/{model}"), b"ready?");
            if let Ok(Reply { status: 200, .. }) = reply {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("TorchServe ended by itself ({status})");
            }
            if Instant::now() > end {
                bail!("TorchServe did not answer within {} s", PATIENCE.as_secs());
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for TorchServe {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        let _ = kill_process_group(group, Signal::TERM);
        let told = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if told.elapsed() > Duration::from_secs(10) {
                break;
            }
            thread::sleep(PAUSE);
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

fn version(bin: &Path) -> Result<String> {
    let code = "import importlib.metadata as m; print(m.version('torchserve'))";
    let said = Command::new(bin.join("python"))
        .args(["-c", code])
        .output()
        .context("the environment's Python")?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// Ports that nobody had a moment ago: it cannot be told to take any.
fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let mut held = Vec::with_capacity(COUNT);
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
