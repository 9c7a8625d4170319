//! The workers of one pool and what each of them is at. It decides nothing: the pool's task does.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::time::{Instant, SystemTime};

use servable::Device;

use crate::backoff::Recovery;
use crate::worker::{Batch, WorkerId};

/// What a worker is at.
pub(crate) enum Phase {
    Loading(SyncSender<Batch>),
    Idle(SyncSender<Batch>),
    Busy(SyncSender<Batch>),
    /// Finishing its last batch; nothing more will be sent to it.
    Leaving,
    /// Failed to load; starts again then.
    Resting(Instant),
    /// Failed for too long.
    GivenUp,
}

pub(crate) struct Member {
    pub(crate) device: Device,
    pub(crate) started: SystemTime,
    pub(crate) phase: Phase,
    pub(crate) recovery: Recovery,
}

/// What everybody may know of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    pub id: WorkerId,
    pub started: SystemTime,
    /// Whether it can serve.
    pub ready: bool,
    /// Whether it has failed for so long that it is not started again.
    pub given_up: bool,
    pub device: Device,
}

#[derive(Default)]
pub(crate) struct Roster {
    members: BTreeMap<WorkerId, Member>,
    /// Idle workers. The one that worked last is taken first: its caches are warm, and so are its engine's threads.
    idle: Vec<WorkerId>,
    /// When a worker last became idle while none was.
    idle_since: Option<Instant>,
}

impl Roster {
    pub(crate) fn insert(&mut self, id: WorkerId, device: Device, phase: Phase) {
        let member = Member {
            device,
            started: SystemTime::now(),
            phase,
            recovery: Recovery::default(),
        };
        self.members.insert(id, member);
    }

    pub(crate) fn get_mut(&mut self, id: WorkerId) -> Option<&mut Member> {
        self.members.get_mut(&id)
    }

    /// Workers that are asked for: all but those that are leaving.
    pub(crate) fn wanted(&self) -> usize {
        self.count(|phase| !matches!(phase, Phase::Leaving))
    }

    pub(crate) fn ready(&self) -> usize {
        self.count(|phase| matches!(phase, Phase::Idle(_) | Phase::Busy(_)))
    }

    pub(crate) fn loading(&self) -> usize {
        self.count(|phase| matches!(phase, Phase::Loading(_)))
    }

    /// Batches that workers hold.
    pub(crate) fn in_flight(&self) -> usize {
        self.count(|phase| matches!(phase, Phase::Busy(_) | Phase::Leaving))
    }

    pub(crate) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Since when some worker has been idle; now, if none is.
    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since
            .filter(|_| !self.idle.is_empty())
            .unwrap_or_else(Instant::now)
    }

    fn count(&self, matching: impl Fn(&Phase) -> bool) -> usize {
        self.members
            .values()
            .filter(|member| matching(&member.phase))
            .count()
    }

    /// A worker has loaded, or has answered its batch. One that was leaving is gone now.
    pub(crate) fn became_idle(&mut self, id: WorkerId) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        match std::mem::replace(&mut member.phase, Phase::GivenUp) {
            Phase::Loading(batches) | Phase::Busy(batches) | Phase::Idle(batches) => {
                member.phase = Phase::Idle(batches);
                if self.idle.is_empty() {
                    self.idle_since = Some(Instant::now());
                }
                self.idle.push(id);
            }
            Phase::Leaving | Phase::Resting(_) | Phase::GivenUp => {
                self.members.remove(&id);
            }
        }
    }

    /// Gives a batch to an idle worker. Returns it if there is none.
    pub(crate) fn send(&mut self, mut batch: Batch) -> Result<(), Batch> {
        while let Some(id) = self.idle.pop() {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            let Phase::Idle(batches) = &member.phase else {
                continue;
            };
            let batches = batches.clone();
            match batches.try_send(batch) {
                Ok(()) => {
                    member.phase = Phase::Busy(batches);
                    return Ok(());
                }
                // Its thread is gone, which its last word will explain.
                Err(error) => batch = unsent(error),
            }
        }
        Err(batch)
    }

    /// Sends the newest worker away, at once or when it has answered its batch, and says which that was.
    pub(crate) fn dismiss_newest(&mut self) -> Option<WorkerId> {
        let staying =
            |(_, member): &(&WorkerId, &mut Member)| !matches!(member.phase, Phase::Leaving);
        let (&id, member) = self.members.iter_mut().rev().find(staying)?;
        if matches!(member.phase, Phase::Busy(_)) {
            member.phase = Phase::Leaving;
        } else {
            self.members.remove(&id);
            self.idle.retain(|&idle| idle != id);
        }
        Some(id)
    }

    /// The next instant at which a resting worker starts again.
    pub(crate) fn next_start(&self) -> Option<Instant> {
        self.members
            .values()
            .filter_map(|member| match member.phase {
                Phase::Resting(until) => Some(until),
                Phase::Loading(_)
                | Phase::Idle(_)
                | Phase::Busy(_)
                | Phase::Leaving
                | Phase::GivenUp => None,
            })
            .min()
    }

    /// Workers whose rest is over.
    pub(crate) fn rested(&self, now: Instant) -> Vec<(WorkerId, Device)> {
        self.members
            .iter()
            .filter(|(_, member)| matches!(member.phase, Phase::Resting(until) if until <= now))
            .map(|(&id, member)| (id, member.device))
            .collect()
    }

    pub(crate) fn statuses(&self) -> Vec<WorkerStatus> {
        self.members
            .iter()
            .filter(|(_, member)| !matches!(member.phase, Phase::Leaving))
            .map(|(&id, member)| WorkerStatus {
                id,
                started: member.started,
                ready: matches!(member.phase, Phase::Idle(_) | Phase::Busy(_)),
                given_up: matches!(member.phase, Phase::GivenUp),
                device: member.device,
            })
            .collect()
    }
}

fn unsent(error: std::sync::mpsc::TrySendError<Batch>) -> Batch {
    use std::sync::mpsc::TrySendError::{Disconnected, Full};
    match error {
        Full(batch) | Disconnected(batch) => batch,
    }
}
