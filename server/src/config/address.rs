//! Where a listener opens: `http://host[:port]`, `https://host[:port]` or `unix:/path`, in any case.

use std::fmt;
use std::path::PathBuf;

/// A checked listener address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `host` is a name, an IPv4 address, or an IPv6 address without its brackets. Port 0 lets the system choose.
    Tcp {
        https: bool,
        host: String,
        port: u16,
    },
    /// A socket file.
    Unix(PathBuf),
}

/// Which listener an address is for; it decides the port of an address that names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Inference,
    Management,
    Metrics,
    Front,
}

/// What a value that [`Address::parse`] refuses should have been.
pub(crate) const EXPECTED: &str = "http://host[:port], https://host[:port] or unix:/path";

impl Address {
    /// Reads an address; an error says what is wrong with it, without the address.
    pub fn parse(text: &str, role: Role) -> Result<Address, String> {
        if let Some(path) = after(text, "unix:") {
            return if path.starts_with('/') {
                Ok(Address::Unix(PathBuf::from(path)))
            } else {
                Err("the path of a unix: address begins with /".to_owned())
            };
        }
        let (https, rest) = match (after(text, "http://"), after(text, "https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            (None, None) => return Err(format!("expected {EXPECTED}")),
        };
        let (host, port) = host_and_port(rest)?;
        let port = match port {
            Some(port) => port
                .parse()
                .map_err(|_| "a port is a number from 0 to 65535".to_owned())?,
            None => role.port(https),
        };
        Ok(Address::Tcp { https, host, port })
    }

    pub fn is_https(&self) -> bool {
        matches!(self, Address::Tcp { https: true, .. })
    }
}

impl Role {
    fn port(self, https: bool) -> u16 {
        match (self, https) {
            (Role::Inference, false) => 80,
            (Role::Inference, true) => 443,
            (Role::Management, false) => 8081,
            (Role::Management, true) => 8444,
            (Role::Metrics, false) => 8082,
            (Role::Metrics, true) => 8445,
            (Role::Front, _) => 5000,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { https, host, port } => {
                let scheme = if *https { "https" } else { "http" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")
                } else {
                    write!(f, "{scheme}://{host}:{port}")
                }
            }
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What follows `prefix`, whichever its case.
fn after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// TorchServe knows no IPv6 addresses; in brackets they are unambiguous, so they are taken.
fn host_and_port(text: &str) -> Result<(String, Option<&str>), String> {
    let (host, port) = match text.strip_prefix('[').map(|text| text.split_once(']')) {
        Some(None) => return Err("an IPv6 address ends with ]".to_owned()),
        Some(Some((host, ""))) => (host, None),
        Some(Some((host, rest))) => match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None => return Err("only :port may follow an IPv6 address".to_owned()),
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let bracketed = text.starts_with('[');
    if bracketed && host.parse::<std::net::Ipv6Addr>().is_err() {
        return Err("the brackets hold no IPv6 address".to_owned());
    }
    if host.is_empty() {
        return Err("there is no host".to_owned());
    }
    if host.contains(|c: char| c == '/' || c == '^' || c.is_whitespace()) {
        return Err("nothing may follow the host but :port".to_owned());
    }
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return Err("a port is a number from 0 to 65535".to_owned());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, role: Role, expected: &str) {
        let found = match Address::parse(text, role) {
            Ok(address) => address.to_string(),
            Err(message) => format!("error: {message}"),
        };
        assert_eq!(found, expected, "{text} as {role:?}");
    }

    #[test]
    fn valid() {
        check(
            "http://127.0.0.1:8080",
            Role::Inference,
            "http://127.0.0.1:8080",
        );
        check(
            "HTTPS://Example.org:8443",
            Role::Inference,
            "https://Example.org:8443",
        );
        check("http://0.0.0.0:0", Role::Inference, "http://0.0.0.0:0");
        check("http://[::1]:8080", Role::Inference, "http://[::1]:8080");
        check("unix:/tmp/ts.sock", Role::Inference, "unix:/tmp/ts.sock");
        check("UNIX:/tmp/ts.sock", Role::Metrics, "unix:/tmp/ts.sock");
    }

    #[test]
    fn the_port_left_out_depends_on_the_role() {
        for (role, http, https) in [
            (Role::Inference, 80, 443),
            (Role::Management, 8081, 8444),
            (Role::Metrics, 8082, 8445),
            (Role::Front, 5000, 5000),
        ] {
            check("http://h", role, &format!("http://h:{http}"));
            check("https://h", role, &format!("https://h:{https}"));
        }
    }

    #[test]
    fn invalid() {
        let expected = format!("error: expected {EXPECTED}");
        for text in ["", "127.0.0.1:8080", "ftp://h", "http:/h", "grpc://h:1"] {
            check(text, Role::Inference, &expected);
        }
        let port = "error: a port is a number from 0 to 65535";
        for text in [
            "http://h:",
            "http://h:x",
            "http://h:65536",
            "http://h:1/",
            "http://h:1:2",
            "http://h:+1",
        ] {
            check(text, Role::Inference, port);
        }
        check("http://", Role::Inference, "error: there is no host");
        check("http://:80", Role::Inference, "error: there is no host");
        check(
            "http://h/",
            Role::Inference,
            "error: nothing may follow the host but :port",
        );
        check(
            "unix:relative",
            Role::Inference,
            "error: the path of a unix: address begins with /",
        );
        check(
            "http://[::1",
            Role::Inference,
            "error: an IPv6 address ends with ]",
        );
        check(
            "http://[h]:1",
            Role::Inference,
            "error: the brackets hold no IPv6 address",
        );
    }
}
