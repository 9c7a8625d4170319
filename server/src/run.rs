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
use servable::{Image, Input, Part, Type, Value};
use serving::metrics::Metrics;
use serving::workflow::{RunOptions, Workflow, WorkflowRegistration, WorkflowReply};
use serving::{Code, Error, Model, Serving};

use crate::args;
use crate::config::Config;
use crate::unpacked::{OwnFolder, Purpose};
use crate::wiring;
use files::Files;
use overlay::Overlay;
use pictures::{Found, Namesakes};

/// What waits longer at the end than this is left alone.
const UNLOAD: Duration = Duration::from_secs(10);

/// What was done, in a line, and what else deserves one.
#[derive(Debug)]
pub struct Report {
    pub line: String,
    /// What is odd about answers that there are, and what of the folder was left alone.
    pub notes: Vec<String>,
    /// Whether every picture was answered.
    pub all: bool,
}

/// Answers for every picture, and says in a line what was done; in further ones, which were not answered and why.
///
/// # Errors
///
/// A workflow that cannot be registered, pictures that are not there, a folder that cannot be written to.
pub async fn run(args: &args::Run, config: &Config) -> anyhow::Result<Report> {
    let start = Instant::now();
    let unpacked = OwnFolder::create(&std::env::temp_dir(), Purpose::Models)
        .context("the folder for unpacked archives")?;
    let engine = wiring::engine(config);
    let serving = wiring::serving(config, engine, unpacked.path(), Metrics::off())?;
    let serving = Arc::new(serving);
    let workflow = register(&serving, args).await?;
    check_params(&serving, &workflow, &args.params)?;
    let as_image = takes_image(&serving, &workflow);
    let files = Files::new(&args.out, &workflow, args.overlay.is_some())?;
    let found = pictures::find(&args.image, &files)?;
    let files = files.sparing(found.paths());
    let job = Job {
        serving: &serving,
        workflow: &workflow,
        params: &args.params,
        files: &files,
        overlay: args.overlay.map(|size| Overlay { size }),
        as_image,
    };
    let done = job.all(&found).await;
    serving.shutdown(UNLOAD).await;
    Ok(report(&found, done, start.elapsed(), &args.out))
}

/// Whether the picture can be brought as one, so that it comes to be known what becomes of it; else as the bytes of its file.
fn takes_image(serving: &Serving, workflow: &Workflow) -> bool {
    let graph = &workflow.graph;
    let mut required = graph.inputs.iter().filter(|entry| entry.is_required());
    if let (Some(only), None) = (required.next(), required.next()) {
        return only.of == Type::Image;
    }
    let models = serving.first_models(workflow);
    let takes = |model: &Arc<Model>| {
        let inputs = &model.signature.inputs;
        inputs.iter().any(|input| input.of == Type::Image)
    };
    !models.is_empty() && models.iter().all(takes)
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

/// Something in the workflow must take every one of them, and it must be another than the picture.
fn check_params(
    serving: &Serving,
    workflow: &Workflow,
    params: &[(String, String)],
) -> anyhow::Result<()> {
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
        name => serving
            .is_of_no_use(workflow, name)
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
    as_image: bool,
}

/// What came of all pictures.
#[derive(Default)]
struct Done {
    failures: Vec<Failure>,
    /// Pictures whose answers deserve a word, and that word.
    odd: Vec<(PathBuf, String)>,
}

/// A picture without an answer, and why.
struct Failure {
    picture: PathBuf,
    why: String,
}

impl Job<'_> {
    /// As many at once as keep cores and batches busy. What is told of them is in the order of their names.
    async fn all(&self, found: &Found) -> Done {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let bar = bar(found.count());
        let answers = stream::iter(&found.pictures).map(|namesakes| self.one_of(namesakes));
        let mut answers = answers.buffer_unordered(2 * cores);
        let mut all = Done::default();
        while let Some((count, done)) = answers.next().await {
            bar.inc(count);
            all.failures.extend(done.failures);
            all.odd.extend(done.odd);
        }
        bar.finish_and_clear();
        all.failures
            .sort_by(|one, other| one.picture.cmp(&other.picture));
        all.odd.sort();
        all
    }

    /// The first that can be answered, which leaves no names to the others.
    async fn one_of(&self, namesakes: &Namesakes) -> (u64, Done) {
        let mut done = Done::default();
        let mut answered: Option<&Path> = None;
        for path in &namesakes.paths {
            let why = match answered {
                Some(first) => format!("its answers would replace those of {}", first.display()),
                None => match self.answer(path, &namesakes.stem).await {
                    Ok(odd) => {
                        answered = Some(path);
                        done.odd.extend(odd.map(|odd| (path.clone(), odd)));
                        continue;
                    }
                    Err(error) => format!("{error:#}"),
                },
            };
            done.failures.push(Failure {
                picture: path.clone(),
                why,
            });
        }
        (namesakes.paths.len() as u64, done)
    }

    /// Answers for one picture; returns what is odd about that.
    async fn answer(&self, path: &Path, stem: &str) -> anyhow::Result<Option<String>> {
        let path = path.to_owned();
        let read = tokio::task::spawn_blocking(move || std::fs::read(path));
        let photo = bytes::Bytes::from(read.await??);
        let image = Image::from_file(photo.clone());
        let mut input = match self.as_image {
            true => Input::body("", image.clone()),
            false => Input::body("", photo.clone()),
        };
        let params = self.params.iter();
        input.parts.extend(params.map(|(name, value)| Part {
            name: name.clone(),
            content_type: String::new(),
            value: Value::from(value.as_str()),
        }));
        let WorkflowReply { output, others, .. } = self.ask(input).await?;
        let outputs = std::iter::once(output).chain(others).collect();
        let (files, stem, overlay) = (self.files.clone(), stem.to_owned(), self.overlay);
        // Encoding and drawing take milliseconds, and disks what they like.
        let written = tokio::task::spawn_blocking(move || {
            files.write(&stem, outputs, |answers| match overlay {
                Some(overlay) => {
                    let drawn = overlay.draw(&photo, image.was_upright(), answers);
                    drawn.map(Some)
                }
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

fn report(found: &Found, done: Done, took: Duration, out: &Path) -> Report {
    let odd = done.odd.into_iter();
    let odd = odd.map(|(picture, odd)| format!("{}: {odd}", picture.display()));
    let notes = odd.chain(found.passed_over()).collect();
    let all = found.count();
    let good = all - done.failures.len();
    let noun = if all == 1 { "picture" } else { "pictures" };
    let (seconds, out) = (took.as_secs_f64(), out.display());
    let mut line = match done.failures.is_empty() {
        true => format!("{good} {noun} answered in {seconds:.1} s, in {out}"),
        false => {
            format!("{good} of {all} {noun} answered in {seconds:.1} s, in {out}; not answered:")
        }
    };
    for Failure { picture, why } in &done.failures {
        line.push_str(&format!("\n  {}: {why}", picture.display()));
    }
    Report {
        line,
        notes,
        all: done.failures.is_empty(),
    }
}
