//! `torchrelay run`: a workflow on a file or a folder of pictures, without sockets.
//!
//! It is the daemon's own serving core, wired as always, so that an answer is the one that the daemon would give. `pictures.rs`
//! says which pictures there are, `files.rs` what the answers are called and writes them, `overlay.rs` draws what was said over
//! the picture.

mod files;
mod overlay;
mod pictures;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use servable::{Input, Part, Value};
use serving::metrics::Metrics;
use serving::workflow::{RunOptions, Workflow, WorkflowRegistration, WorkflowReply};
use serving::{Code, Error, Serving};

use crate::args;
use crate::config::Config;
use crate::unpacked::UnpackFolder;
use crate::wiring;
use files::Files;
use overlay::Overlay;
use pictures::Picture;

/// What waits longer at the end than this is left alone.
const UNLOAD: Duration = Duration::from_secs(10);

/// Answers for every picture, and says in a line what was done.
///
/// # Errors
///
/// A workflow that cannot be registered, pictures that are not there, a folder that cannot be written to; and, once all others
/// are answered, pictures that could not be.
pub async fn run(args: &args::Run, config: &Config) -> anyhow::Result<String> {
    let start = Instant::now();
    let unpacked =
        UnpackFolder::create(&std::env::temp_dir()).context("the folder for unpacked archives")?;
    let engine = wiring::engine(config);
    let serving = wiring::serving(config, engine, unpacked.path(), Metrics::off())?;
    let serving = Arc::new(serving);
    let workflow = register(&serving, args).await?;
    check_params(&workflow, &args.params)?;
    let files = Files::new(&args.out, &workflow, args.overlay.is_some())?;
    let found = pictures::find(&args.image, &files)?;
    let files = files.sparing(found.paths());
    let job = Job {
        serving: &serving,
        workflow: &workflow,
        params: &args.params,
        files: &files,
        overlay: args.overlay.map(|size| Overlay { size }),
    };
    let failures = job.all(&found.pictures).await;
    serving.shutdown(UNLOAD).await;
    report(found, failures, start.elapsed(), &args.out)
}

async fn register(serving: &Arc<Serving>, args: &args::Run) -> anyhow::Result<Arc<Workflow>> {
    let (_, name) = args.place();
    if !args.workflow.exists() {
        bail!("{}: no such workflow", args.workflow.display());
    }
    let registration = WorkflowRegistration {
        url: Some(name),
        at_startup: true,
        ..WorkflowRegistration::default()
    };
    let registered = serving.register_workflow(registration).await;
    registered.map_err(|error| anyhow!("{}: {error}", args.workflow.display()))
}

/// Every one of them must be an input of the workflow, and another than the picture.
fn check_params(workflow: &Workflow, params: &[(String, String)]) -> anyhow::Result<()> {
    let graph = &workflow.graph;
    let is_picture = |name: &str| {
        let mut required = graph.inputs.iter().filter(|entry| entry.is_required());
        match (required.next(), required.next()) {
            (Some(only), None) => only.name == name,
            (_, _) => false,
        }
    };
    let wrong = params.iter().filter_map(|(name, _)| match name.as_str() {
        name if is_picture(name) => Some(format!("--param {name}: this input is the picture")),
        name => graph
            .unknown_input(name)
            .map(|why| format!("--param {name}: {why}")),
    });
    let wrong: Vec<String> = wrong.collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => bail!(wrong.join("\n")),
    }
}

/// What is done with each picture.
struct Job<'a> {
    serving: &'a Arc<Serving>,
    workflow: &'a Workflow,
    params: &'a [(String, String)],
    files: &'a Files,
    overlay: Option<Overlay>,
}

/// A picture without an answer, and why.
struct Failure {
    picture: PathBuf,
    why: String,
}

impl Job<'_> {
    /// As many at once as keep cores and batches busy. Those that failed, in the order of their names.
    async fn all(&self, pictures: &[Picture]) -> Vec<Failure> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let bar = bar(pictures.len());
        let answers = stream::iter(pictures).map(|picture| self.one(picture));
        let mut answers = answers.buffer_unordered(2 * cores);
        let mut failures = Vec::new();
        while let Some(answered) = answers.next().await {
            bar.inc(1);
            failures.extend(answered.err());
        }
        bar.finish_and_clear();
        failures.sort_by(|one, other| one.picture.cmp(&other.picture));
        failures
    }

    async fn one(&self, picture: &Picture) -> Result<(), Failure> {
        let answered = self.answer(picture).await;
        answered.map_err(|error| Failure {
            picture: picture.path.clone(),
            why: format!("{error:#}"),
        })
    }

    async fn answer(&self, picture: &Picture) -> anyhow::Result<()> {
        let path = picture.path.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read(path));
        let photo = bytes::Bytes::from(read.await??);
        let mut input = Input::body("", Value::Bytes(photo.clone()));
        let params = self.params.iter();
        input.parts.extend(params.map(|(name, value)| Part {
            name: name.clone(),
            content_type: String::new(),
            value: Value::from(value.as_str()),
        }));
        let WorkflowReply { output, others, .. } = self.ask(input).await?;
        let outputs = std::iter::once(output).chain(others).collect();
        let (files, stem, overlay) = (self.files.clone(), picture.stem.clone(), self.overlay);
        // Encoding and drawing take milliseconds, and disks what they like.
        let written = tokio::task::spawn_blocking(move || {
            files.write(&stem, outputs, |answers| match overlay {
                Some(overlay) => overlay.draw(&photo, answers).map(Some),
                None => Ok(None),
            })
        });
        written.await?
    }

    /// A full queue is no failure here: nobody else waits.
    async fn ask(&self, input: Input) -> Result<WorkflowReply, Error> {
        loop {
            let options = RunOptions {
                every: true,
                ..RunOptions::default()
            };
            let (name, version) = (&self.workflow.name, &self.workflow.version);
            let reply = self
                .serving
                .run_workflow(name, Some(version), input.clone(), options);
            match reply.await {
                Err(error) if error.code() == Code::Overloaded => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                reply => return reply,
            }
        }
    }
}

/// On standard error where somebody looks at it, nowhere else.
fn bar(count: usize) -> ProgressBar {
    if count < 2 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} pictures, {eta} left");
    ProgressBar::new(count as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn report(
    found: pictures::Found,
    failures: Vec<Failure>,
    took: Duration,
    out: &Path,
) -> anyhow::Result<String> {
    let refused = found.refused.len();
    let more = found.refused.into_iter();
    let more = more.map(|(picture, why)| Failure { picture, why });
    let failures: Vec<_> = failures.into_iter().chain(more).collect();
    let all = found.pictures.len() + refused;
    let good = all - failures.len();
    let noun = if all == 1 { "picture" } else { "pictures" };
    let seconds = took.as_secs_f64();
    if failures.is_empty() {
        return Ok(format!(
            "{good} {noun} answered in {seconds:.1} s, in {}",
            out.display()
        ));
    }
    let mut text = format!(
        "{good} of {all} {noun} answered in {seconds:.1} s, in {}; not answered:",
        out.display()
    );
    for Failure { picture, why } in failures {
        text.push_str(&format!("\n  {}: {why}", picture.display()));
    }
    bail!(text)
}
