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

use serving::Serving;
use tokio_util::sync::CancellationToken;
use workbench::{Tone, paint};

use files::Files;
use find::{Item, Kind};
use swap::Live;
use watch::Watch;

/// The log's levels: requests and what goes wrong. Registrations are told in other words.
pub const LEVELS: &str = "warn,access_log=info";

/// A folder that is served while it changes.
pub struct House {
    pub serving: Arc<Serving>,
    /// Its real path. It is the workflow store as well.
    pub folder: PathBuf,
    /// As it was typed, for messages.
    pub shown: PathBuf,
    /// Where predictions are asked for.
    pub address: String,
    pub colour: bool,
    /// Prints a line.
    pub say: Box<dyn Fn(&str) + Send + Sync>,
}

/// What is known of one thing in the folder.
#[derive(Default)]
struct Entry {
    /// As they were when it was last tried; `None` where they have to be looked at again.
    tried: Option<Files>,
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
                self.say(
                    Tone::Warn,
                    &format!("{}: {}", self.shown.display(), find::NOTHING),
                );
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
        let mut roots = vec![self.folder.join(&item.url)];
        roots.extend(entry.live.iter().flat_map(|live| live.needs.clone()));
        let looked = tokio::task::spawn_blocking(move || Files::below(&roots)).await;
        let Ok(found) = looked else { return };
        if entry.tried.as_ref() == Some(&found) {
            return;
        }
        entry.tried = Some(found);
        let is_new = entry.live.is_none();
        let begun = std::time::Instant::now();
        let swapped = match item.kind {
            Kind::Model => swap::model(self, item, entry.live.as_ref()).await,
            Kind::Workflow => swap::workflow(self, item, entry.live.as_ref()).await,
        };
        let kind = item.kind.word();
        match swapped {
            Ok(live) => {
                let name = &live.name;
                let text = if is_new {
                    let place = item.kind.place();
                    format!("{kind} {name}: {}/{place}/{name}", self.address)
                } else {
                    let seconds = begun.elapsed().as_secs_f64();
                    format!("{kind} {name}: the change serves ({seconds:.1} s)")
                };
                if live.needs
                    != entry
                        .live
                        .as_ref()
                        .map_or(Vec::new(), |live| live.needs.clone())
                {
                    // What it leans on counts from now on; nothing of it has changed in between but what shows next time.
                    entry.tried = self.files_of(item, &live).await;
                }
                entry.live = Some(live);
                self.say(Tone::Good, &text);
            }
            Err(failure) => {
                let what = match &entry.live {
                    Some(live) => {
                        format!("{kind} {}: {failure}; what was there serves on", live.name)
                    }
                    None => {
                        let shown = self.shown(item);
                        format!(
                            "{kind} {}: {failure}; it is not served yet",
                            shown.display()
                        )
                    }
                };
                self.say(Tone::Bad, &what);
            }
        }
    }

    async fn files_of(&self, item: &Item, live: &Live) -> Option<Files> {
        let mut roots = vec![self.folder.join(&item.url)];
        roots.extend(live.needs.clone());
        let looked = tokio::task::spawn_blocking(move || Files::below(&roots));
        looked.await.ok()
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
