//! `model-config.yaml`: how the server is to run the model, and whatever the handler wants to be told. Keys of the
//! server are typed here; a key of the wrong type is ignored with a warning, as TorchServe does. All other keys are
//! kept as they are, for handlers.

mod keys;
mod strays;

use serde_yaml::{Mapping, Value};

use crate::error::one_line;
use keys::Keys;

/// One model's settings. `None` is "not set": the caller knows what then holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelConfig {
    /// `minWorkers`, at least 1.
    pub min_workers: Option<u32>,
    /// `maxWorkers`, at least 1.
    pub max_workers: Option<u32>,
    /// `batchSize`, at least 1.
    pub batch_size: Option<u32>,
    /// `maxBatchDelay` in milliseconds.
    pub max_batch_delay: Option<u32>,
    /// `responseTimeout` in seconds, positive.
    pub response_timeout: Option<u32>,
    /// `startupTimeout` in seconds, positive.
    pub startup_timeout: Option<u32>,
    /// `deviceType`.
    pub device_type: Option<DeviceType>,
    /// `deviceIds`: indices of accelerators; one bad index voids the list.
    pub device_ids: Option<Vec<u32>>,
    /// `parallelType`.
    pub parallel_type: Option<ParallelType>,
    /// `parallelLevel`: accelerators per worker.
    pub parallel_level: Option<u32>,
    /// `torchrun`: how a worker's processes are started.
    pub torchrun: Option<Torchrun>,
    /// `maxRetryTimeoutInSec`: for how long a failing worker is started again.
    pub max_retry_timeout: Option<u32>,
    /// `clientTimeoutInMills`: jobs older than this many milliseconds are dropped; 0 keeps all.
    pub client_timeout: Option<u32>,
    /// `jobQueueSize`, positive.
    pub job_queue_size: Option<u32>,
    /// `useJobTicket`: accept a job only when a worker is idle.
    pub use_job_ticket: Option<bool>,
    /// `sequenceMaxIdleMSec`; above 0 it turns sequences on.
    pub sequence_max_idle: Option<u32>,
    /// `sequenceTimeoutMSec`.
    pub sequence_timeout: Option<u32>,
    /// `maxSequenceJobQueueSize`: jobs that may wait in one sequence, positive.
    pub max_sequence_job_queue_size: Option<u32>,
    /// `maxNumSequence`: sequences at a time, positive.
    pub max_num_sequence: Option<u32>,
    /// `sequenceBatching`.
    pub sequence_batching: Option<bool>,
    /// `continuousBatching`.
    pub continuous_batching: Option<bool>,
    /// `asyncCommunication`.
    pub async_communication: Option<bool>,
    /// `useVenv`.
    pub use_venv: Option<bool>,
    /// `merge`, a key of our own: whether different requests may share a batch.
    pub merge: Option<bool>,
    /// `service_envelope`, a key of our own: in place of the server's.
    pub service_envelope: Option<Envelope>,
    /// `threads`, a key of our own: how many a batch gets, positive.
    pub threads: Option<u32>,
    /// `isolation`, a key of our own: whether the model's workers are processes.
    pub isolation: Option<Isolation>,
    /// The whole document, for handlers. Always a mapping.
    pub document: Value,
    /// One line per key that was ignored and was likely not meant to be: a wrong type, a misspelling, a handler's setting
    /// outside `handler`. Each names the key and what was expected.
    pub warnings: Vec<String>,
}

/// `deviceType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceType {
    Cpu,
    Gpu,
}

/// `parallelType`: how a large model is spread over devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParallelType {
    Pipeline,
    Tensor,
    PipelineTensor,
    Custom,
}

/// `service_envelope`: how requests and answers of a model are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Envelope {
    /// Not at all.
    Body,
    /// `{"instances": […]}`, each of which is a request; `{"predictions": […]}`.
    Json,
    /// The same, and `{"explanations": […]}`.
    Kserve,
    /// The Open Inference Protocol v2.
    Kservev2,
}

impl Envelope {
    /// Their names in configuration.
    pub const NAMES: [(&str, Envelope); 4] = [
        ("body", Envelope::Body),
        ("json", Envelope::Json),
        ("kserve", Envelope::Kserve),
        ("kservev2", Envelope::Kservev2),
    ];
}

/// `torchrun`'s keys that change anything; TorchServe reads `rdzv-conf`, `monitor-interval` and `node-rank` too, and
/// then does not use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torchrun {
    /// `nnodes`, default 1.
    pub nodes: u32,
    /// `nproc-per-node`, default 1.
    pub processes_per_node: u32,
    /// `rdzv-backend`, default `c10d`.
    pub rendezvous_backend: String,
    /// `rdzv-endpoint`.
    pub rendezvous_endpoint: Option<String>,
    /// `OMP_NUMBER_THREADS`, default 1.
    pub omp_threads: u32,
}

/// `isolation`: what stands between a model that the daemon runs and the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Workers are threads of the daemon.
    None,
    /// Each worker is a process.
    Process,
}

