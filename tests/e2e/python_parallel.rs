//! A model that is spread over processes, as its archive says: the daemon starts torchrun, which is found on the path. A small
//! program takes its place.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::cue::poll;
use crate::fixtures::Model;
use crate::harness::Bench;
use crate::python_handlers::has_python;

const TORCHRUN: &str = r#"#!/usr/bin/env python3
import json, os, subprocess, sys
words = sys.argv[1:]
count = int(words[words.index("--nproc-per-node") + 1])
script = next(index for index, word in enumerate(words) if word.endswith(".py"))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "words"), "w") as file:
    file.write(" ".join(words[:script]))
ranks = [
    subprocess.Popen([sys.executable] + words[script:], env=dict(os.environ, LOCAL_RANK=str(rank), RANK=str(rank)))
    for rank in range(count)
]
sys.exit(max(rank.wait() for rank in ranks))
"#;

const HANDLER: &str = "
import os

def handle(data, context):
    if data is None:
        return None
    rank = os.environ['LOCAL_RANK']
    open(os.path.join(context.system_properties['model_dir'], 'heard-' + rank), 'w').close()
    return ['rank %s, %s threads' % (rank, os.environ['OMP_NUM_THREADS'])] * len(data)
";

const CONFIG: &str = "
minWorkers: 1
deviceType: cpu
parallelType: tp
torchrun:
  nproc-per-node: 2
  rdzv-endpoint: localhost:29400
  OMP_NUMBER_THREADS: 3
";

fn bench() -> Bench {
    let bench = Bench::new()
        .with(&Model::double())
        .config("initial_distribution_port=30000");
    let manifest = json!({"runtime": "python", "model": {
        "modelName": "large", "modelVersion": "1.0", "handler": "mine.py:handle", "configFile": "model-config.yaml"
    }});
    bench.write(
        "store/large/MAR-INF/MANIFEST.json",
        manifest.to_string().as_bytes(),
    );
    bench.write("store/large/mine.py", HANDLER.as_bytes());
    bench.write("store/large/model-config.yaml", CONFIG.as_bytes());
    bench
}

/// Where its torchrun would be, before everything else.
fn path(bench: &Bench) -> String {
    let usual = std::env::var("PATH").unwrap_or_default();
    format!("{}:{usual}", bench.path("bin").display())
}

#[test]
fn all_ranks_are_started_and_heard() {
    if !has_python() {
        return;
    }
    let bench = bench();
    bench.write("bin/torchrun", TORCHRUN.as_bytes());
    let torchrun = bench.path("bin/torchrun");
    fs::set_permissions(&torchrun, Permissions::from_mode(0o755)).expect("allowed");
    let path = path(&bench);
    let logs = bench.path("logs").display().to_string();
    let daemon = bench
        .env("PATH", path)
        .env("LOG_LOCATION", logs.clone())
        .start();
    daemon.wait_for_ok("/ready");
    let answer = daemon.post("/predictions/large", b"{}");
    assert_eq!(answer.text(), "rank 0, 3 threads");
    let other = daemon.bench.path("store/large/heard-1");
    poll("the other rank hears", || other.exists());
    let words = fs::read_to_string(daemon.bench.path("bin/words")).expect("written");
    assert_eq!(
        words,
        format!(
            "--nnodes 1 --nproc-per-node 2 --log-dir {logs}/torchelastic_ts --rdzv-backend c10d \
             --rdzv-endpoint localhost:29400 --rdzv-id large_30000 --max-restarts 1"
        )
    );
}
