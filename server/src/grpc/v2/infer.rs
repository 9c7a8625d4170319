//! `ModelInfer`: a call from its bytes to the bytes of its answer. Tensors stay where the connection put them until they are
//! written into a batch, and those of an answer go out from where the model left them.

use std::io::Read;

use axum::extract::{Extension, Request as HttpRequest, State};
use axum::http::HeaderMap;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use proto::inference as pb;
use servable::Rope;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::super::status::of_request;
use super::super::{Answer, call};
use super::{InContents, messages, wire};
use crate::app::App;
use crate::http::RequestId;
use crate::v2::{self, Asked};

/// A call of `ModelInfer`. Its body is bounded already.
pub(in crate::grpc) async fn model_infer(
    State(app): State<App>,
    id: Extension<RequestId>,
    request: HttpRequest,
) -> Answer {
    match called(&app, &id, request).await {
        Ok(answer) => answer,
        Err(status) => status.into_http(),
    }
}

async fn called(app: &App, id: &RequestId, request: HttpRequest) -> Result<Answer, Status> {
    let (head, mut body) = request.into_parts();
    let mut received = Rope::new(app.settings.body.copied.clone());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::from_error(error.into()))?;
        if let Ok(data) = frame.into_data() {
            received.push(data);
        }
    }
    let message = wire::Envelope::open(&received)?;
    let content = if message.compressed {
        inflated(&head.headers, message.content, app.settings.body.size).await?
    } else {
        message.content
    };
    drop(received);
    let (message, raw) = wire::read(&content)?;
    drop(content);
    let asked = Asked {
        id: id.0.to_string(),
        headers: Vec::new(),
        patience: call::patience(&MetadataMap::from_headers(head.headers.clone())),
    };
    let (answer, raw) = ask(app, asked, message, raw).await?;
    let most = app.settings.max_response_size;
    match head.extensions.get() {
        Some(InContents) => {
            let answer = messages::with_contents(answer, &raw).map_err(Status::internal)?;
            wire::answer(&answer, Vec::new(), most)
        }
        None => wire::answer(&answer, raw, most),
    }
}

/// The message of a client that packs what it sends.
async fn inflated(headers: &HeaderMap, packed: Rope, most: usize) -> Result<Rope, Status> {
    let encoding = headers.get("grpc-encoding");
    if encoding.is_none_or(|encoding| encoding != "gzip") {
        let text = format!("grpc-encoding: expected gzip, found {encoding:?}");
        return Err(Status::unimplemented(text));
    }
    let packed = packed.into_bytes();
    // Some milliseconds for a megabyte: not on a thread that serves others.
    let inflating = tokio::task::spawn_blocking(move || {
        let mut inflated = Vec::new();
        let mut reader = MultiGzDecoder::new(&*packed).take(most as u64 + 1);
        reader
            .read_to_end(&mut inflated)
            .map_err(|error| Status::internal(format!("the message is no gzip: {error}")))?;
        if inflated.len() > most {
            return Err(Status::resource_exhausted(format!(
                "the message holds more than max_request_size, which is {most} bytes"
            )));
        }
        Ok(Rope::from(Bytes::from(inflated)))
    });
    let inflated = inflating.await;
    inflated.map_err(|_| Status::internal("the message could not be inflated"))?
}

/// Answers a message that generated code has read.
pub(super) async fn answer(
    app: &App,
    asked: Asked,
    mut message: pb::ModelInferRequest,
) -> Result<(pb::ModelInferResponse, Vec<Bytes>), Status> {
    let raw = std::mem::take(&mut message.raw_input_contents);
    ask(
        app,
        asked,
        message,
        raw.into_iter().map(Rope::from).collect(),
    )
    .await
}

/// The answer without its tensors' bytes, and those.
async fn ask(
    app: &App,
    asked: Asked,
    message: pb::ModelInferRequest,
    raw: Vec<Rope>,
) -> Result<(pb::ModelInferResponse, Vec<Bytes>), Status> {
    let request = messages::request(message, raw).map_err(Status::invalid_argument)?;
    let answer = v2::infer(app, request, asked).await.map_err(of_request)?;
    messages::answer(answer).map_err(of_request)
}
