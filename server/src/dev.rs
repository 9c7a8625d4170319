//! `torchrelay dev`: serves the models and workflows of a folder while somebody writes them.
//!
//! The daemon runs as always; beside it, [`House::run`] watches the folder (`watch.rs`), looks what is in it (`find.rs`), and
//! whatever is not as it was (`files.rs`) is checked and put in the place of what serves (`swap.rs`). What cannot serve is
//! told, with its place, and what was there serves on. Nothing of this is in the daemon that `--start` starts.

mod files;
mod find;
mod swap;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serving::Serving;
use tokio_util::sync::CancellationToken;
use workbench::{Tone, paint};

use files::Files;
use find::{Item, Kind};
use swap::{Failure, Live};
use watch::Watch;

/// The log's levels: requests and what goes wrong. Registrations are told in other words, and whoever writes models need not
/// be warned of whoever may register some.
pub const LEVELS: &str = "warn,server::wiring=error,access_log=info";

/// A folder that is served while it changes.
pub struct House {
    pub serving: Arc<Serving>,
    /// Its real path. It is the workflow store as well.
    pub folder: PathBuf,
    /// As it was typed, for messages.
    pub shown: PathBuf,
    /// Where predictions are asked for.
    pub address: String,
    /// The port on which a worker listens for a debugger: then what serves goes before the new state comes, which takes its
    /// port.
    pub debugger: Option<u16>,
    pub colour: bool,
    /// Prints a line.
    pub say: Box<dyn Fn(&str) + Send + Sync>,
}

/// What is known of one thing in the folder.
#[derive(Default)]
struct Entry {
    /// Its own files and those that it needs, as they were when it was last tried.
    tried: Option<(Files, Files)>,
    /// What else in the folder it leans on: models that a workflow names, there or not.
    needs: Vec<PathBuf>,
    live: Option<Live>,
    /// It is there no more, which has been told.
    gone: bool,
}

impl House {
    /// Serves what is in the folder, and whatever becomes of it, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&self) {
        let mut entries: BTreeMap<Item, Entry> = BTreeMap::new();
        let shown = self.shown.display();
        self.say(Tone::Dim, &format!("{shown} is watched; Ctrl-C ends"));
        if let Some(port) = self.debugger {
            let text = format!(
                "the first model in Python listens for a debugger at 127.0.0.1:{port}; requests have no time limit"
            );
            self.say(Tone::Dim, &text);
        }
        let mut watch = Watch::new(&self.folder);
        if let Some(why) = watch.complaint() {
            self.say(
                Tone::Warn,
                &format!("the folder is looked at every second: {why}"),
            );
        }
        let mut was_empty = false;
        loop {
            let items = self.look().await;
            if items.is_empty() && entries.is_empty() && !was_empty {
                self.say(Tone::Warn, &format!("{shown}: {}", find::NOTHING));
            }
            was_empty = items.is_empty();
            self.tell_gone(&items, &mut entries);
            for item in items {
                let entry = entries.entry(item.clone()).or_default();
                entry.gone = false;
                self.attend(&item, entry).await;
            }
            watch.changed(&self.folder).await;
        }
    }

    async fn look(&self) -> Vec<Item> {
        let folder = self.folder.clone();
        let looked = tokio::task::spawn_blocking(move || find::items(&folder));
        looked.await.unwrap_or_default()
    }

    fn tell_gone(&self, items: &[Item], entries: &mut BTreeMap<Item, Entry>) {
        for (item, entry) in entries {
            if items.contains(item) || entry.gone {
                continue;
            }
            entry.gone = true;
            entry.tried = None;
            let serves = match entry.live {
                Some(_) => "; what was there serves on",
                None => "",
            };
            let shown = self.shown(item);
            self.say(Tone::Warn, &format!("{} is gone{serves}", shown.display()));
        }
    }

    /// Puts what lies there now in the place of what serves, if it is another and can serve.
    async fn attend(&self, item: &Item, entry: &mut Entry) {
        let own = files_at(vec![self.folder.join(&item.url)]).await;
        let needed = files_at(entry.needs.clone()).await;
        if entry.tried.as_ref() == Some(&(own.clone(), needed)) {
            return;
        }
        if self.debugger.is_some()
            && let Some(live) = entry.live.take()
        {
            swap::take_out(self, item.kind, &live).await;
        }
        let begun = Instant::now();
        let swapped = self.swap(item, own, entry).await;
        let kind = item.kind.word();
        match (swapped, &entry.live) {
            (Ok(live), None) => {
                let (place, name) = (item.kind.place(), &live.name);
                let address = &self.address;
                self.say(
                    Tone::Good,
                    &format!("{kind} {name}: {address}/{place}/{name}"),
                );
                entry.live = Some(live);
            }
            (Ok(live), Some(_)) => {
                let seconds = begun.elapsed().as_secs_f64();
                let text = format!("{kind} {}: the change serves ({seconds:.2} s)", live.name);
                self.say(Tone::Good, &text);
                entry.live = Some(live);
            }
            (Err(failure), Some(live)) => {
                let text = format!("{kind} {}: {failure}; what was there serves on", live.name);
                self.say(Tone::Bad, &text);
            }
            (Err(failure), None) => {
                let shown = self.shown(item);
                let text = format!(
                    "{kind} {}: {failure}; it is not served yet",
                    shown.display()
                );
                self.say(Tone::Bad, &text);
            }
        }
    }

    /// `own`: its files, as they were before anybody opened one of them. What is written from then on shows next time.
    async fn swap(&self, item: &Item, own: Files, entry: &mut Entry) -> Result<Live, Failure> {
        let live = entry.live.as_ref();
        match item.kind {
            Kind::Model => {
                entry.tried = Some((own, Files::default()));
                swap::model(self, item, live).await
            }
            Kind::Workflow => {
                let needed = files_at(entry.needs.clone()).await;
                entry.tried = Some((own.clone(), needed));
                let spec = swap::read(self, item).await?;
                entry.needs = spec.needs();
                entry.tried = Some((own, files_at(entry.needs.clone()).await));
                swap::workflow(self, item, spec, live).await
            }
        }
    }

    /// Where something lies, as whoever typed the folder's name would say it.
    fn shown(&self, item: &Item) -> PathBuf {
        if item.url == find::ITSELF {
            self.shown.clone()
        } else {
            self.shown.join(&item.url)
        }
    }

    /// The name of a spec, for messages.
    fn shown_spec(&self, item: &Item, spec_file: &str) -> String {
        let path = self.shown(item);
        if Path::new(&item.url).extension().is_some() && self.folder.join(&item.url).is_file() {
            return path.display().to_string();
        }
        path.join(spec_file).display().to_string()
    }

    fn say(&self, tone: Tone, text: &str) {
        for line in text.lines() {
            (self.say)(&paint(line, tone, self.colour));
        }
    }

    /// What has its tones already.
    fn say_painted(&self, text: &str) {
        text.lines().for_each(|line| (self.say)(line));
    }
}

async fn files_at(paths: Vec<PathBuf>) -> Files {
    let looked = tokio::task::spawn_blocking(move || Files::below(&paths));
    looked.await.unwrap_or_default()
}
