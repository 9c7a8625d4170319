//! `model-config.yaml`: what an archive says of how it wants to be served.

use serde_json::json;

use super::Api;
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon, Stream};

/// A daemon that serves models of these names, with these texts as their configuration.
fn daemon(configs: &[(&str, &str)]) -> Daemon {
    let bench = Bench::new().config("enable_model_api=true\ndefault_workers_per_model=1");
    let pack = |bench: Bench, (name, config): &(&str, &str)| {
        bench.with(&Model::double().named(name).configured(config))
    };
    configs.iter().fold(bench, pack).start()
}

#[test]
fn c_11_every_key_has_its_effect() {
    let daemon = daemon(&[
        (
            "all",
            "minWorkers: 2\nmaxWorkers: 3\nbatchSize: 4\nmaxBatchDelay: 50\nresponseTimeout: 30\nstartupTimeout: 60\n\
             deviceType: cpu\nmaxRetryTimeoutInSec: 90\nclientTimeoutInMills: 5000\njobQueueSize: 7\nuseJobTicket: true\n",
        ),
        (
            "sequences",
            "maxWorkers: 3\nbatchSize: 2\nsequenceMaxIdleMSec: 1000\nsequenceTimeoutMSec: 2000\n\
             maxSequenceJobQueueSize: 5\nmaxNumSequence: 1\n",
        ),
        (
            "many-sequences",
            "batchSize: 2\nsequenceMaxIdleMSec: 1000\nmaxNumSequence: 9\n",
        ),
        (
            "no-sequences",
            "sequenceMaxIdleMSec: 0\nsequenceTimeoutMSec: 2000\nmaxNumSequence: 9\n",
        ),
        (
            "later",
            "parallelType: tp\nparallelLevel: 2\ncontinuousBatching: true\nuseVenv: true\ndeviceIds: [0, 1]\n",
        ),
        ("floors", "minWorkers: 0\nmaxWorkers: 0\nbatchSize: -3\n"),
        ("silent", "# nothing\n"),
    ]);
    let api = Api::management(&daemon);
    for (name, expected) in [
        (
            "all",
            json!({"minWorkers": 2, "maxWorkers": 3, "batchSize": 4, "maxBatchDelay": 50, "responseTimeout": 30,
                "startupTimeout": 60, "deviceType": "cpu", "maxRetryTimeoutInSec": 90, "clientTimeoutInMills": 5000,
                "useJobTicket": true, "jobQueueStatus": {"remainingCapacity": 7, "pendingRequests": 0}}),
        ),
        (
            // Never fewer than all workers can take at once.
            "sequences",
            json!({"stateful": true, "sequenceMaxIdleMSec": 1000, "sequenceTimeoutMSec": 2000, "maxNumSequence": 6,
                "maxSequenceJobQueueSize": 5}),
        ),
        (
            "many-sequences",
            json!({"stateful": true, "sequenceTimeoutMSec": 0, "maxNumSequence": 9, "maxSequenceJobQueueSize": 1}),
        ),
        (
            "no-sequences",
            json!({"stateful": false, "sequenceMaxIdleMSec": 0, "maxNumSequence": 0}),
        ),
        (
            "later",
            json!({"parallelType": "tp", "parallelLevel": 2, "continuousBatching": true, "useVenv": true,
                "deviceIds": [0, 1]}),
        ),
        (
            "floors",
            json!({"minWorkers": 1, "maxWorkers": 1, "batchSize": 1}),
        ),
        (
            "silent",
            json!({"minWorkers": 1, "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 100, "responseTimeout": 120,
                "startupTimeout": 120, "maxRetryTimeoutInSec": 300, "clientTimeoutInMills": 0, "useJobTicket": false}),
        ),
    ] {
        api.check_described(&format!("/models/{name}"), &expected);
        daemon.wait_for_ok(&format!("/ready/{name}"));
        let answer = daemon.post(&format!("/predictions/{name}"), b"[1.5]");
        assert_eq!(answer.prediction(), json!([3.0]), "{name}");
    }
    let later = &api.described("/models/later")[0];
    let members: Vec<&String> = later.as_object().expect("an object").keys().collect();
    let place = members.iter().position(|member| *member == "deviceIds");
    let before = place.map(|place| members[place - 1].as_str());
    assert_eq!(before, Some("deviceType"));
    let out = daemon.log().of(Stream::Out);
    let warned = out.iter().filter(|line| line.contains(" ignored: "));
    assert_eq!(warned.count(), 0, "{out:#?}");
}

