//! From a request to its answer: jobs are made here, brought to the desk, and waited for.

use std::time::Instant;

use servable::Input;
use tokio::sync::oneshot;
use tracing::{Span, trace_span};

use super::Pool;
use crate::error::{Error, NoWorker};
use crate::job::{Bucket, Job, Reply, TimedReply};
use crate::metrics::ModelMetrics;
use crate::queue::Place;
use crate::sequences::SequenceStep;
use crate::statistics::Unanswered;

/// One request to a pool.
pub struct Request<'a> {
    pub input: Input,
    /// No answer is wanted after this instant.
    pub deadline: Instant,
    /// For models whose requests come in sequences.
    pub step: Option<SequenceStep>,
    /// The model under the version that the request named.
    pub metrics: &'a ModelMetrics,
}

/// What is still to come for a job that was made.
pub(super) struct Answer {
    receiver: oneshot::Receiver<TimedReply>,
    arrival: Instant,
    deadline: Instant,
}

impl Pool {
    /// Queues a job and waits for its answer, but not past its deadline. Dropping the future cancels the job.
    pub async fn submit(&self, request: Request<'_>) -> Reply {
        let (output, _) = self.submit_timed(request).await?;
        Ok(output)
    }

    /// The same, and says how the answer came about.
    pub async fn submit_timed(&self, request: Request<'_>) -> TimedReply {
        let arrival = Instant::now();
        let (job, answer) = self.job(request, arrival);
        self.desk
            .submit(arrival, std::iter::once(job))
            .map_err(|why| self.turned_away(why, arrival, 1))?;
        self.wait_for(answer).await
    }

    /// Queues several jobs at once and waits for all their answers, which come in the order of the requests, each within
    /// its own deadline. Dropping the future cancels the jobs.
    ///
    /// Either all of them are queued before a batch is cut, so that none goes ahead alone, or none is, which the outer
    /// error says. More jobs than the queue may hold are never taken, nor several of a model whose requests come in
    /// sequences.
    pub async fn submit_all(&self, requests: Vec<Request<'_>>) -> Result<Vec<TimedReply>, Error> {
        let arrival = Instant::now();
        let made = requests
            .into_iter()
            .map(|request| self.job(request, arrival));
        let (jobs, waiting): (Vec<_>, Vec<_>) = made.unzip();
        self.desk
            .submit(arrival, jobs.into_iter())
            .map_err(|why| self.turned_away(why, arrival, waiting.len()))?;
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            // One that is there already is taken however late it is looked at.
            answers.push(self.wait_for(answer).await);
        }
        Ok(answers)
    }

    pub(super) fn job(&self, request: Request<'_>, arrival: Instant) -> ((Place, Job), Answer) {
        let Request {
            input,
            deadline,
            step,
            metrics,
        } = request;
        let place = match step {
            Some(step) => Place::Sequence(step),
            None if self.merges => Place::Bucket(Bucket::Shape(self.loader.bucket(&input))),
            None => Place::Bucket(Bucket::Request(input.id.as_str().into())),
        };
        let (reply, receiver) = oneshot::channel();
        let queued = trace_span!("queue");
        let job = Job {
            _weight: self.held.add(input.bytes()),
            input,
            arrival,
            metrics: metrics.clone(),
            deadline,
            reply,
            span: Span::current(),
            _queued: (!queued.is_disabled()).then(|| Box::new(queued)),
        };
        let answer = Answer {
            receiver,
            arrival,
            deadline,
        };
        ((place, job), answer)
    }

    pub(super) async fn wait_for(&self, answer: Answer) -> TimedReply {
        let Answer {
            receiver,
            arrival,
            deadline,
        } = answer;
        let mut leaving = Leaving {
            pool: self,
            arrival,
            how: Some(Unanswered::Cancelled),
        };
        let reply = match tokio::time::timeout_at(deadline.into(), receiver).await {
            Ok(Ok(reply)) => {
                leaving.how = None;
                match &reply {
                    Ok((_, travel)) => self.statistics.answered(travel),
                    Err(error) => self.statistics.unanswered(ending(error), arrival.elapsed()),
                }
                return reply;
            }
            // The desk may see the deadline pass a moment before this does, and let the job go.
            Ok(Err(_)) if deadline <= Instant::now() => Err(self.timeout(arrival, deadline)),
            Ok(Err(_)) => Err(self
                .refusal()
                .map_or_else(lost_request, |why| self.no_worker(why))),
            Err(_) => Err(self.timeout(arrival, deadline)),
        };
        leaving.how = reply.as_ref().err().map(ending);
        reply
    }

    /// So many jobs were not let in.
    pub(super) fn turned_away(&self, why: NoWorker, arrival: Instant, jobs: usize) -> Error {
        for _ in 0..jobs {
            self.statistics
                .unanswered(Unanswered::Rejected, arrival.elapsed());
        }
        self.no_worker(why)
    }

    fn refusal(&self) -> Option<NoWorker> {
        self.desk.lock().closed.clone()
    }

    fn timeout(&self, arrival: Instant, deadline: Instant) -> Error {
        Error::Timeout {
            model: self.model.to_string(),
            after: deadline.saturating_duration_since(arrival),
        }
    }
}

fn lost_request() -> Error {
    Error::WorkerDied("the request was lost".into())
}

fn ending(error: &Error) -> Unanswered {
    if matches!(error, Error::NoWorker { .. }) {
        Unanswered::Rejected
    } else {
        Unanswered::Failed
    }
}

/// A caller that leaves without a worker's answer is counted, and may have waited for a worker that hangs: the task looks
/// after it.
struct Leaving<'a> {
    pool: &'a Pool,
    arrival: Instant,
    /// `None` for one that has its answer.
    how: Option<Unanswered>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(how) = self.how {
            self.pool.statistics.unanswered(how, self.arrival.elapsed());
            self.pool.desk.call();
        }
    }
}
