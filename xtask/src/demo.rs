//! `cargo xtask demo`: from a fresh clone to served workflows and an answer that is compared with the truth.
//!
//! It uses the programs as their users do: the archiver packs the demo models, the daemon serves them and the workflows
//! that ship, HTTP asks one.

mod answer;
mod daemon;
mod http;
mod ports;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{cargo, run};
use crate::{libtorch, workspace};
use answer::Comparison;
use daemon::Daemon;
use ports::Ports;

pub struct Options {
    /// Stop the daemon after the answer.
    pub once: bool,
    /// Of the inference API; the others follow it. The daemon's own without one.
    pub port: Option<u16>,
}

const WORKFLOW: &str = "segment_cover";
const PICTURE: &str = "tests/fixtures/quadrats/mixed.png";

/// What is packed into `model_store`: name, handler, and the fixtures that are its network and its configuration.
const MODELS: [(&str, &str, &str); 5] = [
    ("quadrat", "image_segmenter", "quadrat_segmenter"),
    ("substrate", "image_classifier", "substrate_classifier"),
    ("colour", "image_classifier", "colour_classifier"),
    ("tag_finder", "base_handler", "tag_finder"),
    ("tag_reader", "image_classifier", "tag_reader"),
];
/// Those whose classes have names.
const NAMED: [&str; 3] = ["quadrat", "substrate", "colour"];

/// How long a part of the start may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn demo(options: &Options) -> Result<()> {
    let ports = Ports::new(options.port)?;
    ports.check_free()?;
    let root = workspace::root();
    let (picture, truth) = (
        root.join(PICTURE),
        root.join(PICTURE).with_extension("json"),
    );
    let truth = answer::shares_by_name(&read_json(&truth)?).with_context(|| missing(&truth))?;

    libtorch::prepare(libtorch::Options::default())?;
    run(&mut cargo([
        "build",
        "--release",
        "--package",
        "server",
        "--package",
        "archiver",
    ]))?;
    let programs = workspace::build_dir().join("release");
    let scratch = workspace::build_dir().join("demo");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    for model in MODELS {
        pack(&programs, &scratch, model)?;
    }

    let mut daemon = Daemon::start(start(&programs, &scratch, &ports)?, PATIENCE)?;
    let body = fs::read(&picture).with_context(|| missing(&picture))?;
    let path = format!("/wfpredict/{WORKFLOW}");
    // The first answer pays for what is warm from then on.
    ask(&mut daemon, ports.inference, &path, &body)?;
    let (answer, took) = ask(&mut daemon, ports.inference, &path, &body)?;
    if !options.once {
        daemon.show_log(); // now, so that our own words stand below it
    }

    let comparison = Comparison::new(&answer, &truth)?;
    println!(
        "\n{PICTURE}, answered in {} ms:\n{comparison}",
        took.as_millis()
    );
    let url = format!("http://127.0.0.1:{}", ports.inference);
    println!(
        "Ask again:\n  curl -T {PICTURE} {url}{path}\nThe mask as a picture, and how the answer came about:\n  \
         curl -T {PICTURE} -H \"Accept: image/png\" -o mask.png {url}{path}\n  \
         curl -T {PICTURE} \"{url}{path}?explain=1\"\nWhat else ships, and the model alone:\n  \
         curl -T tests/fixtures/tags/three.png {url}/wfpredict/detect_read\n  \
         curl -T tests/fixtures/substrates/rock-2.png {url}/wfpredict/ensemble\n  \
         curl -sT {PICTURE} {url}/predictions/quadrat | tail -n 18"
    );
    if !comparison.is_correct() {
        bail!("the answer is not correct");
    }
    if options.once {
        return daemon.stop();
    }
    println!("\nThe daemon goes on; Ctrl-C ends it.");
    daemon.wait_for_interrupt()
}

/// Packs a demo model into `model_store/<name>.mar`.
fn pack(
    programs: &Path,
    scratch: &Path,
    (name, handler, fixture): (&str, &str, &str),
) -> Result<()> {
    let mut command = Command::new(programs.join("torchrelay-archiver"));
    command
        .current_dir(workspace::root())
        .args(["model", "--model-name", name, "--version", "1.0"])
        .args(["--handler", handler])
        .arg("--serialized-file")
        .arg(format!("tests/fixtures/{fixture}.pt"))
        .arg("--config-file")
        .arg(format!("tests/fixtures/{fixture}.yaml"));
    if NAMED.contains(&name) {
        // The name within the archive is the file's own, and it must be the one the handler looks for.
        let names = scratch.join("index_to_name.json");
        let fixture = workspace::root().join("tests/fixtures/quadrat_index_to_name.json");
        fs::copy(&fixture, &names).with_context(|| missing(&fixture))?;
        command.arg("--extra-files").arg(names);
    }
    run(command.args(["--export-path", "model_store", "--force"]))
}

fn start(programs: &Path, scratch: &Path, ports: &Ports) -> Result<Command> {
    let mut command = Command::new(programs.join("torchrelay"));
    command
        .current_dir(workspace::root())
        .args(["--start", "--foreground", "--model-store", "model_store"])
        .args(["--models", "quadrat=quadrat.mar"])
        .args(["--workflow-store", "workflows", "--workflows", "all"])
        .args(["--disable-token-auth", "--ncs"])
        // Neither the user's own configuration nor the pid file of a daemon beside us belongs here.
        .env_remove("TS_CONFIG_FILE")
        .envs([("TMPDIR", scratch), ("TEMP", scratch)]);
    if let Some(settings) = ports.settings() {
        let file: PathBuf = scratch.join("config.properties");
        fs::write(&file, settings).with_context(|| format!("cannot write {}", file.display()))?;
        command.arg("--ts-config").arg(file);
    }
    Ok(command)
}

/// The daemon may answer 503 until all workers are ready, so this asks until they are.
fn ask(daemon: &mut Daemon, port: u16, path: &str, body: &[u8]) -> Result<(Value, Duration)> {
    let begin = Instant::now();
    loop {
        let sent = Instant::now();
        let reply = http::post(port, path, body)
            .and_then(|reply| Ok((reply.status, String::from_utf8(reply.body)?)))
            .with_context(|| format!("port {port} gave no answer"));
        let trouble = match reply {
            Ok((200, text)) => {
                let answer = serde_json::from_str(&text).context("the answer is no JSON")?;
                return Ok((answer, sent.elapsed()));
            }
            Ok((503, text)) => anyhow::anyhow!("the model is not ready ({})", text.trim()),
            Ok((status, text)) => bail!("the daemon answered {status}: {}", text.trim()),
            Err(error) => error,
        };
        daemon.check_alive()?;
        if begin.elapsed() > PATIENCE {
            return Err(trouble.context(format!("no answer within {} s", PATIENCE.as_secs())));
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| missing(path))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

fn missing(path: &Path) -> String {
    format!(
        "cannot use {}; `cargo xtask fixtures` makes it",
        path.display()
    )
}