impl Isolation {
    /// Their names in configuration.
    pub const NAMES: [(&str, Isolation); 2] =
        [("none", Isolation::None), ("process", Isolation::Process)];
}

impl ModelConfig {
    /// Reads a configuration; an empty document sets nothing. The error is one line and says where the YAML is wrong.
    pub fn from_yaml(text: &[u8]) -> Result<Self, String> {
        let mut document: Value = serde_yaml::from_slice(text).map_err(one_line)?;
        if document.is_null() {
            document = Value::Mapping(Mapping::new());
        }
        if !document.is_mapping() {
            let found = keys::kind(&document);
            return Err(format!("expected a mapping of keys, found {found}"));
        }
        let mut warnings = Vec::new();
        let mut keys = Keys::new(&document, "", &mut warnings);
        let mut config = ModelConfig {
            min_workers: keys.at_least_one("minWorkers"),
            max_workers: keys.at_least_one("maxWorkers"),
            batch_size: keys.at_least_one("batchSize"),
            max_batch_delay: keys.count("maxBatchDelay"),
            response_timeout: keys.positive("responseTimeout"),
            startup_timeout: keys.positive("startupTimeout"),
            device_type: keys.one_of("deviceType", &DEVICES),
            device_ids: keys.counts("deviceIds"),
            parallel_type: keys.one_of("parallelType", &PARALLEL),
            parallel_level: keys.positive("parallelLevel"),
            torchrun: None,
            max_retry_timeout: keys.positive("maxRetryTimeoutInSec"),
            client_timeout: keys.count("clientTimeoutInMills"),
            job_queue_size: keys.positive("jobQueueSize"),
            use_job_ticket: keys.flag("useJobTicket"),
            sequence_max_idle: keys.count("sequenceMaxIdleMSec"),
            sequence_timeout: keys.count("sequenceTimeoutMSec"),
            max_sequence_job_queue_size: keys.positive("maxSequenceJobQueueSize"),
            max_num_sequence: keys.positive("maxNumSequence"),
            sequence_batching: keys.flag("sequenceBatching"),
            continuous_batching: keys.flag("continuousBatching"),
            async_communication: keys.flag("asyncCommunication"),
            use_venv: keys.flag("useVenv"),
            merge: keys.flag("merge"),
            service_envelope: keys.one_of("service_envelope", &Envelope::NAMES),
            threads: keys.positive("threads"),
            isolation: isolation(&document)?,
            document: Value::Null,
            warnings: Vec::new(),
        };
        let torchrun = keys.mapping("torchrun");
        let mut known = keys.asked();
        known.extend(["handler", "isolation", "limits"]);
        config.torchrun = torchrun.map(|torchrun| {
            let mut keys = Keys::new(torchrun, "torchrun.", &mut warnings);
            Torchrun {
                nodes: keys.positive("nnodes").unwrap_or(1),
                processes_per_node: keys.positive("nproc-per-node").unwrap_or(1),
                rendezvous_backend: keys
                    .text("rdzv-backend")
                    .unwrap_or_else(|| "c10d".to_owned()),
                rendezvous_endpoint: keys.text("rdzv-endpoint"),
                omp_threads: keys.positive("OMP_NUMBER_THREADS").unwrap_or(1),
            }
        });
        warnings.extend(strays::warnings(&document, &known));
        config.document = document;
        config.warnings = warnings;
        Ok(config)
    }

    /// The value of a top-level key, whoever it is for.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.document.get(key)
    }

    /// How many accelerators a worker takes: `parallelLevel`, or as many as torchrun starts processes; at least 1. Only a
    /// `parallelType` makes it more.
    pub fn accelerators_per_worker(&self) -> u32 {
        let torchrun = self.torchrun.as_ref();
        let processes = torchrun.map(|torchrun| torchrun.processes_per_node);
        let level = processes.or(self.parallel_level);
        match self.parallel_type {
            Some(_) => level.unwrap_or(1).max(1),
            None => 1,
        }
    }

    /// The `handler` section, which is the handler's own.
    pub fn handler(&self) -> Option<&Value> {
        self.get("handler")
    }
}

/// Anything that is not understood is an error: whoever asks for a wall must not go on without one.
fn isolation(document: &Value) -> Result<Option<Isolation>, String> {
    let Some(value) = document.get("isolation").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let named = |name: &str| {
        let mut names = Isolation::NAMES.into_iter();
        names.find(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    match value.as_str().and_then(named) {
        Some((_, meaning)) => Ok(Some(meaning)),
        None => {
            let found = keys::show(value);
            Err(format!(
                "key isolation: expected none or process, found {found}"
            ))
        }
    }
}

const DEVICES: [(&str, DeviceType); 2] = [("cpu", DeviceType::Cpu), ("gpu", DeviceType::Gpu)];

const PARALLEL: [(&str, ParallelType); 4] = [
    ("pp", ParallelType::Pipeline),
    ("tp", ParallelType::Tensor),
    ("pptp", ParallelType::PipelineTensor),
    ("custom", ParallelType::Custom),
];

#[cfg(test)]
mod tests;
