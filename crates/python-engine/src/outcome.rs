//! From a worker's answers to what the waist wants: a result for each request, or why all of them failed.

use bytes::{Bytes, BytesMut};
use servable::{BatchError, Input, JobError, Output, Reason, Value};

use crate::message::{Answer, Prediction, Request};

/// What becomes of one batch while its answers come.
pub(crate) struct Outcome<'b> {
    inputs: &'b [Input],
    requests: &'b [Request<'b>],
    /// Parts that nobody takes one by one; they become the beginning of the answer.
    begun: Vec<BytesMut>,
    /// Bytes that one answer may hold.
    most: usize,
}

impl<'b> Outcome<'b> {
    pub(crate) fn new(inputs: &'b [Input], requests: &'b [Request<'b>], most: usize) -> Self {
        Outcome {
            inputs,
            requests,
            begun: vec![BytesMut::new(); inputs.len()],
            most,
        }
    }

    /// Hands parts over.
    pub(crate) fn part(&mut self, answer: Answer) -> Result<(), BatchError> {
        if answer.code != 200 {
            return Err(failure(&answer));
        }
        for prediction in answer.predictions {
            let index = self.index(&prediction)?;
            match &self.inputs[index].parts_to {
                // A client that has gone does not end the others' answers.
                Some(parts) => drop(parts.put(output(prediction))),
                None => self.keep(index, prediction.value)?,
            }
        }
        Ok(())
    }

    /// One result for each request, in their order.
    pub(crate) fn finish(
        mut self,
        answer: Answer,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        if answer.code != 200 {
            return Err(failure(&answer));
        }
        let mut results: Vec<Option<Output>> = Vec::new();
        results.resize_with(self.inputs.len(), || None);
        for mut prediction in answer.predictions {
            let index = self.index(&prediction)?;
            if results[index].is_some() {
                return Err(mismatched());
            }
            if !self.begun[index].is_empty() {
                self.keep(index, std::mem::take(&mut prediction.value))?;
                prediction.value = Value::Bytes(std::mem::take(&mut self.begun[index]).freeze());
            }
            results[index] = Some(output(prediction));
        }
        let whole: Option<Vec<Output>> = results.into_iter().collect();
        let whole = whole.ok_or_else(mismatched)?;
        Ok(whole.into_iter().map(Ok).collect())
    }

    fn index(&self, prediction: &Prediction) -> Result<usize, BatchError> {
        let mut ids = self.requests.iter().map(|request| request.id.as_str());
        ids.position(|id| id == prediction.id)
            .ok_or_else(mismatched)
    }

    fn keep(&mut self, index: usize, value: Value) -> Result<(), BatchError> {
        let bytes: Bytes = value.into_body();
        if self.begun[index].len() + bytes.len() > self.most {
            let most = self.most;
            return Err(BatchError::new(
                Reason::Failed,
                format!("the parts of the answer have more than {most} bytes (max_response_size)"),
            ));
        }
        self.begun[index].extend_from_slice(&bytes);
        Ok(())
    }
}

fn mismatched() -> BatchError {
    BatchError::new(Reason::Failed, "number of batch response mismatched")
}

/// What a code other than 200 says.
fn failure(answer: &Answer) -> BatchError {
    let reason = match answer.code {
        503 => Reason::Failed,
        507 => Reason::OutOfMemory,
        code => Reason::Chosen(code),
    };
    let message = if answer.message.is_empty() {
        "Prediction failed"
    } else {
        &answer.message
    };
    BatchError::new(reason, message)
}

fn output(prediction: Prediction) -> Output {
    let Prediction {
        content_type,
        status,
        phrase,
        mut headers,
        value,
        id: _,
    } = prediction;
    // It is said of its own.
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    // What is no status of HTTP is a failure of the handler's, which its client hears all the same.
    let status = u16::try_from(status)
        .ok()
        .filter(|status| (100..1000).contains(status))
        .unwrap_or(500);
    Output {
        value,
        content_type: Some(content_type).filter(|name| !name.is_empty()),
        status: Some((status, phrase))
            .filter(|(status, phrase)| *status != 200 || !phrase.is_empty()),
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::requests;

    fn prediction(id: &str, status: i32, body: &'static str) -> Prediction {
        Prediction {
            id: id.into(),
            content_type: String::new(),
            status,
            phrase: String::new(),
            headers: Vec::new(),
            value: Value::Bytes(body.into()),
        }
    }

    fn answer(code: i32, message: &str, predictions: Vec<Prediction>) -> Answer {
        Answer {
            code,
            message: message.into(),
            predictions,
            more: false,
        }
    }

    /// Parts, then the last answer, to a batch of `a` and `b`; what the two get, or why both fail.
    fn check(parts: Vec<Answer>, last: Answer, expected: Result<&str, (Reason, &str)>) {
        let inputs = ["a", "b"].map(|id| Input {
            id: id.into(),
            ..Input::default()
        });
        let requests = requests(&inputs);
        let mut outcome = Outcome::new(&inputs, &requests, 8);
        let mut result = parts.into_iter().try_for_each(|part| outcome.part(part));
        let mut found = String::new();
        if result.is_ok() {
            match outcome.finish(last) {
                Ok(results) => {
                    for result in results {
                        let output = result.expect("a worker fails whole batches");
                        let body = String::from_utf8_lossy(&output.value.into_body()).into_owned();
                        let status = output.status.map_or(200, |(status, _)| status);
                        found += &format!("{status} {body};");
                    }
                }
                Err(error) => result = Err(error),
            }
        }
        let result = result.map(|()| found);
        let told = result
            .as_deref()
            .map_err(|error| (error.reason, error.message.as_str()));
        assert_eq!(told, expected);
    }

    #[test]
    fn answers_find_their_requests() {
        let both = |first, second| vec![prediction(first, 200, "1"), prediction(second, 404, "2")];
        check(vec![], answer(200, "", both("a", "b")), Ok("200 1;404 2;"));
        check(vec![], answer(200, "", both("b", "a")), Ok("404 2;200 1;"));
        let mismatched = Err((Reason::Failed, "number of batch response mismatched"));
        check(vec![], answer(200, "", both("a", "a")), mismatched);
        check(vec![], answer(200, "", both("a", "c")), mismatched);
        check(
            vec![],
            answer(200, "", vec![prediction("a", 200, "")]),
            mismatched,
        );
        let odd = vec![prediction("a", 70_000, "1"), prediction("b", -5, "2")];
        check(vec![], answer(200, "", odd), Ok("500 1;500 2;"));
    }

    #[test]
    fn codes_are_failures_of_the_batch() {
        let failed = |code, message| answer(code, message, vec![]);
        check(
            vec![],
            failed(503, "Prediction failed"),
            Err((Reason::Failed, "Prediction failed")),
        );
        check(
            vec![],
            failed(507, "Out of resources"),
            Err((Reason::OutOfMemory, "Out of resources")),
        );
        check(
            vec![],
            failed(418, "no tea"),
            Err((Reason::Chosen(418), "no tea")),
        );
        check(
            vec![],
            failed(-1, ""),
            Err((Reason::Chosen(-1), "Prediction failed")),
        );
        check(
            vec![failed(400, "no")],
            failed(200, ""),
            Err((Reason::Chosen(400), "no")),
        );
    }

    #[test]
    fn parts_that_nobody_takes_begin_the_answer() {
        let part = |body| answer(200, "", vec![prediction("a", 200, body)]);
        let last = || {
            answer(
                200,
                "",
                vec![prediction("a", 200, "3"), prediction("b", 200, "4")],
            )
        };
        check(vec![part("1"), part("2")], last(), Ok("200 123;200 4;"));
        let most = "the parts of the answer have more than 8 bytes (max_response_size)";
        check(
            vec![part("1234"), part("56789")],
            last(),
            Err((Reason::Failed, most)),
        );
    }
}
