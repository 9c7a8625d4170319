//! What a TorchServe that runs answers, beside what Torchrelay does: for each of its models the descriptions and, where there
//! are samples, the answers to them. Both are asked as any client asks; nothing is registered and nothing is changed.
//!
//! `sides.rs` finds the two servers, `samples.rs` the files to send, `differences.rs` and `numbers.rs` tell two answers apart,
//! `report.rs` says it. Called by `torchrelay doctor --compare`.

mod args;
mod differences;
mod numbers;
mod report;
mod samples;
mod sides;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};

pub use args::Compare;
pub use report::Comparison;

use crate::Context;
use crate::commands::content_type;
use crate::endpoint::Api;
use crate::error::Error;
use crate::http::{Answer, Call, Server, path};
use crate::models::{self, Version};
use differences::Difference;
use samples::Samples;
use sides::Side;

/// One of their models.
#[derive(Debug)]
struct Compared {
    model: String,
    /// Of the descriptions.
    description: Vec<Difference>,
    samples: Vec<Sampled>,
}

/// One sample, sent to both.
#[derive(Debug)]
struct Sampled {
    file: String,
    differences: Vec<Difference>,
    theirs: Outcome,
    ours: Outcome,
}

/// What became of one request.
#[derive(Debug)]
enum Outcome {
    Answered {
        status: u16,
        took: Duration,
    },
    /// No answer, or none that was read to its end.
    Failed(String),
}

pub(crate) async fn run(
    args: &Compare,
    folder: Option<&Path>,
    context: &Context<'_>,
) -> Result<Comparison, Error> {
    let mut theirs = Side::theirs(args, folder, context)?;
    let mut ours = Side::ours(args, context)?;
    let mut listed = models::list(&mut theirs.management)
        .await
        .map_err(|error| theirs.named(error))?;
    listed.sort_by(|one, other| one.model_name.cmp(&other.model_name));
    let names: Vec<&str> = listed.iter().map(|it| it.model_name.as_str()).collect();
    let samples = args.samples.as_deref();
    let samples = samples
        .map(|folder| Samples::find(folder, &names))
        .transpose()?;
    let mut compared = Vec::new();
    for name in &names {
        let description = descriptions(&mut theirs, &mut ours, name).await?;
        let mut sampled = Vec::new();
        for file in samples.iter().flat_map(|samples| samples.of(name)) {
            sampled.push(ask_both(&mut theirs, &mut ours, name, file).await?);
        }
        compared.push(Compared {
            model: (*name).to_owned(),
            description,
            samples: sampled,
        });
    }
    Ok(Comparison {
        theirs: theirs.inference.address(),
        ours: ours.inference.address(),
        models: compared,
        with_samples: samples.is_some(),
        strays: samples.map(Samples::strays).unwrap_or_default(),
    })
}

/// In which respects ours is described otherwise, as far as clients can tell.
async fn descriptions(
    theirs: &mut Side,
    ours: &mut Side,
    model: &str,
) -> Result<Vec<Difference>, Error> {
    let there = versions(theirs, model).await?.unwrap_or_default();
    let Some(here) = versions(ours, model).await? else {
        let ours = Value::from("not registered");
        return Ok(vec![Difference::new("model", "registered".into(), ours)]);
    };
    let mut found = Vec::new();
    let default = |versions: &[Version]| {
        let default = versions.iter().find(|version| version.is_default);
        default.map(|version| version.description.model_version.clone())
    };
    found.extend(Difference::between(
        "default version",
        json!(default(&there)),
        json!(default(&here)),
    ));
    for Version { description, .. } in &there {
        let version = &description.model_version;
        let same = |other: &&Version| other.description.model_version == *version;
        let Some(other) = here.iter().find(same) else {
            let what = format!("version {version}");
            let ours = Value::from("not registered");
            found.push(Difference::new(what, "registered".into(), ours));
            continue;
        };
        let other = &other.description;
        let settings = [
            ("batchSize", description.batch_size, other.batch_size),
            (
                "maxBatchDelay",
                description.max_batch_delay,
                other.max_batch_delay,
            ),
            (
                "responseTimeout",
                description.response_timeout,
                other.response_timeout,
            ),
        ];
        let named = |what: &str| match there.len() {
            1 => what.to_owned(),
            _ => format!("{what} of {version}"),
        };
        for (what, there, here) in settings {
            found.extend(Difference::between(named(what), json!(there), json!(here)));
        }
        // How many there are is the machine's affair; that nobody is there is not.
        if description.ready() > 0 && other.ready() == 0 {
            found.push(Difference::new(
                named("ready workers"),
                json!(description.ready()),
                json!(0),
            ));
        }
    }
    Ok(found)
}

/// All versions of a model; `None` where there is none of that name.
async fn versions(side: &mut Side, model: &str) -> Result<Option<Vec<Version>>, Error> {
    match models::versions(&mut side.management, model).await {
        Ok(versions) => Ok(Some(versions)),
        Err(Error::Refused { message, .. }) if message.starts_with("Model not found") => Ok(None),
        Err(error) => Err(side.named(error)),
    }
}

async fn ask_both(
    theirs: &mut Side,
    ours: &mut Side,
    model: &str,
    file: &Path,
) -> Result<Sampled, Error> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let body = samples::read(file)?;
    let call = Call::new(Api::Inference, Method::POST, path(&["predictions", model]));
    let call = call.body(content_type(file).map(str::to_owned), body);
    let (there, theirs) = ask(&mut theirs.inference, &call).await?;
    let (here, ours) = ask(&mut ours.inference, &call).await?;
    let differences = match (there, here) {
        (Some(there), Some(here)) => differences::of_answers(&there, &here),
        _ => Vec::new(),
    };
    Ok(Sampled {
        file: name.into_owned(),
        differences,
        theirs,
        ours,
    })
}

/// # Errors
/// What no other sample would be spared: a key file that cannot be read, say.
async fn ask(server: &mut Server, call: &Call) -> Result<(Option<Answer>, Outcome), Error> {
    let start = Instant::now();
    match server.send(call).await {
        Ok(answer) if answer.cut => {
            let most = samples::MOST_BYTES >> 20;
            let why = format!("the answer has more than {most} MiB, which is not compared");
            Ok((None, Outcome::Failed(why)))
        }
        Ok(answer) => {
            let outcome = Outcome::Answered {
                status: answer.status.as_u16(),
                took: start.elapsed(),
            };
            Ok((Some(answer), outcome))
        }
        Err(Error::Unreachable { why, .. }) => Ok((None, Outcome::Failed(why))),
        Err(error) => Err(error),
    }
}

impl Sampled {
    fn is_same(&self) -> bool {
        let answered = |outcome: &Outcome| matches!(outcome, Outcome::Answered { .. });
        self.differences.is_empty() && answered(&self.theirs) && answered(&self.ours)
    }
}

impl Compared {
    fn is_same(&self) -> bool {
        self.description.is_empty() && self.samples.iter().all(Sampled::is_same)
    }
}
