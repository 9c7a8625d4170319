//! The ports of the demo's daemon.

use std::io::ErrorKind;
use std::net::TcpListener;

use anyhow::{Context, Result, bail};

/// The keys of `config.properties`, with the ports they have when nothing is set.
const KEYS: [(&str, u16); 5] = [
    ("inference_address", 8080),
    ("management_address", 8081),
    ("metrics_address", 8082),
    ("grpc_inference_port", 7070),
    ("grpc_management_port", 7071),
];

pub struct Ports {
    pub inference: u16,
    moved: bool,
}

impl Ports {
    /// `first` and those behind it, or the usual ones.
    pub fn new(first: Option<u16>) -> Result<Self> {
        let last = u16::MAX - KEYS.len() as u16 + 1;
        match first {
            Some(port) if port == 0 || port > last => bail!(
                "--port takes 1 to {last}, since {} ports are used",
                KEYS.len()
            ),
            Some(port) => Ok(Self {
                inference: port,
                moved: true,
            }),
            None => Ok(Self {
                inference: KEYS[0].1,
                moved: false,
            }),
        }
    }

    /// Before anything is built: whether the daemon will be able to listen.
    pub fn check_free(&self) -> Result<()> {
        for (key, port) in self.all() {
            match TcpListener::bind(("127.0.0.1", port)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
                    "port {port} ({key} in config.properties) is taken: stop what listens there, or serve elsewhere \
                     with `cargo xtask demo --port N`"
                ),
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("port {port} ({key}) cannot be used"));
                }
            }
        }
        Ok(())
    }

    /// A configuration file for ports that are not the usual ones.
    pub fn settings(&self) -> Option<String> {
        let line = |(key, port): (&str, u16)| {
            if key.ends_with("_address") {
                format!("{key}=http://127.0.0.1:{port}\n")
            } else {
                format!("{key}={port}\n")
            }
        };
        self.moved.then(|| self.all().map(line).collect())
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, u16)> {
        let (moved, first) = (self.moved, self.inference);
        (0..)
            .zip(KEYS)
            .map(move |(offset, (key, usual))| (key, if moved { first + offset } else { usual }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(first: Option<u16>, expected: Result<Option<&str>, &str>) {
        let settings = Ports::new(first)
            .map(|ports| ports.settings())
            .map_err(|error| error.to_string());
        assert_eq!(
            settings,
            expected
                .map(|s| s.map(str::to_owned))
                .map_err(str::to_owned)
        );
    }

    #[test]
    fn all_ports_follow_the_first() {
        check(None, Ok(None));
        check(
            Some(9000),
            Ok(Some(
                "inference_address=http://127.0.0.1:9000\nmanagement_address=http://127.0.0.1:9001\n\
                 metrics_address=http://127.0.0.1:9002\ngrpc_inference_port=9003\ngrpc_management_port=9004\n",
            )),
        );
        check(
            Some(65_533),
            Err("--port takes 1 to 65531, since 5 ports are used"),
        );
    }

    #[test]
    fn a_taken_port_is_named_with_its_key() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = taken.local_addr().expect("it listens").port().min(65_531);
        let error = Ports::new(Some(port))
            .and_then(|ports| ports.check_free())
            .expect_err("taken");
        assert!(
            error.to_string().starts_with(&format!(
                "port {port} (inference_address in config.properties) is taken"
            )),
            "{error}"
        );
    }
}
