//! Waiting until something in a folder has changed and nobody is writing to it any more.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// A save is several events: it is over when none has come for so long.
const QUIET: Duration = Duration::from_millis(150);
/// Whoever writes for longer, a log into the folder say, does not hold everything up.
const LONGEST: Duration = Duration::from_secs(5);
/// How often a folder is looked at that cannot be watched, or is not there.
const INTERVAL: Duration = Duration::from_secs(1);

/// The watch over one folder and everything below it.
pub(super) struct Watch {
    active: Result<Active, notify::Error>,
}

struct Active {
    /// Which folder it is: a folder of the same name that is made later is another one.
    folder: (u64, u64),
    /// Holds one event at most: that something has changed is all there is to say.
    events: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    pub(super) fn new(folder: &Path) -> Watch {
        Watch {
            active: Active::new(folder),
        }
    }

    /// Why the folder cannot be watched, if it cannot.
    pub(super) fn complaint(&self) -> Option<String> {
        self.active.as_ref().err().map(ToString::to_string)
    }

    /// Returns when something may have changed since the last time.
    pub(super) async fn changed(&mut self, folder: &Path) {
        match &mut self.active {
            Ok(active) => active.settled().await,
            Err(_) => sleep(INTERVAL).await,
        }
        let is_watched = |active: &Active| identity(folder).ok() == Some(active.folder);
        if !self.active.as_ref().is_ok_and(is_watched) {
            self.active = Active::new(folder);
        }
    }
}

impl Active {
    fn new(folder: &Path) -> Result<Active, notify::Error> {
        let (sender, events) = mpsc::channel(1);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Reading changes nothing, and serving reads. An error may hide a change.
                if !event.is_ok_and(|event| event.kind.is_access()) {
                    let _ = sender.try_send(());
                }
            })?;
        let identity = identity(folder).map_err(notify::Error::io)?;
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(Active {
            folder: identity,
            events,
            _watcher: watcher,
        })
    }

    async fn settled(&mut self) {
        if self.events.recv().await.is_none() {
            return sleep(INTERVAL).await;
        }
        let end = Instant::now() + LONGEST;
        while Instant::now() < end {
            if timeout(QUIET, self.events.recv()).await.is_err() {
                return;
            }
        }
    }
}

fn identity(folder: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = fs::metadata(folder)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn changes_are_noticed_even_in_a_folder_that_comes_back() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("f");
        fs::create_dir(&folder).expect("made");
        let mut watch = Watch::new(&folder);
        assert_eq!(watch.complaint(), None);
        let mut notice = async |why: &str| {
            let noticed = timeout(PATIENCE, watch.changed(&folder)).await;
            noticed.unwrap_or_else(|_| panic!("not noticed: {why}"));
        };
        fs::write(folder.join("a"), "1").expect("written");
        notice("a new file").await;
        fs::create_dir(folder.join("below")).expect("made");
        notice("a new folder").await;
        fs::write(folder.join("below/b"), "1").expect("written");
        notice("a file in it").await;
        fs::remove_dir_all(&folder).expect("removed");
        notice("it is gone").await;
        fs::create_dir(&folder).expect("made");
        notice("it is back").await;
        fs::write(folder.join("a"), "2").expect("written");
        notice("a file in the new folder").await;
    }
}
