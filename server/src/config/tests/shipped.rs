//! The shipped file, the defaults and the documentation say the same.

use super::*;

#[test]
fn a_start_without_a_file_has_the_documented_defaults() {
    let start = Start::new("--start --model-store store");
    let (config, notices) = start.load().unwrap();
    let store = start.folder.path().join("store");
    let logs = start.folder.path().join("logs");
    let tcp = |port| Address::Tcp {
        https: false,
        host: "127.0.0.1".to_owned(),
        port,
    };
    let grpc_service = |port| GrpcService {
        address: tcp(port),
        max_age: None,
        grace: None,
    };
    // Every default, and the store that the command line names.
    let written = KEYS.iter().filter_map(|key| {
        let value = match key.name {
            "model_store" => "store",
            _ if key.state == State::Honoured && !key.default.is_empty() => key.default,
            _ => return None,
        };
        Some((key.name.to_owned(), value.to_owned()))
    });
    let expected = Config {
        fronts: Vec::new(),
        file: None,
        inference_address: tcp(8080),
        management_address: tcp(8081),
        metrics_address: tcp(8082),
        grpc: Grpc {
            inference: grpc_service(7070),
            management: grpc_service(7071),
        },
        enable_metrics_api: true,
        metrics_mode: Mode::Log,
        model_metrics_auto_detect: false,
        metrics_config: None,
        disable_system_metrics: false,
        metric_time_interval: Duration::from_secs(60),
        system_metrics_cmd: None,
        key_material: KeyMaterial::SelfSigned,
        model_store: store.clone(),
        workflow_store: store,
        load_models: LoadModels::None,
        load_workflows: LoadModels::None,
        workflow_save_dir: None,
        models: Models::default(),
        initial_worker_port: 9000,
        initial_distribution_port: 29500,
        default_workers_per_model: None,
        default_response_timeout: Duration::from_secs(120),
        default_startup_timeout: Duration::from_secs(120),
        unregister_model_timeout: Duration::from_secs(120),
        job_queue_size: NonZeroUsize::new(100).unwrap(),
        job_queue_bytes: NonZeroUsize::new(1 << 30).unwrap(),
        sequence_headers: SequenceHeaders::default(),
        default_service_handler: None,
        isolation: Isolation::None,
        python_executable: "python3".into(),
        torchserve_worker: false,
        install_py_dep_per_model: false,
        decode_input_request: true,
        blacklist_env_vars: None,
        service_envelope: None,
        open_inference_protocol: true,
        limit_max_image_pixels: true,
        allowed_urls: AllowedUrls::default(),
        allow_private_urls: false,
        max_download_size: 16 << 30,
        download_timeout: Duration::from_secs(3600),
        download_stall_timeout: Duration::from_secs(60),
        enable_model_api: false,
        disable_token_authorization: false,
        token_expiration_min: Duration::from_secs(3600),
        key_file: start.folder.path().join("key_file.json"),
        cors: None,
        max_request_size: 6_553_500,
        max_response_size: 6_553_500,
        request_memory: NonZeroUsize::new(i32::MAX as usize).unwrap(),
        header_timeout: Duration::from_secs(30),
        body_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(120),
        max_connections: NonZeroUsize::new(10_000).unwrap(),
        drain_delay: Duration::ZERO,
        grace_period: Duration::from_secs(30),
        prediction_content_type: false,
        number_of_gpu: None,
        cores: None,
        debugger: None,
        logs: LogSettings::new(&logs, &logs),
        snapshots: Some(SnapshotSettings {
            folder: start.folder.path().join("logs/config"),
            kept: NonZeroUsize::new(100),
            written: WrittenSettings(written.collect()),
        }),
        model_snapshot: None,
        workflow_snapshot: None,
    };
    assert_eq!((config, notices), (expected, Vec::new()));
}

#[test]
fn the_shipped_file_says_nothing_new() {
    let start =
        Start::new("--start --strict --model-store store").file("config.properties", raw::SHIPPED);
    let (mut config, notices) = start.load().unwrap();
    config.file = None;
    fs::remove_file(start.folder.path().join("config.properties")).unwrap();
    assert_eq!((config, notices), start.load().unwrap());
}

#[test]
fn the_shipped_file_holds_the_defaults_of_the_table() {
    let (entries, flaws) = properties::parse(raw::SHIPPED.as_bytes());
    assert_eq!(flaws, []);
    let shipped: BTreeMap<&str, &str> = entries
        .iter()
        .map(|e| (e.key.as_str(), e.value.as_str()))
        .collect();
    let honoured = KEYS
        .iter()
        .filter(|key| key.state == State::Honoured && !key.default.is_empty());
    assert_eq!(
        shipped,
        honoured.map(|key| (key.name, key.default)).collect()
    );
    for key in KEYS.iter().filter(|key| key.state == State::Honoured) {
        assert!(
            raw::SHIPPED.contains(&format!("{}=", key.name)),
            "no line for {}",
            key.name
        );
    }
}

#[test]
fn the_documentation_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, configuration_page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == configuration_page(),
        "docs/configuration.md is out of date: run cargo xtask docs"
    );
}
