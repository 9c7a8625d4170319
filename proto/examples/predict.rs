//! One prediction over each of the two gRPC services that answer them, with the clients that this crate generates.
//!
//! Serve the model `mlp`, four numbers to three, as docs/examples/README.md says; then, in the root of the repository,
//!
//!     cargo run -p proto --features client --example predict -- [SERVER] [MODEL] [NUMBERS]
//!
//! SERVER is `http://127.0.0.1:7070` without another, MODEL `mlp`, and NUMBERS, between commas, `0.1,-2.5,3,0.001`. A key, if
//! the server asks for one, is read from the environment variable `TORCHRELAY_KEY`.
//!
//! TorchServe's service takes and gives bytes, JSON here; the Open Inference Protocol takes and gives tensors.

#![expect(clippy::print_stdout, reason = "it is what it is for")]

use std::error::Error;

use proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use proto::inference::model_infer_request::InferInputTensor;
use proto::inference::{ModelInferRequest, ModelInferResponse};
use proto::torchserve::inference::PredictionsRequest;
use proto::torchserve::inference::inference_ap_is_service_client::InferenceApIsServiceClient;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or("http://127.0.0.1:7070".into());
    let model = arguments.next().unwrap_or("mlp".into());
    let numbers = arguments.next().unwrap_or("0.1,-2.5,3,0.001".into());
    let row: Vec<f32> = numbers
        .split(',')
        .map(|number| number.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("NUMBERS, found {numbers:?}: {error}"))?;

    let channel = Channel::from_shared(server)?.connect().await?;
    predictions(channel.clone(), &model, &row).await?;
    model_infer(channel, &model, &row).await?;
    Ok(())
}

/// TorchServe's `Predictions`: the parts of a request by name, each of them bytes.
async fn predictions(channel: Channel, model: &str, row: &[f32]) -> Result<(), Box<dyn Error>> {
    let asked = PredictionsRequest {
        model_name: model.to_owned(),
        input: [("body".to_owned(), format!("{row:?}").into())].into(),
        ..PredictionsRequest::default()
    };
    let mut client = InferenceApIsServiceClient::new(channel);
    let answer = client.predictions(with_key(asked)?).await?.into_inner();
    let text = String::from_utf8_lossy(&answer.prediction);
    println!(
        "Predictions: {}",
        text.split_whitespace().collect::<String>()
    );
    Ok(())
}

/// `ModelInfer` of the Open Inference Protocol: tensors by name, their numbers as raw bytes beside the message.
async fn model_infer(channel: Channel, model: &str, row: &[f32]) -> Result<(), Box<dyn Error>> {
    let bytes: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
    let asked = ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![InferInputTensor {
            name: "body".into(),
            datatype: "FP32".into(),
            shape: vec![i64::try_from(row.len())?],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![bytes.into()],
        ..ModelInferRequest::default()
    };
    let mut client = GrpcInferenceServiceClient::new(channel);
    let answer = client.model_infer(with_key(asked)?).await?.into_inner();
    for (output, numbers) in tensors(&answer) {
        println!("ModelInfer: {output} = {numbers:?}");
    }
    Ok(())
}

/// The outputs by name, and their numbers where they are of the type FP32.
fn tensors(answer: &ModelInferResponse) -> impl Iterator<Item = (String, Vec<f32>)> {
    answer
        .outputs
        .iter()
        .zip(&answer.raw_output_contents)
        .filter(|(output, _)| output.datatype == "FP32")
        .map(|(output, bytes)| {
            let (numbers, _) = bytes.as_chunks();
            let numbers = numbers.iter().map(|&number| f32::from_le_bytes(number));
            (
                format!("{} {:?}", output.name, output.shape),
                numbers.collect(),
            )
        })
}

/// A request that shows the key, if there is one.
fn with_key<T>(message: T) -> Result<Request<T>, Box<dyn Error>> {
    let mut request = Request::new(message);
    if let Ok(key) = std::env::var("TORCHRELAY_KEY") {
        let value = AsciiMetadataValue::try_from(format!("Bearer {key}"))?;
        request.metadata_mut().insert("authorization", value);
    }
    Ok(request)
}