#[test]
fn c_11_a_wrong_type_is_warned_about_and_ignored() {
    let wrong = [
        (
            "minWorkers: 1.5",
            "minWorkers ignored: expected a whole number, found 1.5",
        ),
        (
            "batchSize: many",
            "batchSize ignored: expected a whole number, found \"many\"",
        ),
        (
            "maxBatchDelay: -1",
            "maxBatchDelay ignored: expected a whole number from 0, found -1",
        ),
        (
            "responseTimeout: 0",
            "responseTimeout ignored: expected a whole number from 1, found 0",
        ),
        (
            "startupTimeout: [1]",
            "startupTimeout ignored: expected a whole number from 1, found a list",
        ),
        (
            "deviceType: tpu",
            "deviceType ignored: expected cpu or gpu, found \"tpu\"",
        ),
        (
            "deviceIds: [0, x]",
            "deviceIds ignored: expected a list of whole numbers from 0, found a list",
        ),
        (
            "parallelType: all",
            "parallelType ignored: expected pp or tp or pptp or custom, found \"all\"",
        ),
        (
            "maxRetryTimeoutInSec: 0",
            "maxRetryTimeoutInSec ignored: expected a whole number from 1, found 0",
        ),
        (
            "clientTimeoutInMills: soon",
            "clientTimeoutInMills ignored: expected a whole number from 0, found \"soon\"",
        ),
        (
            "jobQueueSize: 0",
            "jobQueueSize ignored: expected a whole number from 1, found 0",
        ),
        (
            "useJobTicket: 1",
            "useJobTicket ignored: expected true or false, found 1",
        ),
        (
            "sequenceMaxIdleMSec: true",
            "sequenceMaxIdleMSec ignored: expected a whole number from 0, found true",
        ),
        (
            "torchrun: 2",
            "torchrun ignored: expected a mapping, found 2",
        ),
        (
            "maxWorker: 7",
            "maxWorker ignored: did you mean `maxWorkers`?",
        ),
    ];
    let lines = wrong.map(|(line, _)| line).join("\n");
    let daemon = daemon(&[("double", &lines)]);
    for (_, warning) in wrong {
        daemon.log().wait_for(&format!("key {warning}"));
    }
    Api::management(&daemon).check_described(
        "/models/double",
        &json!({"minWorkers": 1, "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 100, "responseTimeout": 120,
            "startupTimeout": 120, "deviceType": "cpu", "parallelType": "", "maxRetryTimeoutInSec": 300,
            "clientTimeoutInMills": 0, "useJobTicket": false, "stateful": false,
            "jobQueueStatus": {"remainingCapacity": 100, "pendingRequests": 0}}),
    );
    daemon.check_serves();
}

#[test]
fn c_11_whose_wish_weighs_more() {
    let daemon = daemon(&[
        (
            "tuned",
            "minWorkers: 2\nmaxWorkers: 2\nbatchSize: 4\nmaxBatchDelay: 50\nresponseTimeout: 30\n",
        ),
        ("silent", "# nothing\n"),
    ]);
    let api = Api::management(&daemon);
    // What the request says goes first, but for workers and time limits, of which the archive has the last word.
    let wishes =
        "initial_workers=1&batch_size=9&max_batch_delay=7&response_timeout=5&startup_timeout=6";
    for (url, expected) in [
        (
            "tuned.mar",
            json!({"minWorkers": 2, "maxWorkers": 2, "batchSize": 9, "maxBatchDelay": 7, "responseTimeout": 30,
                "startupTimeout": 120}),
        ),
        (
            // A file that is silent about time limits means their defaults.
            "silent.mar",
            json!({"minWorkers": 1, "batchSize": 9, "responseTimeout": 120, "startupTimeout": 120}),
        ),
    ] {
        let answer = api.ask(&format!("POST /models?url={url}&model_name=asked&{wishes}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        api.check_described("/models/asked", &expected);
        assert_eq!(api.ask("DELETE /models/asked").status, 200);
    }
}
