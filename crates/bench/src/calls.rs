//! A closed loop of gRPC calls from one thread: so many at once, each made again as soon as it is answered. What `load.rs` is
//! for HTTP/1.1, but with a client as programs use it, generated and on channels of tonic: it writes and reads each message,
//! and costs several times as much.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use proto::inference::ModelInferRequest;
use proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use proto::torchserve::inference::PredictionsRequest;
use proto::torchserve::inference::inference_ap_is_service_client::InferenceApIsServiceClient;
use tokio::runtime::{self, Runtime};
use tonic::transport::{Channel, Endpoint};

use crate::load::{PATIENCE, Slice, own_cpu};

/// How many calls share a connection.
const ON_ONE: usize = 8;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    Predictions(PredictionsRequest),
    Infer(ModelInferRequest),
}

/// A client with its question.
enum Asking {
    Predictions(InferenceApIsServiceClient<Channel>, PredictionsRequest),
    Infer(GrpcInferenceServiceClient<Channel>, ModelInferRequest),
}

/// As many clients as there are calls at once.
pub(crate) struct Calls {
    /// Outlives the clients: their connections are tasks of it.
    runtime: Runtime,
    clients: Vec<Asking>,
}

impl Calls {
    /// Connects.
    pub(crate) fn open(address: SocketAddr, at_once: usize, question: &Question) -> Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("a runtime for calls")?;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let endpoint = endpoint.connect_timeout(PATIENCE);
        let mut clients = Vec::with_capacity(at_once);
        for first in (0..at_once).step_by(ON_ONE) {
            let channel = runtime.block_on(endpoint.connect());
            let channel = channel.with_context(|| format!("no connection to {address}"))?;
            let calls = ON_ONE.min(at_once - first);
            clients.extend((0..calls).map(|_| Asking::new(channel.clone(), question)));
        }
        Ok(Calls { runtime, clients })
    }

    /// Asks once; the bytes of the answer's prediction, or of its first tensor.
    pub(crate) fn ask(&mut self) -> Result<Bytes> {
        let Calls { runtime, clients } = self;
        let asking = clients.first_mut().context("a client")?;
        runtime.block_on(asking.answer())
    }

    /// What [`Load::run`](crate::load::Load::run) does, with calls.
    pub(crate) fn run(
        &mut self,
        time: Duration,
        meter: impl FnMut() -> Result<f64>,
    ) -> Result<Slice> {
        let Calls { runtime, clients } = self;
        let run = run(clients, time, meter);
        let run = async { tokio::time::timeout(time + PATIENCE, run).await };
        match runtime.block_on(run) {
            Ok(slice) => slice,
            Err(_) => bail!("calls took longer than {} s", PATIENCE.as_secs()),
        }
    }
}

async fn run(
    clients: &mut [Asking],
    time: Duration,
    mut meter: impl FnMut() -> Result<f64>,
) -> Result<Slice> {
    let at_once = clients.len();
    let mut under_way: FuturesUnordered<_> = clients.iter_mut().map(timed).collect();
    let mut warmed = 0;
    while warmed < at_once {
        let (client, _) = under_way.next().await.context("a call under way")??;
        under_way.push(timed(client));
        warmed += 1;
    }
    let mut latencies = Vec::new();
    let (metered, own) = (meter()?, own_cpu());
    let start = Instant::now();
    while start.elapsed() < time || latencies.is_empty() {
        let (client, latency) = under_way.next().await.context("a call under way")??;
        latencies.push(latency);
        under_way.push(timed(client));
    }
    let mut slice = Slice {
        seconds: start.elapsed().as_secs_f64(),
        answers: latencies.len(),
        all: warmed + latencies.len(),
        latencies,
        own_cpu: own_cpu() - own,
        metered: meter()? - metered,
    };
    while let Some(answered) = under_way.next().await {
        answered?;
        slice.all += 1;
    }
    Ok(slice)
}

/// A call, and the microseconds it took. The client comes back for the next one.
async fn timed(client: &mut Asking) -> Result<(&mut Asking, u32)> {
    let asked = Instant::now();
    client.answer().await?;
    let micros = u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX);
    Ok((client, micros))
}

impl Asking {
    fn new(channel: Channel, question: &Question) -> Self {
        match question.clone() {
            Question::Predictions(message) => {
                Asking::Predictions(InferenceApIsServiceClient::new(channel), message)
            }
            Question::Infer(message) => {
                Asking::Infer(GrpcInferenceServiceClient::new(channel), message)
            }
        }
    }

    async fn answer(&mut self) -> Result<Bytes> {
        const REFUSED: &str = "the daemon answered a call with a failure";
        match self {
            Asking::Predictions(client, message) => {
                let answer = client.predictions(message.clone()).await.context(REFUSED)?;
                Ok(answer.into_inner().prediction)
            }
            Asking::Infer(client, message) => {
                let answer = client.model_infer(message.clone()).await.context(REFUSED)?;
                let tensors = answer.into_inner().raw_output_contents;
                tensors
                    .into_iter()
                    .next()
                    .context("an answer without a tensor")
            }
        }
    }
}
