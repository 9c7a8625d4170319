//! Models that are spread over processes: what torchrun is started with, and who hears and answers what. A small program in
//! Python takes its place.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use python_engine::{Parallel, Ranks};
use servable::{Abort, Device, Loader};

use crate::harness::{Model, ask, python_or_return, wait_until};

/// Writes down how it was started, and starts as many ranks.
const TORCHRUN: &str = r#"
import json, os, subprocess, sys
words = sys.argv[1:]
count = int(words[words.index("--nproc-per-node") + 1])
script = next(index for index, word in enumerate(words) if word.endswith(".py"))
names = ["CUDA_VISIBLE_DEVICES", "LOGLEVEL", "OMP_NUM_THREADS"]
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "started.json"), "w") as file:
    json.dump({"words": words[:script], "environment": {name: os.environ.get(name) for name in names}}, file)
ranks = [
    subprocess.Popen([sys.executable] + words[script:], env=dict(os.environ, LOCAL_RANK=str(rank), RANK=str(rank)))
    for rank in range(count)
]
codes = [rank.wait() for rank in ranks]
sys.exit(max(codes))
"#;

/// Notes in the model's folder which rank has loaded on what, and which has heard of a batch.
const HANDLER: &str = "
import os

def note(context, text):
    place = context.system_properties['model_dir']
    with open(os.path.join(place, '%s-%s' % (text, os.environ.get('LOCAL_RANK', 'none'))), 'w') as file:
        file.write(str(context.system_properties['gpu_id']))

def handle(data, context):
    if data is None:
        note(context, 'loaded')
        return None
    note(context, 'heard')
    import sys
    return ['%s %s' % (os.environ.get('LOCAL_RANK'), '--async' in sys.argv)] * len(data)
";

/// A model whose interpreter has that torchrun beside it.
fn model(python: &Path, parallel: Parallel) -> Model {
    let mut model = Model::new(python, HANDLER);
    let bin = model.root.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    symlink(python, bin.join("python3")).expect("a link");
    let torchrun = format!("#!{}\n{TORCHRUN}", python.display());
    fs::write(bin.join("torchrun"), torchrun).expect("written");
    fs::set_permissions(bin.join("torchrun"), Permissions::from_mode(0o755)).expect("allowed");
    model.settings.interpreter = bin.join("python3");
    model.settings.torchrun_logs = "/logs/torchelastic_ts".into();
    model.files.parallel = Some(parallel);
    model
}

fn ranks(all_hear: bool) -> Ranks {
    Ranks {
        all_hear,
        nodes: 1,
        backend: "c10d".into(),
        endpoint: None,
        omp_threads: 2,
    }
}

fn noted(model: &Model, name: &str) -> Option<String> {
    fs::read_to_string(model.files.dir.join(name)).ok()
}

#[test]
fn all_ranks_hear_of_batches_where_tensors_are_split() {
    let parallel = Parallel {
        level: 2,
        devices: vec![0, 1, 4, 5],
        ranks: Some(ranks(true)),
    };
    let model = model(python_or_return!(), parallel);
    let loader = model.loader().expect("a loader");
    let mut servable = loader
        .load_abortable(Device::Cuda(4), &Abort::default())
        .expect("loaded");
    for _ in 0..3 {
        assert_eq!(ask(servable.as_mut(), "x").as_deref(), Ok("0 False"));
    }
    // Of the accelerators that it sees.
    assert_eq!(noted(&model, "loaded-0").as_deref(), Some("0"));
    assert_eq!(noted(&model, "loaded-1").as_deref(), Some("1"));
    wait_until("the other rank hears", || noted(&model, "heard-1"));

    let started = fs::read_to_string(model.root.path().join("bin/started.json")).expect("written");
    let started: serde_json::Value = serde_json::from_str(&started).expect("JSON");
    let words: Vec<&str> = started["words"]
        .as_array()
        .expect("words")
        .iter()
        .filter_map(|word| word.as_str())
        .collect();
    assert_eq!(
        words.join(" "),
        "--nnodes 1 --nproc-per-node 2 --log-dir /logs/torchelastic_ts --rdzv-backend c10d --rdzv-id m_29500 \
         --max-restarts 1"
    );
    let expected = serde_json::json!({
        "CUDA_VISIBLE_DEVICES": "4,5", "LOGLEVEL": "INFO", "OMP_NUM_THREADS": "2"
    });
    assert_eq!(started["environment"], expected);
}

#[test]
fn the_first_rank_alone_hears_of_batches_in_a_pipeline() {
    let parallel = Parallel {
        level: 3,
        devices: Vec::new(),
        ranks: Some(ranks(false)),
    };
    let mut model = model(python_or_return!(), parallel);
    model.files.asynchronous = true;
    let mut servable = model.load().expect("loaded");
    assert_eq!(ask(servable.as_mut(), "x").as_deref(), Ok("0 True"));
    for (name, gpu) in [("loaded-0", "None"), ("loaded-2", "None")] {
        assert_eq!(noted(&model, name).as_deref(), Some(gpu));
    }
    drop(servable);
    assert_eq!(noted(&model, "heard-1"), None);
}

#[test]
fn a_worker_of_one_process_may_see_several_accelerators() {
    let parallel = Parallel {
        level: 2,
        devices: vec![0, 1],
        ranks: None,
    };
    let handler = "
import os
def handle(data, context):
    return data and [os.environ['CUDA_VISIBLE_DEVICES']] * len(data)
";
    let mut model = Model::new(python_or_return!(), handler);
    model.files.parallel = Some(parallel);
    let loader = model.loader().expect("a loader");
    let mut servable = loader
        .load_abortable(Device::Cuda(0), &Abort::default())
        .expect("loaded");
    assert_eq!(ask(servable.as_mut(), "x").as_deref(), Ok("0,1"));
}

#[test]
fn a_rank_that_cannot_load_fails_the_worker() {
    let parallel = Parallel {
        level: 2,
        devices: Vec::new(),
        ranks: Some(ranks(true)),
    };
    let model = model(python_or_return!(), parallel);
    let handler = "
import os
if os.environ['LOCAL_RANK'] == '1':
    raise RuntimeError('no room for the other half')
def handle(data, context):
    return data
";
    fs::write(model.files.dir.join("h.py"), handler).expect("written");
    let error = model.load().err().expect("refused").to_string();
    assert!(error.starts_with("model m: handler h.py: "), "{error}");
}
