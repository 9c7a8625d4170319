//! What a graph costs by itself: runs through `Serving` in process, over functions that do nothing and a scripted model.
//!
//! `cargo bench -p serving --features testing`. Over HTTP, `cargo xtask bench --workflows` measures the same.
#![allow(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use archive::{Limits, ModelConfig, Unpacked};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use servable::{Device, Input, LoadError, Loader};
use serving::metrics::Metrics;
use serving::testing::ScriptedLoader;
use serving::workflow::{RunOptions, WorkflowRegistration};
use serving::{
    Cores, Engine, ModelStore, Parts, Serving, Settings, StoreOnly, Wishes, WorkflowStore,
};
use tokio::runtime::Runtime;

struct ScriptedEngine;

impl Engine for ScriptedEngine {
    fn loader(&self, _: &str, _: &Unpacked, _: Option<&str>) -> Result<Arc<dyn Loader>, LoadError> {
        Ok(Arc::new(ScriptedLoader::default()))
    }

    fn gpus(&self) -> usize {
        0
    }

    fn devices(&self, _: Option<&ModelConfig>, workers: usize) -> Vec<Device> {
        vec![Device::Cpu; workers]
    }
}

/// A core over a store with one scripted model, `m`.
fn serving(folder: &Path) -> Arc<Serving> {
    let inside = folder.join("m/MAR-INF");
    fs::create_dir_all(&inside).unwrap();
    let manifest = r#"{"model": {"modelName": "m", "modelVersion": "1.0"}}"#;
    fs::write(inside.join("MANIFEST.json"), manifest).unwrap();
    let unpacked = folder.join(".unpacked");
    Arc::new(Serving::new(Parts {
        store: ModelStore::open(folder, &unpacked, Limits::default()).unwrap(),
        workflow_store: WorkflowStore::open(folder, &unpacked, Limits::default()).unwrap(),
        functions: Arc::new(functions::Functions::default()),
        source: Arc::new(StoreOnly),
        workflow_source: Arc::new(StoreOnly),
        engine: Arc::new(ScriptedEngine),
        cores: Cores::new(NonZeroUsize::MIN),
        admission_limit: 100,
        first_worker_id: 9000,
        defaults: Settings::default(),
        sequence_headers: Default::default(),
        configured: Box::new(|_, _| Wishes::default()),
        metrics: Metrics::off(),
    }))
}

/// Each node gives on what it is given.
fn chain(nodes: usize) -> String {
    let mut spec = String::from("inputs: {value: int}\nnodes:\n");
    let mut before = "value".to_owned();
    for node in 0..nodes {
        spec.push_str(&format!(
            "  n{node}: {{function: passthrough, in: {before}}}\n"
        ));
        before = format!("n{node}");
    }
    spec
}

const ITEMS: &str = "
inputs: {words: 'list<text>'}
models: {m: {url: m, batch-size: 32}}
nodes: {word: {foreach: words}, said: {NODE, in: word}, all: {gather: said}}
output: all
";

fn runs(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let serving = runtime.block_on(async { serving(folder.path()) });
    let mut group = criterion.benchmark_group("workflow");
    let mut run = |name: &str, size: usize, spec: String, body: String| {
        let registration = WorkflowRegistration {
            spec: Some(spec),
            name: Some(format!("{name}{size}")),
            ..WorkflowRegistration::default()
        };
        let workflow = runtime
            .block_on(serving.register_workflow(registration))
            .unwrap();
        let input = Input::body("", body);
        group.bench_function(BenchmarkId::new(name, size), |bencher| {
            bencher.iter(|| {
                let options = RunOptions::default();
                let run = serving.run_workflow(&workflow.name, None, input.clone(), options);
                runtime.block_on(run).unwrap()
            });
        });
    };
    for nodes in [1, 20, 100] {
        run("chain", nodes, chain(nodes), "7".into());
    }
    let words = |count: usize| format!("[{}]", vec!["\"word\""; count].join(","));
    for items in [1, 64] {
        let spec = ITEMS.replace("NODE", "function: passthrough");
        run("items", items, spec, words(items));
        let spec = ITEMS.replace("NODE", "model: m");
        run("items through a model", items, spec, words(items));
    }
}

criterion_group!(benches, runs);
criterion_main!(benches);
