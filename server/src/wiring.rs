//! Joins configuration, serving and engine: the one file that names all three.

mod isolation;
mod native;
mod python;
mod sources;

use std::path::Path;
use std::sync::Arc;

use archive::{DeviceType, Limits, ModelConfig, Unpacked};
use functions::Functions;
use image_ops::DecodeLimits;
use servable::{Device, LoadError, Loader};
use serving::metrics::Metrics;
use serving::{Cores, Engine, ModelStore, Parts, Serving, Settings, Wishes, WorkflowStore};

use tracing::warn;

use crate::config::{Config, Models};

pub use isolation::serve_isolated;

/// The serving core as the configuration wants it. Archives are unpacked below `unpacked`.
pub fn serving(
    config: &Config,
    engine: Arc<dyn Engine>,
    unpacked: &Path,
    metrics: Metrics,
) -> anyhow::Result<Serving> {
    let cores = Cores::of_this_process(config.cores);
    let processors = match engine.gpus() {
        0 => cores.usable().get(),
        gpus => gpus,
    };
    if let Some(workers) = config.default_workers_per_model
        && workers.get() > serving::MOST_WORKERS
    {
        let most = serving::MOST_WORKERS;
        warn!("default_workers_per_model: {workers} is taken as {most}, which is the most");
    }
    let defaults = Settings {
        workers: config
            .default_workers_per_model
            .map_or(processors, Into::into)
            .min(serving::MOST_WORKERS),
        response_timeout: config.default_response_timeout,
        startup_timeout: config.default_startup_timeout,
        queue_size: config.job_queue_size.get(),
        queue_bytes: config.job_queue_bytes.get(),
        ..Settings::default()
    };
    let store = ModelStore::open(&config.model_store, unpacked, Limits::default())?;
    let workflow_store = WorkflowStore::open(&config.workflow_store, unpacked, Limits::default())?;
    let (source, workflow_source) = sources::sources(config);
    let models = config.models.clone();
    Ok(Serving::new(Parts {
        store,
        workflow_store,
        workflow_source: Arc::new(workflow_source),
        functions: Arc::new(functions(config)),
        source: Arc::new(source),
        engine,
        cores,
        admission_limit: u32::try_from(config.max_connections.get()).unwrap_or(u32::MAX),
        defaults,
        metrics,
        first_worker_id: config.initial_worker_port,
        sequence_headers: config.sequence_headers.clone(),
        configured: Box::new(move |name, version| configured_wishes(&models, name, version)),
    }))
}

/// The native functions, which take as large pictures as models do.
pub fn functions(config: &Config) -> Functions {
    Functions::within(if config.limit_max_image_pixels {
        DecodeLimits::default()
    } else {
        DecodeLimits::unlimited_pixels()
    })
}

/// The engines this build was made with: the native one, if it was, in this process or in processes of its models, and worker
/// processes for handlers in Python.
pub fn engine(config: &Config) -> Arc<dyn Engine> {
    #[cfg(feature = "torch-engine")]
    let native = Arc::new(torch::TorchEngine::new(config));
    #[cfg(not(feature = "torch-engine"))]
    let native = Arc::new(NoEngine);
    let native = Arc::new(isolation::Isolating::new(config, native));
    Arc::new(python::Engines::new(config, native))
}

/// What the `models` key of the configuration file wishes for one version.
fn configured_wishes(models: &Models, name: &str, version: &str) -> Wishes {
    let Some(settings) = models.get(name, version) else {
        return Wishes::default();
    };
    Wishes {
        workers: settings.min_workers.map(Into::into),
        max_workers: settings.max_workers.map(Into::into),
        batch_size: settings.batch_size,
        max_batch_delay: settings.max_batch_delay,
        response_timeout: settings.response_timeout,
        startup_timeout: settings.startup_timeout,
        retry_timeout: None,
        queue_size: None,
    }
}

/// Where each worker begins: accelerators in turn, so many apart as a worker takes, if there are any and the model does not ask
/// for the CPU.
#[cfg_attr(not(feature = "torch-engine"), allow(dead_code))]
fn spread(config: Option<&ModelConfig>, workers: usize, gpus: usize) -> Vec<Device> {
    let accelerators = accelerators(config, gpus);
    if accelerators.is_empty() {
        return vec![Device::Cpu; workers];
    }
    let each = config.map_or(1, ModelConfig::accelerators_per_worker);
    accelerators
        .into_iter()
        .cycle()
        .step_by(each as usize)
        .take(workers)
        .map(Device::Cuda)
        .collect()
}

