//! The workers of one pool and what each of them is at. It decides nothing: the desk and the pool's task do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use servable::{Abort, Device};

use crate::backoff::Recovery;
use crate::worker::{Batch, Turn, WorkerId};

/// What a worker is at.
pub(crate) enum Phase {
    Loading(SyncSender<Batch>, Instant),
    Idle(SyncSender<Batch>),
    Busy(SyncSender<Batch>, Instant),
    /// Finishing its last batch since then; nothing more will be sent to it.
    Leaving(Instant),
    /// Failed to load, or was lost; starts again then.
    Resting(Instant),
    /// Failed for too long.
    GivenUp,
}

pub(crate) struct Member {
    pub(crate) device: Device,
    pub(crate) started: SystemTime,
    pub(crate) phase: Phase,
    pub(crate) recovery: Recovery,
    /// How often it was started, which tells the thread at work from one that was abandoned.
    turn: Turn,
    /// Gone when its thread is.
    thread: Weak<Token>,
    /// Ends what that thread hangs in, if the engine can.
    abort: Abort,
    /// Whether it has ever loaded, so that a failure to load may pass.
    pub(crate) has_loaded: bool,
}

impl Drop for Member {
    /// What nobody waits for any more need not be finished.
    fn drop(&mut self) {
        if matches!(self.phase, Phase::Loading(..) | Phase::Busy(..)) {
            self.abort.fire();
        }
    }
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
    /// The process that its model runs in, if not this one.
    pub process: Option<u32>,
}

/// What a worker's thread holds while it lives, and says of itself.
#[derive(Debug, Default)]
pub(crate) struct Token {
    /// The process of its servable; 0 for this one.
    process: AtomicU32,
}

impl Token {
    pub(crate) fn note_process(&self, process: Option<u32>) {
        self.process
            .store(process.unwrap_or_default(), Ordering::Relaxed);
    }

    fn process(&self) -> Option<u32> {
        Some(self.process.load(Ordering::Relaxed)).filter(|&process| process != 0)
    }
}

#[derive(Default)]
pub(crate) struct Roster {
    members: BTreeMap<WorkerId, Member>,
    /// Idle workers. The one that worked last is taken first: its caches are warm, and so are its engine's threads.
    idle: Vec<WorkerId>,
    /// When a worker last became idle while none was.
    idle_since: Option<Instant>,
    /// Threads that hang in their model, and that nothing can end.
    abandoned: Vec<Weak<Token>>,
}

impl Roster {
    pub(crate) fn insert(&mut self, id: WorkerId, device: Device) {
        let member = Member {
            device,
            started: SystemTime::now(),
            phase: Phase::GivenUp,
            recovery: Recovery::default(),
            turn: 0,
            thread: Weak::new(),
            abort: Abort::default(),
            has_loaded: false,
        };
        self.members.insert(id, member);
    }

    pub(crate) fn get_mut(&mut self, id: WorkerId) -> Option<&mut Member> {
        self.members.get_mut(&id)
    }

    /// The member whose thread says something, unless that thread was abandoned.
    pub(crate) fn at_work(&mut self, id: WorkerId, turn: Turn) -> Option<&mut Member> {
        self.members
            .get_mut(&id)
            .filter(|member| member.turn == turn)
    }

    /// Makes a worker's next thread the one that counts, and gives it the token that it holds while it lives, and what it
    /// is ended by.
    pub(crate) fn next_turn(&mut self, id: WorkerId) -> (Turn, Arc<Token>, Abort) {
        let (token, abort) = (Arc::new(Token::default()), Abort::default());
        let Some(member) = self.members.get_mut(&id) else {
            return (0, token, abort);
        };
        member.turn += 1;
        member.thread = Arc::downgrade(&token);
        member.abort = abort.clone();
        (member.turn, token, abort)
    }

    /// Workers that are asked for: all but those that are leaving.
    pub(crate) fn wanted(&self) -> usize {
        self.count(|phase| !matches!(phase, Phase::Leaving(_)))
    }

    pub(crate) fn ready(&self) -> usize {
        self.count(|phase| matches!(phase, Phase::Idle(_) | Phase::Busy(..)))
    }

    /// The names of those that can serve.
    pub(crate) fn ready_ids(&self) -> Vec<WorkerId> {
        self.members
            .iter()
            .filter(|(_, member)| matches!(member.phase, Phase::Idle(_) | Phase::Busy(..)))
            .map(|(&id, _)| id)
            .collect()
    }

    pub(crate) fn loading(&self) -> usize {
        self.count(|phase| matches!(phase, Phase::Loading(..)))
    }

    /// Batches that workers hold.
    pub(crate) fn in_flight(&self) -> usize {
        self.count(|phase| matches!(phase, Phase::Busy(..) | Phase::Leaving(_)))
    }

    /// Idle workers, the one that worked last at the end.
    pub(crate) fn idle(&self) -> &[WorkerId] {
        &self.idle
    }

    /// Since when a worker has been at its batch.
    pub(crate) fn busy_since(&self, id: WorkerId) -> Option<Instant> {
        match self.members.get(&id)?.phase {
            Phase::Busy(_, since) | Phase::Leaving(since) => Some(since),
            Phase::Loading(..) | Phase::Idle(_) | Phase::Resting(_) | Phase::GivenUp => None,
        }
    }

