//! Where an API is: `[http://|https://]host[:port]` or `unix:/path`, as people type it and as configurations say it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// What a listener of the daemon serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Inference,
    Management,
    Metrics,
}

/// An address to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `host` is a name, or an IP address without brackets.
    Tcp {
        https: bool,
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

impl Api {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Api::Inference => "inference",
            Api::Management => "management",
            Api::Metrics => "metrics",
        }
    }

    fn usual_port(self, https: bool) -> u16 {
        let first = if https { 8443 } else { 8080 };
        match self {
            Api::Inference => first,
            Api::Management => first + 1,
            Api::Metrics => first + 2,
        }
    }
}

impl Endpoint {
    /// Reads an address; without a port it is the usual one of that API. An error says what is wrong with it, without
    /// the address.
    pub(crate) fn parse(text: &str, api: Api) -> Result<Self, String> {
        let text = text.trim();
        if let Some(path) = after(text, "unix:") {
            // `unix:///path` is how others write it.
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.starts_with('/') {
                Ok(Endpoint::Unix(PathBuf::from(path)))
            } else {
                Err("the path of a unix: address begins with /".to_owned())
            };
        }
        let (https, rest) = match (after(text, "http://"), after(text, "https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            (None, None) if text.contains("://") => {
                return Err(
                    "expected http://host[:port], https://host[:port] or unix:/path".into(),
                );
            }
            (None, None) => (false, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = host_and_port(rest)?;
        let port = match port {
            None => api.usual_port(https),
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err("a port is a number from 1 to 65535".to_owned()),
                Ok(port) => port,
            },
        };
        Ok(Endpoint::Tcp { https, host, port })
    }

    /// Where the usual port of that API is on the same machine. A socket stands for all APIs.
    pub(crate) fn beside(self, api: Api) -> Self {
        match self {
            Endpoint::Tcp { https, host, .. } => Endpoint::Tcp {
                port: api.usual_port(https),
                https,
                host,
            },
            Endpoint::Unix(path) => Endpoint::Unix(path),
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        matches!(self, Endpoint::Tcp { https: true, .. })
    }

    /// Whether what is sent there stays on this machine.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Endpoint::Unix(_) => true,
            Endpoint::Tcp { .. } => {
                let host = self.host();
                host.eq_ignore_ascii_case("localhost")
                    || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }

    /// What to connect to, and to find in a certificate. A listener on every network is reached on this machine.
    pub(crate) fn host(&self) -> String {
        match self {
            Endpoint::Unix(_) => "localhost".to_owned(),
            Endpoint::Tcp { host, .. } => match host.parse() {
                Ok(IpAddr::V4(ip)) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
                Ok(IpAddr::V6(ip)) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
                _ => host.clone(),
            },
        }
    }

    /// The `Host` header.
    pub(crate) fn authority(&self) -> String {
        let host = self.host();
        match self {
            Endpoint::Unix(_) => host,
            Endpoint::Tcp { port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Endpoint::Tcp { port, .. } => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp { https, .. } => {
                let scheme = if *https { "https" } else { "http" };
                write!(f, "{scheme}://{}", self.authority())
            }
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What follows `prefix`, whichever its case.
fn after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn host_and_port(text: &str) -> Result<(String, Option<&str>), String> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or("an IPv6 address ends with ]")?;
            host.parse::<Ipv6Addr>()
                .map_err(|_| "the brackets hold no IPv6 address")?;
            (host, rest)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest {
        "" => None,
        rest => Some(
            rest.strip_prefix(':')
                .ok_or("only :port may follow an IPv6 address")?,
        ),
    };
    if host.is_empty() {
        return Err("there is no host".to_owned());
    }
    if host.contains(|c: char| matches!(c, '/' | '?' | '#' | '@' | '%') || c.is_whitespace()) {
        return Err("nothing may follow the host but :port".to_owned());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_typed() {
        let check = |text: &str, api: Api, expected: &str| {
            let found = match Endpoint::parse(text, api) {
                Ok(endpoint) => endpoint.to_string(),
                Err(message) => format!("error: {message}"),
            };
            assert_eq!(found, expected, "{text} for {}", api.name());
        };
        check("box", Api::Inference, "http://box:8080");
        check("box", Api::Management, "http://box:8081");
        check("http://box/", Api::Metrics, "http://box:8082");
        check("https://box", Api::Inference, "https://box:8443");
        check("HTTPS://box", Api::Management, "https://box:8444");
        check("box:9", Api::Management, "http://box:9");
        check("[::1]:9", Api::Inference, "http://[::1]:9");
        check("http://[::1]", Api::Inference, "http://[::1]:8080");
        check("http://0.0.0.0:9", Api::Inference, "http://127.0.0.1:9");
        check("http://[::]:9", Api::Inference, "http://[::1]:9");
        check("unix:/tmp/s", Api::Metrics, "unix:/tmp/s");
        check("unix:///tmp/s", Api::Metrics, "unix:/tmp/s");
        let expected = "error: expected http://host[:port], https://host[:port] or unix:/path";
        check("ftp://box", Api::Inference, expected);
        check("", Api::Inference, "error: there is no host");
        check("http://:80", Api::Inference, "error: there is no host");
        let port = "error: a port is a number from 1 to 65535";
        for text in ["box:", "box:x", "box:0", "box:65536", "::1"] {
            let expected = if text == "::1" {
                "error: there is no host"
            } else {
                port
            };
            check(text, Api::Inference, expected);
        }
        let more = "error: nothing may follow the host but :port";
        check("http://box/models", Api::Inference, more);
        check("me@box", Api::Inference, more);
        let path = "error: the path of a unix: address begins with /";
        check("unix:socket", Api::Inference, path);
        check("[::1", Api::Inference, "error: an IPv6 address ends with ]");
    }

    #[test]
    fn loopback_and_sockets_are_on_this_machine() {
        let check = |text: &str, expected: bool| {
            let endpoint = Endpoint::parse(text, Api::Inference).unwrap();
            assert_eq!(endpoint.is_local(), expected, "{text}");
        };
        for text in [
            "localhost",
            "127.0.0.2:1",
            "[::1]",
            "0.0.0.0:1",
            "unix:/s",
            "LOCALHOST",
        ] {
            check(text, true);
        }
        for text in ["box", "10.0.0.1", "https://localhost.evil"] {
            check(text, false);
        }
    }
}
