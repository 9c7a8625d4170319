//! From a request to its answer: jobs are made here, brought to the desk, and waited for.

use std::sync::Arc;
use std::time::Instant;

use servable::Input;
use tokio::sync::oneshot;
use tracing::{Span, trace_span};

use super::Pool;
use crate::desk::Desk;
use crate::error::{Error, NoWorker};
use crate::job::{Bucket, Job, Reply, TimedReply};
use crate::metrics::ModelMetrics;
use crate::queue::Place;
use crate::sequences::SequenceStep;

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
struct Answer {
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
            .map_err(|why| self.no_worker(why))?;
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
            .map_err(|why| self.no_worker(why))?;
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            // One that is there already is taken however late it is looked at.
            answers.push(self.wait_for(answer).await);
        }
        Ok(answers)
    }

    fn job(&self, request: Request<'_>, arrival: Instant) -> ((Place, Job), Answer) {
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

    async fn wait_for(&self, answer: Answer) -> TimedReply {
        let Answer {
            receiver,
            arrival,
            deadline,
        } = answer;
        let mut leaving = CallOnDrop(Some(&self.desk));
        match tokio::time::timeout_at(deadline.into(), receiver).await {
            Ok(Ok(reply)) => {
                leaving.0 = None;
                reply
            }
            // The desk may see the deadline pass a moment before this does, and let the job go.
            Ok(Err(_)) if deadline <= Instant::now() => Err(self.timeout(arrival, deadline)),
            Ok(Err(_)) => Err(self
                .refusal()
                .map_or_else(lost_request, |why| self.no_worker(why))),
            Err(_) => Err(self.timeout(arrival, deadline)),
        }
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

/// A caller that leaves without an answer may have waited for a worker that hangs: the task looks after it.
struct CallOnDrop<'a>(Option<&'a Arc<Desk>>);

impl Drop for CallOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(desk) = self.0 {
            desk.call();
        }
    }
}
