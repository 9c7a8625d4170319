//! Where a daemon listens, for whoever speaks to it rather than being it: the addresses of a configuration alone.
//!
//! The same sources as a start has, but nothing else of them has to be right: a client needs no model store.

use std::path::Path;

use super::address::Address;
use super::raw::RawConfig;
use super::reader::Reader;
use super::report::Report;
use super::source_file::SourceFile;
use super::{ConfigErrors, Env};
use crate::args::Args;

/// The addresses of one configuration. Fields are named after their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    pub inference_address: Address,
    pub management_address: Address,
    pub metrics_address: Address,
}

const KEYS: [&str; 3] = ["inference_address", "management_address", "metrics_address"];

impl Addresses {
    /// The addresses of a daemon that is started in `cwd` with this file, or with the one that it would find there.
    ///
    /// # Errors
    /// The file cannot be read, or says something about addresses that is none.
    pub fn load(file: Option<&Path>, env: &Env<'_>, cwd: &Path) -> Result<Self, ConfigErrors> {
        let args = Args {
            ts_config: file.map(|file| file.display().to_string()),
            ..Args::default()
        };
        // A file that is named here goes before one that the environment names.
        let named = |name: &str| match name {
            "TS_CONFIG_FILE" if file.is_some() => None,
            name => env(name),
        };
        let mut report = Report::default();
        let chosen = SourceFile::choose(&args, &named, cwd, &mut report);
        let file = chosen.and_then(|chosen| chosen.read(&named, cwd, &mut report));
        let mut reader = Reader::new(RawConfig::new(&args, &named, file), cwd, report);
        let [inference_address, management_address, metrics_address] =
            KEYS.map(|name| reader.address(name));
        let matters = |key: &Option<String>| key.as_deref().is_none_or(|key| KEYS.contains(&key));
        if let Err(mut errors) = reader.report.finish(false) {
            errors.problems.retain(|problem| matters(&problem.key));
            // Of the other keys, which are nothing to who only asks for addresses.
            errors.warnings.clear();
            if !errors.problems.is_empty() {
                return Err(errors);
            }
        }
        Ok(Addresses {
            inference_address,
            management_address,
            metrics_address,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn addresses_come_from_the_file_that_the_daemon_reads() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let check = |file: Option<&str>, env: &[(&str, &str)], expected: &str| {
            let env = |name: &str| {
                let found = env.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let found = match Addresses::load(file.map(Path::new), &env, folder.path()) {
                Ok(found) => format!(
                    "{} {} {}",
                    found.inference_address, found.management_address, found.metrics_address
                ),
                Err(errors) => format!("error: {errors}"),
            };
            assert_eq!(found, expected, "{file:?}");
        };
        let shipped = "http://127.0.0.1:8080 http://127.0.0.1:8081 http://127.0.0.1:8082";
        check(None, &[], shipped);
        write("config.properties", "management_address=unix:/run/m\n");
        let own = "http://127.0.0.1:8080 unix:/run/m http://127.0.0.1:8082";
        check(None, &[], own);
        write(
            "other",
            "inference_address=https://box\nmodel_store=$$ABSENT$$\n",
        );
        let other = "https://box:443 http://127.0.0.1:8081 http://127.0.0.1:8082";
        check(Some("other"), &[], other);
        check(None, &[("TS_CONFIG_FILE", "other")], other);
        let file = Some("config.properties");
        check(file, &[("TS_CONFIG_FILE", "other")], own);
        write(
            "env",
            "enable_envvars_config=true\nmetrics_address=$$WHERE$$\n",
        );
        let env = [
            ("WHERE", "unix:/x"),
            ("TS_INFERENCE_ADDRESS", "http://env:1"),
        ];
        check(
            Some("env"),
            &env,
            "http://env:1 http://127.0.0.1:8081 unix:/x",
        );
        check(
            Some("env"),
            &[],
            "error: Invalid configuration: env:2: metrics_address: the environment variable WHERE is not set",
        );
        write("broken", "inference_address=nowhere\n");
        check(
            Some("broken"),
            &[],
            "error: Invalid configuration: broken:1: inference_address: invalid address `nowhere`: expected \
             http://host[:port], https://host[:port] or unix:/path",
        );
    }
}
