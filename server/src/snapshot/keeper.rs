//! Writes snapshots while the server runs: one at its start, one for each change, one at its end.
//!
//! There is one writer, a task. A change asks it for a snapshot and waits until one that was begun after the change lies
//! on the disk; changes that come while one is being written share the next. What is written is what is registered when
//! the writing begins, so the newest state wins. A snapshot that cannot be written costs nothing but itself: the log says
//! which and why, the change stays, and the next change, or the end, writes again.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use serving::{Keeper, Serving};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::disk::SystemDisk;
use super::folder::Folder;
use super::name::Kind;
use super::{SnapshotModels, SnapshotSettings, SnapshotWorkflows, WrittenSettings, to_text};
use crate::config::Config;
use crate::start::Loaded;

/// How long a change waits for a disk that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The writer of one server. Dropping it leaves what is written as it is; [`Snapshots::finish`] writes the last one.
pub struct Snapshots {
    stop: CancellationToken,
    task: JoinHandle<Option<Writing>>,
}

impl Snapshots {
    /// Writes the first snapshot, and has `serving` ask for the next ones. `left_out` are versions of models and workflows
    /// that could not be restored; they stay in every snapshot until they are registered again or unregistered. `None`:
    /// the configuration wants none.
    pub async fn start(
        config: &Config,
        serving: &Arc<Serving>,
        left_out: Loaded,
    ) -> Option<Snapshots> {
        let SnapshotSettings {
            folder,
            kept,
            written,
        } = config.snapshots.clone()?;
        let folder = Folder::new(SystemDisk(folder), kept, config.file.as_deref());
        let writer = Writer {
            folder,
            settings: written,
            serving: Arc::downgrade(serving),
            left_out,
        };
        // The start is the first change.
        let (ask, asked) = watch::channel(1);
        let (tell, told) = watch::channel(0);
        let stop = CancellationToken::new();
        let writing = Writing {
            writer,
            asked,
            tell,
        };
        let task = tokio::spawn(writing.run(stop.clone()));
        durable(told.clone(), 1).await;
        serving.keep_with(Arc::new(Asking { ask, told }));
        Some(Snapshots { stop, task })
    }

    /// Writes the last snapshot. Call it while the models are still registered; later changes are not written.
    pub async fn finish(self) {
        self.stop.cancel();
        let last = async {
            if let Ok(Some(writing)) = self.task.await {
                writing.write(Kind::Shutdown).await;
            }
        };
        if tokio::time::timeout(PATIENCE, last).await.is_err() {
            error!(
                "the last snapshot is not written after {} s",
                PATIENCE.as_secs()
            );
        }
    }
}

/// What the serving core holds of the writer.
struct Asking {
    /// Counts the changes.
    ask: watch::Sender<u64>,
    /// How many of them are on the disk, or could not be written there.
    told: watch::Receiver<u64>,
}

impl Keeper for Asking {
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut change = 0;
        self.ask.send_modify(|count| {
            *count += 1;
            change = *count;
        });
        Box::pin(durable(self.told.clone(), change))
    }
}

/// Waits until that change is on the disk, or will not be soon.
async fn durable(mut told: watch::Receiver<u64>, change: u64) {
    let written = told.wait_for(|&count| count >= change);
    match tokio::time::timeout(PATIENCE, written).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) => warn!("no snapshot of the last change: the writer has ended"),
        Err(_) => error!(
            "no snapshot of the last change after {} s: the disk does not answer",
            PATIENCE.as_secs()
        ),
    }
}

/// The writer, what it is asked, and whom it answers.
struct Writing {
    writer: Writer,
    asked: watch::Receiver<u64>,
    tell: watch::Sender<u64>,
}

impl Writing {
    /// Until it is stopped, and then it writes one more if somebody waits for it. `None` after a panic.
    async fn run(mut self, stop: CancellationToken) -> Option<Writing> {
        self = self.write(Kind::Startup).await?;
        loop {
            tokio::select! {
                biased;
                change = self.asked.changed() => if change.is_err() {
                    return Some(self); // The serving core is gone.
                },
                () = stop.cancelled() => return Some(self),
            }
            self = self.write(Kind::Snapshot).await?;
        }
    }

    /// Off the runtime's own threads.
    async fn write(mut self, kind: Kind) -> Option<Writing> {
        let written = tokio::task::spawn_blocking(move || {
            let count = *self.asked.borrow_and_update();
            self.writer.write(kind);
            self.tell.send_replace(count);
            self
        });
        written
            .await
            .inspect_err(|panic| error!("snapshots are no longer written: {panic}"))
            .ok()
    }
}

struct Writer {
    folder: Folder<SystemDisk>,
    settings: WrittenSettings,
    serving: Weak<Serving>,
    left_out: Loaded,
}

impl Writer {
    fn write(&mut self, kind: Kind) {
        if kind == Kind::Startup {
            self.folder.remove_unfinished();
        }
        let Some(serving) = self.serving.upgrade() else {
            return;
        };
        let mut models = SnapshotModels::of(&serving.registry);
        self.left_out.models.settle(&models);
        models.merge(&self.left_out.models.models());
        let mut workflows = SnapshotWorkflows::of(&serving);
        workflows.merge(&self.left_out.workflows.settle(&serving));
        let now = SystemTime::now();
        let text = |name: &str| to_text(&self.settings, &models, &workflows, name, now);
        match self.folder.write(kind, now, text) {
            Ok(name) => debug!("snapshot {}", self.folder.path(&name).display()),
            Err(failure) => {
                error!("{failure}; until one can be, a restart knows nothing of what changes")
            }
        }
    }
}
