//! What the protocol tells of the server and its models, as JSON.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::v2::{
    EXTENSIONS, IndexEntry, ModelMetadata, ModelStatistics, SERVER_NAME, Spent, TensorMetadata,
};

pub(super) fn server() -> Value {
    json!({
        "name": SERVER_NAME,
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": EXTENSIONS,
    })
}

pub(super) fn model(model: &ModelMetadata) -> Value {
    let tensors = |tensors: &[TensorMetadata]| {
        let tensors = tensors.iter().map(|tensor| {
            json!({
                "name": tensor.name,
                "datatype": tensor.datatype.name(),
                "shape": tensor.shape,
            })
        });
        tensors.collect::<Vec<_>>()
    };
    json!({
        "name": model.name,
        "versions": model.versions,
        "platform": model.platform,
        "inputs": tensors(&model.inputs),
        "outputs": tensors(&model.outputs),
    })
}

/// A model in the words of Triton's configuration. Shapes are whole: no side of them is a batch that is left out.
pub(super) fn config(model: &ModelMetadata) -> Value {
    let tensors = |tensors: &[TensorMetadata]| {
        let tensors = tensors.iter().map(|tensor| {
            let datatype = match tensor.datatype.name() {
                "BYTES" => "STRING",
                name => name,
            };
            json!({
                "name": tensor.name,
                "data_type": format!("TYPE_{datatype}"),
                "dims": tensor.shape,
            })
        });
        tensors.collect::<Vec<_>>()
    };
    json!({
        "name": model.name,
        "platform": model.platform,
        "backend": SERVER_NAME,
        "max_batch_size": 0,
        "input": tensors(&model.inputs),
        "output": tensors(&model.outputs),
        "model_transaction_policy": { "decoupled": false },
    })
}

pub(super) fn statistics(models: &[ModelStatistics]) -> Value {
    let models: Vec<Value> = models.iter().map(of_model).collect();
    json!({ "model_stats": models })
}

fn of_model(model: &ModelStatistics) -> Value {
    let last = model
        .last_inference
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let last = last.unwrap_or(Duration::ZERO).as_millis();
    let batches = model.batches.iter().map(|batch| {
        json!({
            "batch_size": batch.size,
            "compute_input": spent(batch.input),
            "compute_infer": spent(batch.infer),
            "compute_output": spent(batch.output),
        })
    });
    json!({
        "name": model.name,
        "version": model.version,
        "last_inference": u64::try_from(last).unwrap_or(u64::MAX),
        "inference_count": model.inferences,
        "execution_count": model.executions,
        "inference_stats": {
            "success": spent(model.success),
            "fail": spent(model.fail),
            "queue": spent(model.queue),
            "compute_input": spent(model.input),
            "compute_infer": spent(model.infer),
            "compute_output": spent(model.output),
            "cache_hit": spent(Spent::default()),
            "cache_miss": spent(Spent::default()),
        },
        "batch_stats": batches.collect::<Vec<_>>(),
    })
}

fn spent(spent: Spent) -> Value {
    let nanoseconds = u64::try_from(spent.time.as_nanos()).unwrap_or(u64::MAX);
    json!({ "count": spent.count, "ns": nanoseconds })
}

pub(super) fn index(entries: &[IndexEntry]) -> Value {
    let entries = entries.iter().map(|entry| {
        json!({
            "name": entry.name,
            "version": entry.version,
            "state": entry.state,
            "reason": entry.reason,
        })
    });
    entries.collect()
}