    /// Whether the next worker computes on an accelerator, where a batch takes hardly longer than one of its jobs.
    pub(crate) fn is_accelerated(&self) -> bool {
        let next = self.idle.last().and_then(|id| self.members.get(id));
        next.is_some_and(|member| member.device != Device::Cpu)
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
            Phase::Loading(batches, _) | Phase::Busy(batches, _) => {
                member.phase = Phase::Idle(batches);
                if self.idle.is_empty() {
                    self.idle_since = Some(Instant::now());
                }
                self.idle.push(id);
            }
            idle @ Phase::Idle(_) => member.phase = idle,
            Phase::Leaving(_) | Phase::Resting(_) | Phase::GivenUp => {
                self.members.remove(&id);
            }
        }
    }

    /// Gives a batch to an idle worker. Returns it if that worker's thread is gone, which its last word will explain.
    pub(crate) fn send(&mut self, id: WorkerId, batch: Batch, now: Instant) -> Result<(), Batch> {
        self.idle.retain(|&idle| idle != id);
        let Some(member) = self.members.get_mut(&id) else {
            return Err(batch);
        };
        let Phase::Idle(batches) = &member.phase else {
            return Err(batch);
        };
        let batches = batches.clone();
        batches.try_send(batch).map_err(unsent)?;
        member.phase = Phase::Busy(batches, now);
        Ok(())
    }

    /// Sends the newest worker away, at once or when it has answered its batch, and says which that was.
    pub(crate) fn dismiss_newest(&mut self) -> Option<WorkerId> {
        let staying =
            |(_, member): &(&WorkerId, &mut Member)| !matches!(member.phase, Phase::Leaving(_));
        let (&id, member) = self.members.iter_mut().rev().find(staying)?;
        if let Phase::Busy(_, since) = member.phase {
            member.phase = Phase::Leaving(since);
        } else {
            self.remove(id);
        }
        Some(id)
    }

    pub(crate) fn remove(&mut self, id: WorkerId) {
        self.members.remove(&id);
        self.idle.retain(|&idle| idle != id);
    }

    /// Lets go of a worker's thread: what it hangs in is ended, if the engine can; whatever it still says is not listened
    /// to, and when it comes back it ends. The worker has no thread then.
    pub(crate) fn abandon(&mut self, id: WorkerId) {
        self.idle.retain(|&idle| idle != id);
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.turn += 1;
        member.phase = Phase::GivenUp;
        member.abort.fire();
        self.abandoned.push(std::mem::take(&mut member.thread));
    }

    /// How many threads hang that were let go of.
    pub(crate) fn abandoned(&mut self) -> usize {
        self.abandoned.retain(|thread| thread.strong_count() > 0);
        self.abandoned.len()
    }

    /// The next instant at which a resting worker starts again, or one that is at something has been for too long.
    pub(crate) fn next_check(&self, limits: Limits) -> Option<Instant> {
        self.members
            .values()
            .filter_map(|member| match member.phase {
                Phase::Resting(until) => Some(until),
                Phase::Loading(_, since) => since.checked_add(limits.loading),
                Phase::Busy(_, since) | Phase::Leaving(since) => since.checked_add(limits.batch),
                Phase::Idle(_) | Phase::GivenUp => None,
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

    /// Workers that have been at something for too long, and what that is.
    pub(crate) fn overdue(&self, now: Instant, limits: Limits) -> Vec<(WorkerId, Overdue)> {
        let is_over = |since: Instant, limit| now.duration_since(since) >= limit;
        self.members
            .iter()
            .filter_map(|(&id, member)| match member.phase {
                Phase::Loading(_, since) if is_over(since, limits.loading) => {
                    Some((id, Overdue::Loading))
                }
                Phase::Busy(_, since) if is_over(since, limits.batch) => Some((id, Overdue::Batch)),
                Phase::Leaving(since) if is_over(since, limits.batch) => {
                    Some((id, Overdue::LastBatch))
                }
                Phase::Loading(..)
                | Phase::Busy(..)
                | Phase::Leaving(_)
                | Phase::Idle(_)
                | Phase::Resting(_)
                | Phase::GivenUp => None,
            })
            .collect()
    }

    pub(crate) fn statuses(&self) -> Vec<WorkerStatus> {
        self.members
            .iter()
            .filter(|(_, member)| !matches!(member.phase, Phase::Leaving(_)))
            .map(|(&id, member)| WorkerStatus {
                id,
                started: member.started,
                ready: matches!(member.phase, Phase::Idle(_) | Phase::Busy(..)),
                given_up: matches!(member.phase, Phase::GivenUp),
                device: member.device,
                process: member.thread.upgrade().and_then(|token| token.process()),
            })
            .collect()
    }
}

/// How long a worker may be at something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) loading: Duration,
    pub(crate) batch: Duration,
}

/// What a worker has been at for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    Loading,
    Batch,
    /// The batch after which it was to leave.
    LastBatch,
}

fn unsent(error: std::sync::mpsc::TrySendError<Batch>) -> Batch {
    use std::sync::mpsc::TrySendError::{Disconnected, Full};
    match error {
        Full(batch) | Disconnected(batch) => batch,
    }
}
