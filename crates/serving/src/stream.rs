//! Predictions whose answers come in parts, and the way to them: as [`Serving::predict`], but piece by piece.

use std::time::Duration;

use servable::{Input, Output};

use crate::error::Error;
use crate::pool::{AnswerInParts, Piece};
use crate::{Admitted, Serving};

/// What is still to come of one answer. The request is inside for as long as this lives; dropping it cancels the request.
pub struct Stream {
    // First, so that the job is cancelled before its request is out.
    answer: AnswerInParts,
    admitted: Admitted,
}

/// How an answer came.
pub enum Answer {
    Whole(Output),
    InParts(Box<Stream>),
}

/// Whether and how a client takes an answer in parts.
#[derive(Debug, Clone, Copy)]
pub struct Taking {
    /// Whether it has asked for that. Models that give parts to everybody do so in any case.
    pub wished: bool,
    /// How long it may take nothing while there is no more room, before it counts as gone.
    pub stall: Duration,
}

impl Serving {
    /// Answers one request, in parts where the client wishes for that or the model does so unasked, else as
    /// [`Serving::predict`]. The time limits hold for the whole answer.
    ///
    /// # Errors
    ///
    /// Those of a whole answer, and where the request is not let in. What fails later is the stream's last word.
    pub async fn predict_as_taken(
        &self,
        model: &str,
        version: Option<&str>,
        mut input: Input,
        patience: Option<Duration>,
        taking: Taking,
    ) -> Result<Answer, Error> {
        let admitted = self.let_in(model, version, &mut input, patience)?;
        if taking.wished || admitted.model.in_parts {
            let stream = admitted.in_parts(input, taking.stall)?;
            return Ok(Answer::InParts(Box::new(stream)));
        }
        admitted.whole(input).await.map(Answer::Whole)
    }

    /// Answers one request in parts, if its model gives any.
    ///
    /// # Errors
    ///
    /// Where the request is not let in.
    pub fn predict_in_parts(
        &self,
        model: &str,
        version: Option<&str>,
        mut input: Input,
        patience: Option<Duration>,
        stall: Duration,
    ) -> Result<Stream, Error> {
        let admitted = self.let_in(model, version, &mut input, patience)?;
        admitted.in_parts(input, stall)
    }
}

impl Admitted {
    fn in_parts(self, input: Input, stall: Duration) -> Result<Stream, Error> {
        let pool = &self.model.pool;
        match pool.submit_for_parts(self.request(input), stall) {
            Ok(answer) => Ok(Stream {
                answer,
                admitted: self,
            }),
            Err(error) => Err(self.refused(error)),
        }
    }
}

impl Stream {
    /// The next piece: any number of parts, then the last piece or an error, then `None`.
    pub async fn next(&mut self) -> Option<Result<Piece, Error>> {
        Some(match self.answer.next().await? {
            Ok(Piece::Part(part)) => Ok(Piece::Part(part)),
            Ok(Piece::Last(output)) => Ok(Piece::Last(self.admitted.answered(output))),
            Err(error) => Err(self.admitted.refused(error)),
        })
    }
}
