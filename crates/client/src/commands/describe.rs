//! `describe`: all that the server says of a version, or of every version of a model.

use std::time::Duration;

use crate::args::Describe;
use crate::endpoint::Api;
use crate::error::Error;
use crate::http::path;
use crate::models::{Description, Version, get, read, versions};
use crate::session::{QUICK, Session};
use crate::table::{Align, Table};
use crate::text::{Line, Tone};
use crate::units::{bytes, duration};

pub(super) async fn run(mut session: Session<'_>, args: &Describe) -> Result<(), Error> {
    let mut server = session.server(Api::Management, QUICK)?;
    if args.all && !session.options.json {
        let versions = versions(&mut server, &args.model).await?;
        return session.show(&lines(&versions));
    }
    let mut segments = vec!["models", args.model.as_str()];
    segments.extend(args.version.as_deref());
    if args.all {
        segments.push("all");
    }
    let query = if args.customized {
        "?customized=true"
    } else {
        ""
    };
    let call = get(format!("{}{query}", path(&segments)));
    let answer = session.ask(&mut server, &call).await?;
    if session.options.json {
        return Ok(());
    }
    let found: Vec<Description> = read(&server, &answer)?;
    let versions: Vec<Version> = found
        .into_iter()
        .map(|description| Version {
            // Of a version that was asked for by its name nothing is known.
            is_default: args.version.is_none(),
            description,
        })
        .collect();
    session.show(&lines(&versions))
}

fn lines(versions: &[Version]) -> Vec<Line> {
    let mut lines = Vec::new();
    for version in versions {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.extend(describe(version));
    }
    lines
}

fn describe(version: &Version) -> Vec<Line> {
    let model = &version.description;
    let mut title = Line::default().and(
        Tone::Strong,
        format!("{} {}", model.model_name, model.model_version),
    );
    if version.is_default {
        title.push(Tone::Plain, " (default)");
    }
    let mut lines = vec![title];
    let mut put = |name: &str, text: String| {
        let name = format!("  {name:<18}");
        lines.push(Line::default().and(Tone::Dim, name).and(Tone::Plain, text));
    };
    put("archive", model.model_url.clone());
    put("runtime", model.runtime.clone());
    put("workers", worker_counts(model));
    put("device", model.device_type.clone().unwrap_or_default());
    put("batches", batches(model));
    if let Some(queue) = model.job_queue_status {
        let text = format!(
            "{} waiting, room for {} more",
            queue.pending_requests, queue.remaining_capacity
        );
        put("queue", text);
    }
    let seconds = |seconds| duration(Duration::from_secs(seconds));
    put("response timeout", seconds(model.response_timeout));
    if let Some(timeout) = model.startup_timeout {
        put("start-up timeout", seconds(timeout));
    }
    let loaded = if model.loaded_at_startup { "yes" } else { "no" };
    put("loaded at start", loaded.to_owned());
    let shared = shared_memory(model);
    if let Some(memory) = shared {
        put("memory", format!("{}, of the whole daemon", bytes(memory)));
    }
    if !model.workers.is_empty() {
        lines.push(Line::default());
        lines.extend(workers(model, shared.is_none()));
    }
    if let Some(metadata) = &model.customized_metadata {
        let text = serde_json::to_string_pretty(metadata).unwrap_or_default();
        lines.push(Line::default());
        lines.push(Line::new("  customized metadata"));
        lines.extend(text.lines().map(|line| Line::new(format!("  {line}"))));
    }
    lines
}

fn worker_counts(model: &Description) -> String {
    let (ready, least, most) = (model.ready(), model.min_workers, model.max_workers);
    if most > least {
        format!("{ready} ready of {least}, {most} at most")
    } else {
        format!("{ready} ready of {least}")
    }
}

fn batches(model: &Description) -> String {
    match model.batch_size {
        0 | 1 => "one request at a time".to_owned(),
        size => format!(
            "up to {size} requests, which wait up to {} for company",
            duration(Duration::from_millis(model.max_batch_delay))
        ),
    }
}

/// Where all workers are threads of one process, the memory of each is that process's.
fn shared_memory(model: &Description) -> Option<u64> {
    let first = model.workers.first()?;
    let same = model
        .workers
        .iter()
        .all(|worker| worker.pid == first.pid && worker.memory_usage == first.memory_usage);
    (same && first.memory_usage > 0).then_some(first.memory_usage)
}

fn workers(model: &Description, with_memory: bool) -> Vec<Line> {
    let mut columns = vec![
        ("  WORKER", Align::Left),
        ("STATE", Align::Left),
        ("DEVICE", Align::Left),
        ("PID", Align::Right),
        ("STARTED", Align::Left),
    ];
    if with_memory {
        columns.insert(4, ("MEMORY", Align::Right));
    }
    let mut table = Table::new(&columns);
    for worker in &model.workers {
        let id = format!("  {}", worker.id).into();
        // As TorchServe has it, what is loading says UNLOADING.
        let state = match worker.status.as_str() {
            "READY" => "ready",
            _ => "not ready",
        };
        let device = if worker.gpu { "gpu" } else { "cpu" };
        let (pid, started) = (worker.pid.to_string().into(), (&worker.start_time).into());
        let memory = bytes(worker.memory_usage).into();
        if with_memory {
            table.row([id, state.into(), device.into(), pid, memory, started]);
        } else {
            table.row([id, state.into(), device.into(), pid, started]);
        }
    }
    table.lines(None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(document: serde_json::Value, is_default: bool, expected: &str) {
        let version = Version {
            description: serde_json::from_value(document).unwrap(),
            is_default,
        };
        let lines: Vec<String> = lines(&[version])
            .iter()
            .map(|line| line.paint(false))
            .collect();
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn a_version_is_described() {
        let worker = |id: &str, status: &str| {
            json!({ "id": id, "startTime": "2026-11-22T03:05:12.100Z", "status": status, "memoryUsage": 89_338_675,
                    "pid": 4242, "gpu": false })
        };
        check(
            json!({
                "modelName": "double", "modelVersion": "1.0", "modelUrl": "double.mar", "runtime": "python",
                "minWorkers": 2, "maxWorkers": 4, "batchSize": 8, "maxBatchDelay": 100, "responseTimeout": 120,
                "startupTimeout": 60, "deviceType": "cpu", "loadedAtStartup": true,
                "workers": [worker("9000", "READY"), worker("9001", "UNLOADING")],
                "jobQueueStatus": { "remainingCapacity": 97, "pendingRequests": 3 },
            }),
            true,
            "\
double 1.0 (default)
  archive           double.mar
  runtime           python
  workers           1 ready of 2, 4 at most
  device            cpu
  batches           up to 8 requests, which wait up to 100 ms for company
  queue             3 waiting, room for 97 more
  response timeout  2 min
  start-up timeout  1 min
  loaded at start   yes
  memory            85.2 MiB, of the whole daemon

  WORKER  STATE      DEVICE   PID  STARTED
  9000    ready      cpu     4242  2026-11-22T03:05:12.100Z
  9001    not ready  cpu     4242  2026-11-22T03:05:12.100Z",
        );
        check(
            json!({ "modelName": "m", "modelVersion": "2", "minWorkers": 1, "maxWorkers": 1, "customizedMetadata": {} }),
            false,
            "\
m 2
  archive
  runtime
  workers           0 ready of 1
  device
  batches           one request at a time
  response timeout  0 s
  loaded at start   no

  customized metadata
  {}",
        );
    }
}
