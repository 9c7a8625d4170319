//! The log's settings: its keys, `LOG_LOCATION`, `METRICS_LOCATION`, `RUST_LOG` and `--log-config`.

use std::path::Path;

use super::Env;
use super::keys::LOG_FORMATS;
use super::reader::Reader;
use super::report::{Origin, Report, quote};
use crate::log_location::{log_location, metrics_location};
use crate::telemetry::{LogFormat, LogSettings, endpoint, log4j};

/// Reads them. A log4j2 file that cannot be used costs itself and nothing else, as in TorchServe.
pub(super) fn logs(
    reader: &mut Reader<'_>,
    log_config: Option<&str>,
    env: &Env<'_>,
) -> LogSettings {
    let cwd = reader.cwd();
    let in_cwd = |path: &Path| cwd.join(path);
    let (logs, metrics) = (in_cwd(&log_location(env)), in_cwd(&metrics_location(env)));
    let mut settings = LogSettings::new(&logs, &metrics);
    settings.rust_log = env("RUST_LOG").filter(|text| !text.trim().is_empty());
    if let Some(log4j) = log_config.and_then(|name| read_log4j(name, cwd, env, &mut reader.report))
    {
        if let Some(levels) = log4j.levels {
            settings.levels = levels;
        }
        for (file, path) in log4j.files {
            settings.files[file as usize] = in_cwd(&path);
        }
    }
    if reader.choice("log_format", LOG_FORMATS) == Some("json") {
        settings.format = LogFormat::Json;
    }
    if let Some(setting) = reader.setting("otlp_endpoint") {
        match endpoint(&setting.value) {
            Ok(endpoint) => settings.otlp_endpoint = Some(endpoint),
            Err(message) => {
                let message = format!("invalid address {}: {message}", quote(&setting.value));
                reader
                    .report
                    .error(&setting.origin, Some("otlp_endpoint"), message);
            }
        }
    }
    settings
}

fn read_log4j(name: &str, cwd: &Path, env: &Env<'_>, report: &mut Report) -> Option<log4j::Log4j> {
    let path = cwd.join(name);
    if !path.is_file() {
        let message = format!("--log-config file not found: {}", path.display());
        report.error(&Origin::Command, None, message);
        return None;
    }
    let read = std::fs::read_to_string(&path)
        .map_err(|error| (None, format!("cannot be read: {error}")))
        .and_then(|text| {
            log4j::read(&text, env).map_err(|error| (Some(error.line), error.to_string()))
        });
    match read {
        Ok(log4j) => {
            if !log4j.ignored.is_empty() {
                let ignored = log4j.ignored.join(", ");
                report.remark(format!(
                    "{name}: levels and files are honoured; without effect here: {ignored}"
                ));
            }
            Some(log4j)
        }
        Err((line, message)) => {
            let path = name.into();
            let consequence = "the log is as without --log-config";
            report.warn(&Origin::File { path, line }, None, message, consequence);
            None
        }
    }
}