/// The accelerators that a model's workers share out; none where the CPU serves.
fn accelerators(config: Option<&ModelConfig>, gpus: usize) -> Vec<usize> {
    let on_cpu =
        gpus == 0 || config.is_some_and(|config| config.device_type == Some(DeviceType::Cpu));
    if on_cpu {
        return Vec::new();
    }
    config
        .and_then(|config| config.device_ids.as_ref())
        .map(|ids| ids.iter().map(|&id| id as usize).collect())
        // One bad index voids the list, as TorchServe has it.
        .filter(|ids: &Vec<usize>| !ids.is_empty() && ids.iter().all(|&id| id < gpus))
        .unwrap_or_else(|| (0..gpus).collect())
}

#[cfg(feature = "torch-engine")]
mod torch {
    use super::native::NativeSettings;
    use super::{Arc, Config, Device, Engine, LoadError, Loader, ModelConfig, Unpacked, spread};
    use torch_engine::{CudaError, cuda_devices, keep_activations};
    use tracing::{info, warn};

    /// libtorch behind the serving core.
    pub(super) struct TorchEngine {
        gpus: usize,
        settings: NativeSettings,
    }

    impl TorchEngine {
        pub(super) fn new(config: &Config) -> Self {
            keep_activations();
            TorchEngine {
                gpus: usable_gpus(config.number_of_gpu),
                settings: NativeSettings::of(config),
            }
        }
    }

    /// The devices there are, up to `most`; the log says why there are none.
    fn usable_gpus(most: Option<usize>) -> usize {
        if most == Some(0) {
            return 0;
        }
        match cuda_devices() {
            Ok(found) => {
                let used = most.map_or(found, |most| most.min(found));
                info!("{found} CUDA devices, of which {used} are used");
                used
            }
            Err(CudaError::NoDriver) => {
                info!("models run on the CPU: {}", CudaError::NoDriver);
                0
            }
            Err(error) => {
                warn!("models run on the CPU, although this machine has a CUDA driver: {error}");
                0
            }
        }
    }

    impl Engine for TorchEngine {
        fn loader(
            &self,
            name: &str,
            files: &Unpacked,
            handler: Option<&str>,
        ) -> Result<Arc<dyn Loader>, LoadError> {
            self.settings.describe(name, files, handler)?.loader()
        }

        fn devices(&self, config: Option<&ModelConfig>, workers: usize) -> Vec<Device> {
            let asks_for_gpu =
                config.is_some_and(|config| config.device_type == Some(archive::DeviceType::Gpu));
            if asks_for_gpu && self.gpus == 0 {
                warn!("deviceType is gpu, but no CUDA device can be used; the CPU serves");
            }
            spread(config, workers, self.gpus)
        }

        fn gpus(&self) -> usize {
            self.gpus
        }
    }
}

/// A build without an engine: it starts, answers and refuses every model with the reason.
#[cfg(not(feature = "torch-engine"))]
struct NoEngine;

#[cfg(not(feature = "torch-engine"))]
impl Engine for NoEngine {
    fn loader(&self, _: &str, _: &Unpacked, _: Option<&str>) -> Result<Arc<dyn Loader>, LoadError> {
        Err(no_engine())
    }

    fn devices(&self, _: Option<&ModelConfig>, workers: usize) -> Vec<Device> {
        vec![Device::Cpu; workers]
    }

    fn gpus(&self) -> usize {
        0
    }
}

#[cfg(not(feature = "torch-engine"))]
fn no_engine() -> LoadError {
    LoadError::Unsupported("this daemon was built without an engine (feature torch-engine)".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, workers: usize, gpus: usize, expected: &str) {
        let config = ModelConfig::from_yaml(yaml.as_bytes()).expect("YAML");
        let devices: Vec<String> = spread(Some(&config), workers, gpus)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            devices.join(" "),
            expected,
            "{yaml:?}, {workers} workers, {gpus} GPUs"
        );
    }

    #[test]
    fn workers_are_spread_over_devices_in_turn() {
        check("", 2, 0, "cpu cpu");
        check("", 3, 2, "cuda:0 cuda:1 cuda:0");
        check("deviceType: cpu", 1, 2, "cpu");
        check("deviceType: gpu\ndeviceIds: [1]", 2, 2, "cuda:1 cuda:1");
        check("deviceIds: [1, 7]", 2, 2, "cuda:0 cuda:1");
    }
}
