//! An answer that comes in parts.

use std::pin::Pin;
use std::time::{Duration, Instant};

use servable::Output;

use super::{Pool, Request};
use crate::error::Error;
use crate::job::{Reply, TimedReply};
use crate::parts::{PartsReceiver, Terms, channel};

/// One piece of an answer.
#[derive(Debug, Clone)]
pub enum Piece {
    /// More will come.
    Part(Output),
    /// What the model returned in the end; nothing comes after it.
    Last(Output),
}

/// What is still to come of an answer. Dropping it cancels the job: a model that is at it hears so at its next part.
pub struct AnswerInParts {
    parts: PartsReceiver,
    /// Until the worker has answered.
    answer: Option<Pin<Box<dyn Future<Output = TimedReply> + Send>>>,
    /// What it answered, until the parts before it are taken.
    reply: Option<Reply>,
    model: String,
    stall: Duration,
}

impl Pool {
    /// Queues a job whose answer may come in parts, within its deadline. A client that takes nothing for as long as
    /// `stall` while there is no more room counts as gone.
    pub fn submit_for_parts(
        &self,
        mut request: Request<'_>,
        stall: Duration,
    ) -> Result<AnswerInParts, Error> {
        let arrival = Instant::now();
        let (parts, receiver) = channel(Terms {
            stall,
            deadline: request.deadline,
        });
        request.input.parts_to = Some(parts);
        let (job, answer) = self.job(request, arrival);
        self.desk
            .submit(arrival, std::iter::once(job))
            .map_err(|why| self.turned_away(why, arrival, 1))?;
        let pool = self.clone();
        Ok(AnswerInParts {
            parts: receiver,
            answer: Some(Box::pin(async move { pool.wait_for(answer).await })),
            reply: None,
            model: self.model.to_string(),
            stall,
        })
    }
}

impl AnswerInParts {
    /// The next piece: any number of parts, then the last piece or an error, then `None`. Loses nothing where it is
    /// dropped.
    pub async fn next(&mut self) -> Option<Result<Piece, Error>> {
        if let Some(answer) = &mut self.answer {
            tokio::select! {
                biased;
                part = self.parts.next() => return Some(Ok(Piece::Part(part))),
                reply = answer => {
                    self.answer = None;
                    self.reply = Some(reply.map(|(output, _)| output));
                }
            }
        }
        // All parts were there before the answer was.
        if let Some(part) = self.parts.take() {
            return Some(Ok(Piece::Part(part)));
        }
        let given_up = self.parts.is_given_up();
        let reply = self.reply.take()?;
        Some(match reply {
            Ok(output) => Ok(Piece::Last(output)),
            Err(_) if given_up => Err(Error::Unread {
                model: self.model.clone(),
                after: self.stall,
            }),
            Err(error) => Err(error),
        })
    }
}
