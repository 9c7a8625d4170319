//! Where files of logs and snapshots go. The environment alone says so: the answer is needed before any configuration is
//! read, because a snapshot may be that configuration.

use std::path::PathBuf;

use crate::config::Env;

/// The folder that `LOG_LOCATION` names, else `logs`; if relative, then to the working directory. It need not exist.
pub fn log_location(env: &Env<'_>) -> PathBuf {
    env("LOG_LOCATION")
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| PathBuf::from("logs"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides() {
        let check = |value: Option<&str>, expected: &str| {
            let env = |name: &str| (name == "LOG_LOCATION").then(|| value.map(str::to_owned))?;
            assert_eq!(log_location(&env), PathBuf::from(expected), "{value:?}");
        };
        check(None, "logs");
        check(Some(""), "logs");
        check(Some("/var/log/torchrelay"), "/var/log/torchrelay");
        check(Some("here"), "here");
    }
}
