//! TorchServe's inference service. A call's `input` becomes the parts of a request, with no content types, and a handler's
//! status and headers have no place in an answer.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use proto::google::rpc::ErrorInfo;
use proto::torchserve::inference::inference_ap_is_service_server::InferenceApIsService;
use proto::torchserve::inference::{
    PredictionResponse, PredictionsRequest, TorchServeHealthResponse,
};
use servable::{Input, Output, Part, Value};
use serving::{Error, Piece};
use tonic::{Request, Response, Status, Streaming};

use super::{call, status};
use crate::app::App;
use crate::error::Failure;
use crate::operations::health;

/// How many requests of one stream are at work at once. Their answers keep their order.
const AT_ONCE: usize = 16;

/// The domain of failures that are told inside a stream.
const DOMAIN: &str = "torchserve";

pub(super) struct Inference {
    app: App,
}

type Answers = Pin<Box<dyn Stream<Item = Result<PredictionResponse, Status>> + Send>>;

impl Inference {
    pub(super) fn new(app: App) -> Self {
        Inference { app }
    }
}

#[tonic::async_trait]
impl InferenceApIsService for Inference {
    async fn ping(&self, _: Request<()>) -> Result<Response<TorchServeHealthResponse>, Status> {
        let word = health::word(health::is_healthy(&self.app));
        let health = format!("{{\n  \"status\": \"{word}\"\n}}\n");
        Ok(Response::new(TorchServeHealthResponse { health }))
    }

    async fn predictions(
        &self,
        request: Request<PredictionsRequest>,
    ) -> Result<Response<PredictionResponse>, Status> {
        let (id, patience) = (call::id_of(&request), call::patience(request.metadata()));
        let answer = predict(&self.app, id, patience, request.into_inner()).await;
        answer.map(Response::new)
    }

    type StreamPredictionsStream = Answers;

    async fn stream_predictions(
        &self,
        request: Request<PredictionsRequest>,
    ) -> Result<Response<Answers>, Status> {
        let (id, patience) = (call::id_of(&request), call::patience(request.metadata()));
        let asked = Asked::read(&self.app, id, request.into_inner())?;
        let stall = self.app.settings.body.stall;
        let (version, serving) = (asked.version.as_deref(), &self.app.serving);
        let answer = serving
            .predict_in_parts(&asked.model, version, asked.input, patience, stall)
            .map_err(|error| status::of_prediction(error.into()))?;
        let parts = stream::unfold((answer, self.app.clone()), async |(mut answer, app)| {
            let piece = answer.next().await?;
            let part = match piece {
                Ok(Piece::Part(output) | Piece::Last(output)) => self::answer(&app, output),
                Err(error) => Err(status::of_prediction(error.into())),
            };
            Some((part, (answer, app)))
        });
        Ok(Response::new(parts.boxed()))
    }

    type StreamPredictions2Stream = Answers;

    async fn stream_predictions2(
        &self,
        request: Request<Streaming<PredictionsRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (id, patience) = (call::id_of(&request), call::patience(request.metadata()));
        let app = self.app.clone();
        let answers = request.into_inner().enumerate().map(move |(index, asked)| {
            let (app, id) = (app.clone(), format!("{id}-{index}"));
            async move {
                let asked = asked?;
                let sequence = asked.sequence_id.clone();
                let answer = predict(&app, id, patience, asked).await;
                Ok(answer.unwrap_or_else(|failure| failed(failure, sequence)))
            }
        });
        Ok(Response::new(answers.buffered(AT_ONCE).boxed()))
    }
}

async fn predict(
    app: &App,
    id: String,
    patience: Option<Duration>,
    asked: PredictionsRequest,
) -> Result<PredictionResponse, Status> {
    let asked = Asked::read(app, id, asked)?;
    let (version, input) = (asked.version.as_deref(), asked.input);
    let predicted = app.serving.predict(&asked.model, version, input, patience);
    let output = predicted.await;
    answer(app, output.map_err(|error| failed_within(patience, error))?)
}

/// The failure of a prediction for a client that waits so long.
fn failed_within(patience: Option<Duration>, error: Error) -> Status {
    // The model's own limits are told as REST tells them; this one is the client's, which is counted from a little earlier.
    if let Error::Timeout { after, .. } = &error
        && patience.is_some_and(|patience| patience <= *after + Duration::from_millis(1))
    {
        return Status::deadline_exceeded(error.to_string());
    }
    status::of_prediction(error.into())
}

/// What a message asks for.
struct Asked {
    model: String,
    version: Option<String>,
    input: Input,
}

impl Asked {
    fn read(app: &App, id: String, message: PredictionsRequest) -> Result<Self, Status> {
        if message.model_name.is_empty() {
            return Err(status::no_model_name());
        }
        let header = |id| (app.serving.sequence_header().to_owned(), id);
        Ok(Asked {
            model: message.model_name,
            version: Some(message.model_version).filter(|version| !version.is_empty()),
            input: Input {
                id,
                parts: parts(message.input),
                headers: message.sequence_id.map(header).into_iter().collect(),
                ..Input::default()
            },
        })
    }
}

fn answer(app: &App, output: Output) -> Result<PredictionResponse, Status> {
    let sequence_id = output
        .headers
        .iter()
        .find(|(name, _)| name == app.serving.sequence_header())
        .map(|(_, id)| id.clone());
    Ok(PredictionResponse {
        prediction: bounded(output.value.into_body(), app).map_err(status::of_prediction)?,
        sequence_id,
        status: None,
    })
}

/// An answer that is not larger than answers may be.
pub(super) fn bounded(answer: Bytes, app: &App) -> Result<Bytes, Failure> {
    let (bytes, most) = (answer.len(), app.settings.max_response_size);
    if bytes > most {
        return Err(Failure::internal(format!(
            "Worker died. (the answer holds {bytes} bytes, more than max_response_size, which is {most})"
        )));
    }
    Ok(answer)
}

/// In the order of their names, because a message has none.
pub(super) fn parts(input: HashMap<String, Bytes>) -> Vec<Part> {
    let mut parts: Vec<Part> = input
        .into_iter()
        .map(|(name, bytes)| Part {
            name,
            content_type: String::new(),
            value: Value::Bytes(bytes),
        })
        .collect();
    parts.sort_by(|one, other| one.name.cmp(&other.name));
    parts
}

/// A failure as a message of the stream, which goes on.
fn failed(failure: Status, sequence_id: Option<String>) -> PredictionResponse {
    let reason = failure.message().lines().last().unwrap_or_default();
    let info = ErrorInfo {
        reason: reason.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: HashMap::new(),
    };
    let details = prost_types::Any {
        type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
        value: prost::Message::encode_to_vec(&info),
    };
    PredictionResponse {
        prediction: Bytes::new(),
        sequence_id,
        status: Some(proto::google::rpc::Status {
            code: failure.code().into(),
            message: failure.message().to_owned(),
            details: vec![details],
        }),
    }
}
