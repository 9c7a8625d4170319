//! Where log files and metrics files go, as the environment says. Unlike settings, these two variables count whatever
//! the configuration file says of the environment, as in TorchServe.

use std::path::PathBuf;

use crate::config::Env;

/// The folder of log files: `LOG_LOCATION`, else `logs`. A relative one is meant from the working directory.
pub fn log_location(env: &Env<'_>) -> PathBuf {
    folder(env, "LOG_LOCATION")
}

/// The folder of metrics files: `METRICS_LOCATION`, else `logs`, wherever the other files are.
pub fn metrics_location(env: &Env<'_>) -> PathBuf {
    folder(env, "METRICS_LOCATION")
}

fn folder(env: &Env<'_>, variable: &str) -> PathBuf {
    env(variable)
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| PathBuf::from("logs"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_file_has_its_variable() {
        let check = |variables: &[(&str, &str)], expected: (&str, &str)| {
            let env = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let found = (log_location(&env), metrics_location(&env));
            assert_eq!(found, (expected.0.into(), expected.1.into()));
        };
        check(&[], ("logs", "logs"));
        check(&[("LOG_LOCATION", "/var/log/ts")], ("/var/log/ts", "logs"));
        check(&[("METRICS_LOCATION", "m")], ("logs", "m"));
        check(
            &[("LOG_LOCATION", ""), ("METRICS_LOCATION", "")],
            ("logs", "logs"),
        );
    }
}
