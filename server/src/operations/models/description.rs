//! One version of a model, described with TorchServe's members in TorchServe's order.

use std::collections::BTreeMap;

use archive::{DeviceType, ModelConfig, ParallelType};
use serde_json::{Map, Value, json};
use servable::{Device, Input};
use serving::{Model, WorkerStatus};
use tracing::warn;

use crate::app::App;
use crate::error::Failure;
use crate::system_metrics::gpu_usage;
use crate::utc;

pub(super) async fn of(model: &Model) -> Value {
    let settings = &model.settings;
    let scale = model.scale();
    let status = model.pool.status();
    let config = model.files.config().cloned().unwrap_or_default();
    let on_gpu = status
        .workers
        .iter()
        .any(|worker| worker.device != Device::Cpu)
        || config.device_type == Some(DeviceType::Gpu);
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("modelName", json!(model.name));
    put("modelVersion", json!(model.version));
    if !model.hidden {
        put("modelUrl", json!(model.url));
    }
    put("runtime", json!(model.runtime));
    put("minWorkers", json!(scale.min));
    put("maxWorkers", json!(scale.max));
    put("batchSize", json!(settings.batch_size));
    put("maxBatchDelay", json!(millis(settings.max_batch_delay)));
    put(
        "responseTimeout",
        json!(settings.response_timeout.as_secs()),
    );
    put("startupTimeout", json!(settings.startup_timeout.as_secs()));
    put(
        "maxRetryTimeoutInSec",
        json!(settings.retry_timeout.as_secs()),
    );
    put(
        "clientTimeoutInMills",
        json!(config.client_timeout.unwrap_or(0)),
    );
    put("parallelType", json!(parallel_type(&config)));
    put("parallelLevel", json!(config.parallel_level.unwrap_or(0)));
    put("deviceType", json!(if on_gpu { "gpu" } else { "cpu" }));
    if let Some(ids) = &config.device_ids {
        put("deviceIds", json!(ids));
    }
    put(
        "continuousBatching",
        json!(config.continuous_batching.unwrap_or(false)),
    );
    put(
        "useJobTicket",
        json!(config.use_job_ticket.unwrap_or(false)),
    );
    put("useVenv", json!(config.use_venv.unwrap_or(false)));
    let sequences = settings.manner.sequences;
    let idle = sequences.and_then(|sequences| sequences.max_idle);
    let lasting = sequences.and_then(|sequences| sequences.timeout);
    put("stateful", json!(sequences.is_some()));
    put("sequenceMaxIdleMSec", json!(idle.map_or(0, millis)));
    put("sequenceTimeoutMSec", json!(lasting.map_or(0, millis)));
    put(
        "maxNumSequence",
        json!(sequences.map_or(0, |sequences| sequences.most)),
    );
    put(
        "maxSequenceJobQueueSize",
        json!(sequences.map_or(0, |sequences| sequences.queue_size)),
    );
    put("loadedAtStartup", json!(model.loaded_at_startup));
    let memory = resident_memory("self");
    let gpus = match on_gpu {
        true => gpu_usage().await,
        false => BTreeMap::new(),
    };
    put(
        "workers",
        status
            .workers
            .iter()
            .map(|status| worker(status, memory, &gpus))
            .collect(),
    );
    let pending = model.pool.queued();
    put(
        "jobQueueStatus",
        json!({
            "remainingCapacity": settings.queue_size.saturating_sub(pending),
            "pendingRequests": pending,
        }),
    );
    Value::Object(members)
}

/// Workers that are threads of this process have its id and its memory; `memory` is that. Others have their own.
fn worker(status: &WorkerStatus, memory: u64, gpus: &BTreeMap<usize, String>) -> Value {
    let usage = match status.device {
        Device::Cpu => None,
        Device::Cuda(index) => gpus.get(&index),
    };
    let (second, nanos) = utc::to_the_second(status.started);
    json!({
        "id": status.id.to_string(),
        "startTime": format!("{second}.{:03}Z", nanos / 1_000_000),
        "status": if status.ready { "READY" } else { "UNLOADING" },
        "memoryUsage": status.process.map_or(memory, |process| resident_memory(&process.to_string())),
        "pid": status.process.unwrap_or_else(std::process::id),
        "gpu": status.device != Device::Cpu,
        "gpuUsage": usage.map_or("N/A", String::as_str),
    })
}

/// What the handler says of itself when it is asked with the header `describe`; nothing where it says no object. Native
/// handlers are not asked: they have nothing to add, as TorchServe's own have not.
pub(super) async fn by_itself(app: &App, model: &Model) -> Result<Value, Failure> {
    if !model.describes_itself {
        return Ok(json!({}));
    }
    let input = Input {
        id: "describe".into(),
        headers: vec![("describe".into(), "True".into())],
        ..Input::default()
    };
    let version = Some(model.version.as_str());
    let said = app.serving.predict(&model.name, version, input, None).await;
    let said = said.map_err(|error| {
        warn!(model = model.name, "it does not describe itself: {error}");
        Failure::internal("Failed to get customized model metadata.")
    })?;
    let said = serde_json::from_slice(&said.value.into_body());
    Ok(said.ok().filter(Value::is_object).unwrap_or(json!({})))
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn parallel_type(config: &ModelConfig) -> &'static str {
    match config.parallel_type {
        None => "",
        Some(ParallelType::Pipeline) => "pp",
        Some(ParallelType::Tensor) => "tp",
        Some(ParallelType::PipelineTensor) => "pptp",
        Some(ParallelType::Custom) => "custom",
    }
}

/// Bytes of memory that a process holds; 0 where the kernel does not say.
fn resident_memory(process: &str) -> u64 {
    let pages = std::fs::read_to_string(format!("/proc/{process}/statm"))
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}
