//! A configuration looked over rather than loaded: what becomes of each of its lines, for `torchrelay doctor`.
//!
//! It reads as a start does, through the same [`Reader`] and the same table of keys, so that nothing is said here which a
//! start would not do. Nothing of it may serve: where something is wrong, the settings hold stand-ins.

use std::path::Path;

use super::keys::{self, State};
use super::properties;
use super::raw::RawConfig;
use super::reader::Reader;
use super::report::{Origin, Problem, Report};
use super::source_file::SourceFile;
use super::{Config, Env};
use crate::args::Args;

/// What came of it.
#[derive(Debug)]
pub struct Review {
    /// To look around with: what is wrong has a stand-in, and a path that is not there is the text as written.
    pub config: Config,
    /// The lines of the file, in their order.
    pub settings: Vec<Reviewed>,
    /// What is wrong and stands in no line of the file: flags, the environment, what is missing altogether.
    pub troubles: Vec<Trouble>,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    pub key: String,
    pub value: String,
    /// From 1.
    pub line: usize,
    pub fate: Fate,
}

/// What becomes of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Honoured,
    /// Accepted, and why it does nothing.
    WithoutEffect(&'static str),
    /// Ignored; the key that was probably meant.
    Unknown(Option<&'static str>),
    Wrong(Trouble),
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Where it was said, if not in a line of the file.
    pub origin: Origin,
    pub key: Option<String>,
    pub message: String,
    /// What happens instead; `None`: the server does not start.
    pub instead: Option<String>,
}

impl Config {
    /// Looks over the configuration of a start with `args` in the folder `cwd`.
    pub fn review(args: &Args, env: &Env<'_>, cwd: &Path) -> Review {
        let mut report = Report::default();
        let chosen = SourceFile::choose(args, env, cwd, &mut report);
        let file = chosen
            .as_ref()
            .and_then(|chosen| chosen.read(env, cwd, &mut report));
        let path = chosen.map(|chosen| chosen.path);
        let mut reader = Reader::new(RawConfig::new(args, env, file), cwd, report);
        let config = Config::read(&mut reader, path.clone(), args, env);
        reader.check_rest();
        let mut found: Vec<Trouble> = reader.report.all().map(Trouble::from).collect();
        // One that cannot be read was reported.
        let text = path.and_then(|path| Some((std::fs::read(cwd.join(&path)).ok()?, path)));
        let settings = text.map_or_else(Vec::new, |(text, path)| {
            let (entries, _) = properties::parse(&text);
            let reviewed = entries.into_iter().map(|entry| Reviewed {
                fate: fate(&entry, &path, &mut found),
                key: entry.key,
                value: entry.value,
                line: entry.line,
            });
            reviewed.collect()
        });
        Review {
            config,
            settings,
            troubles: found,
        }
    }
}

impl Review {
    /// What the file says of a key.
    pub fn says(&self, key: &str) -> Option<&str> {
        let mut lines = self.settings.iter().rev();
        let line = lines.find(|setting| setting.key == key)?;
        Some(line.value.trim())
    }
}

/// Takes what is said of that line out of `found`.
fn fate(entry: &properties::Entry, path: &Path, found: &mut Vec<Trouble>) -> Fate {
    let origin = Origin::file(path, entry.line);
    let of_line = |trouble: &mut Trouble| {
        trouble.origin == origin && trouble.key.as_deref() == Some(&entry.key)
    };
    let mut own: Vec<Trouble> = found.extract_if(.., of_line).collect();
    let Some(key) = keys::find(&entry.key) else {
        return Fate::Unknown(keys::nearest(&entry.key));
    };
    if !own.is_empty() {
        return Fate::Wrong(own.swap_remove(0));
    }
    match key.state {
        State::Honoured => Fate::Honoured,
        State::Later => Fate::WithoutEffect("honoured in a later release"),
        State::Ignored(why) => Fate::WithoutEffect(why),
    }
}

impl From<(Problem, Option<String>)> for Trouble {
    fn from((problem, instead): (Problem, Option<String>)) -> Self {
        Trouble {
            origin: problem.origin,
            key: problem.key,
            message: problem.message,
            instead,
        }
    }
}
