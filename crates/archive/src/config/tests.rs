use super::*;

#[test]
fn every_key_of_the_server_is_read() {
    let text = b"
minWorkers: 0
maxWorkers: 4
batchSize: 8
maxBatchDelay: 0
responseTimeout: 90
startupTimeout: 30
deviceType: GPU
deviceIds: [0, 2]
parallelType: tp
parallelLevel: 2
torchrun:
  nproc-per-node: 4
  OMP_NUMBER_THREADS: 2
maxRetryTimeoutInSec: 5
clientTimeoutInMills: 250
jobQueueSize: 10
useJobTicket: true
sequenceMaxIdleMSec: 1
sequenceTimeoutMSec: 2
maxSequenceJobQueueSize: 3
maxNumSequence: 4
sequenceBatching: true
continuousBatching: false
asyncCommunication: true
useVenv: false
merge: false
threads: 3
isolation: process
handler:
  profile: true
anything: [1, two]
";
    let config = ModelConfig::from_yaml(text).expect("it is sound");
    let expected = ModelConfig {
        min_workers: Some(1),
        max_workers: Some(4),
        batch_size: Some(8),
        max_batch_delay: Some(0),
        response_timeout: Some(90),
        startup_timeout: Some(30),
        device_type: Some(DeviceType::Gpu),
        device_ids: Some(vec![0, 2]),
        parallel_type: Some(ParallelType::Tensor),
        parallel_level: Some(2),
        torchrun: Some(Torchrun {
            nodes: 1,
            processes_per_node: 4,
            rendezvous_backend: "c10d".to_owned(),
            rendezvous_endpoint: None,
            omp_threads: 2,
        }),
        max_retry_timeout: Some(5),
        client_timeout: Some(250),
        job_queue_size: Some(10),
        use_job_ticket: Some(true),
        sequence_max_idle: Some(1),
        sequence_timeout: Some(2),
        max_sequence_job_queue_size: Some(3),
        max_num_sequence: Some(4),
        sequence_batching: Some(true),
        continuous_batching: Some(false),
        async_communication: Some(true),
        use_venv: Some(false),
        service_envelope: None,
        merge: Some(false),
        threads: Some(3),
        isolation: Some(Isolation::Process),
        document: config.document.clone(),
        warnings: Vec::new(),
    };
    assert_eq!(config, expected);
    let profile = config.handler().and_then(|handler| handler.get("profile"));
    assert_eq!(profile, Some(&Value::Bool(true)));
    let second = config.get("anything").and_then(|list| list.get(1));
    assert_eq!(second, Some(&Value::String("two".to_owned())));
}

/// One key with a value that is ignored, and the warning it earns.
fn check_warning(text: &str, expected: &str) {
    let config = ModelConfig::from_yaml(text.as_bytes()).expect(text);
    assert_eq!(config.warnings, [expected]);
    let unset = ModelConfig {
        document: config.document.clone(),
        warnings: config.warnings.clone(),
        torchrun: config.torchrun.clone(),
        ..ModelConfig::default()
    };
    assert_eq!(config, unset, "{text}");
}

#[test]
fn a_wrong_type_is_a_warning_and_an_absent_key() {
    check_warning(
        "batchSize: '8'",
        "key batchSize ignored: expected a whole number, found \"8\"",
    );
    check_warning(
        "maxBatchDelay: -1",
        "key maxBatchDelay ignored: expected a whole number from 0, found -1",
    );
    check_warning(
        "responseTimeout: 0",
        "key responseTimeout ignored: expected a whole number from 1, found 0",
    );
    check_warning(
        "deviceIds: [0, x]",
        "key deviceIds ignored: expected a list of whole numbers from 0, found a list",
    );
    check_warning(
        "deviceType: tpu",
        "key deviceType ignored: expected cpu or gpu, found \"tpu\"",
    );
    check_warning(
        "useVenv: 1",
        "key useVenv ignored: expected true or false, found 1",
    );
    check_warning(
        "torchrun: 4",
        "key torchrun ignored: expected a mapping, found 4",
    );
    check_warning(
        "torchrun: {nnodes: two}",
        "key torchrun.nnodes ignored: expected a whole number from 1, found \"two\"",
    );
}

#[test]
fn a_key_in_the_wrong_place_or_misspelt_is_a_warning() {
    check_warning(
        "batchSzie: 4",
        "key batchSzie ignored: did you mean `batchSize`?",
    );
    check_warning(
        "max_batch_delay: 4",
        "key max_batch_delay ignored: did you mean `maxBatchDelay`?",
    );
    check_warning(
        "handlers: {topk: 1}",
        "key handlers ignored: did you mean `handler`?",
    );
    for key in ["topk", "resize", "dtype"] {
        check_warning(
            &format!("{key}: 1\nhandler: {{{key}: 1}}"),
            &format!("key {key} ignored: a handler's setting belongs into the section `handler`"),
        );
    }
    let config =
        ModelConfig::from_yaml(b"micro_batching: 1\n7: x\npippy: {chunks: 1}").expect("fine");
    assert_eq!(config.warnings, [""; 0], "a key of somebody else's");
}

#[test]
fn an_empty_document_sets_nothing() {
    for text in ["", "# nothing\n", "minWorkers:\n"] {
        let config = ModelConfig::from_yaml(text.as_bytes()).expect(text);
        assert_eq!((config.min_workers, config.warnings.len()), (None, 0));
        assert!(config.document.is_mapping(), "{text:?}");
    }
}

#[test]
fn what_is_no_mapping_is_an_error() {
    let error = ModelConfig::from_yaml(b"- a\n- b").expect_err("a list");
    assert_eq!(error, "expected a mapping of keys, found a list");
    let error = ModelConfig::from_yaml(b"a: [1").expect_err("not YAML");
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn an_isolation_that_is_none_is_refused() {
    let check = |text: &str, expected: Result<Option<Isolation>, &str>| {
        let found = ModelConfig::from_yaml(text.as_bytes()).map(|config| config.isolation);
        assert_eq!(
            found.as_ref().map_err(String::as_str),
            expected.as_ref().map_err(|it| *it)
        );
    };
    check("isolation: none", Ok(Some(Isolation::None)));
    check("isolation: Process", Ok(Some(Isolation::Process)));
    check("isolation:", Ok(None));
    check(
        "isolation: proces",
        Err("key isolation: expected none or process, found \"proces\""),
    );
    check(
        "isolation: true",
        Err("key isolation: expected none or process, found true"),
    );
    check(
        "isolation: [process]",
        Err("key isolation: expected none or process, found a list"),
    );
}
