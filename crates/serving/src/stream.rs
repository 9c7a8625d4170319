//! Predictions whose answers come in parts, and the way to them: as [`Serving::predict`], but piece by piece.

use std::time::Duration;

use servable::Input;

use crate::error::Error;
use crate::pool::{AnswerInParts, Piece};
use crate::{Admitted, Serving};

/// What is still to come of one answer. The request is inside for as long as this lives; dropping it cancels the request.
pub struct Stream {
    // First, so that the job is cancelled before its request is out.
    answer: AnswerInParts,
    admitted: Admitted,
}

impl Serving {
    /// Answers one request in parts, if its model gives any, within the time limits that hold for the whole answer. A client
    /// that takes nothing for as long as `stall` while there is no more room counts as gone.
    ///
    /// # Errors
    ///
    /// Where the request is not let in. What fails later is the stream's last word.
    pub fn predict_in_parts(
        &self,
        model: &str,
        version: Option<&str>,
        mut input: Input,
        patience: Option<Duration>,
        stall: Duration,
    ) -> Result<Stream, Error> {
        let admitted = self.let_in(model, version, &mut input, patience)?;
        let pool = &admitted.model.pool;
        match pool.submit_for_parts(admitted.request(input), stall) {
            Ok(answer) => Ok(Stream { answer, admitted }),
            Err(error) => Err(admitted.refused(error)),
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
