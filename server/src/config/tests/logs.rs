//! What is said about the log: keys, a file of log4j2, the environment.

use super::*;

#[test]
fn the_log_is_set_by_keys_the_environment_and_a_file() {
    let start = Start::new("--start --model-store store --log-config log4j2.xml")
        .file(
            "config.properties",
            "log_format=JSON\notlp_endpoint=http://c:4318\n",
        )
        .file(
            "log4j2.xml",
            "<Configuration><Appenders><File name=\"f\" fileName=\"${env:LOG_LOCATION}/a.log\"><X/></File></Appenders>\
             <Loggers><Logger name=\"ACCESS_LOG\" level=\"off\"><AppenderRef ref=\"f\"/></Logger></Loggers>\
             </Configuration>",
        )
        .env("LOG_LOCATION", "l")
        .env("METRICS_LOCATION", "/m")
        .env("RUST_LOG", "debug");
    let here = start.folder.path();
    let mut expected = LogSettings::new(&here.join("l"), Path::new("/m"));
    expected.format = LogFormat::Json;
    expected.rust_log = Some("debug".to_owned());
    expected.levels = "error,access_log=off".to_owned();
    expected.files[LogFile::Access as usize] = here.join("l/a.log");
    expected.otlp_endpoint = Some("http://c:4318/v1/traces".to_owned());
    assert_eq!(start.config().logs, expected);
    assert_eq!(
        start.says(),
        "info: log4j2.xml: levels and files are honoured; without effect here: X"
    );
}

#[test]
fn a_log_config_that_cannot_be_used_costs_itself() {
    let start = Start::new("--start --model-store store --log-config log4j2.xml")
        .file("log4j2.xml", "<Configuration>\n<Loggers>\n</Configuration>");
    assert_eq!(
        start.says(),
        "warning: log4j2.xml:3: not XML: expected 'Loggers' tag, not 'Configuration'; the log is as without --log-config"
    );
    let logs = start.folder.path().join("logs");
    assert_eq!(start.config().logs, LogSettings::new(&logs, &logs));
}

#[test]
fn a_wrong_otlp_endpoint_refuses_the_start() {
    check(
        "otlp_endpoint=localhost:4318",
        "Invalid configuration: config.properties:1: otlp_endpoint: invalid address `localhost:4318`: expected \
         http://host[:port] or https://host[:port], and a path if the collector has another than /v1/traces",
    );
}
