//! Keeps downloads off networks that are not public, at the place that cannot be got around: the addresses that a
//! connection is really made to. A name that resolves to something else the next time gains nothing.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

use crate::address::is_public;
use crate::error::Cause;

/// Resolves names as the system does, and lets public addresses through.
#[derive(Debug)]
pub(crate) struct PublicOnly;

/// What the resolver says where it lets none through; [`refusal`] finds it in what the client makes of it.
#[derive(Debug, Error)]
#[error("{host} has the address {address}, which is not public")]
struct NotPublic {
    host: String,
    address: IpAddr,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            // The port is the client's to fill in.
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(public(&host, found)?)
        })
    }
}

fn public(host: &str, found: Vec<SocketAddr>) -> Result<Addrs, NotPublic> {
    let (public, others): (Vec<SocketAddr>, Vec<SocketAddr>) =
        found.into_iter().partition(|found| is_public(found.ip()));
    match others.first() {
        Some(other) if public.is_empty() => Err(NotPublic {
            host: host.to_owned(),
            address: other.ip(),
        }),
        _ => Ok(Box::new(public.into_iter())),
    }
}

/// Refuses a url whose host is an address that is not public: no resolver is asked about those.
pub(crate) fn check_literal(url: &Url) -> Result<(), Cause> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if is_public(address) {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    Err(Cause::Private { host, address })
}

/// The resolver's refusal, if that is what an error comes from.
pub(crate) fn refusal(error: &(dyn std::error::Error + 'static)) -> Option<Cause> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(NotPublic { host, address }) = error.downcast_ref() {
            return Some(Cause::Private {
                host: host.clone(),
                address: *address,
            });
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_urls_are_seen_in_any_spelling() {
        let check = |host: &str, expected: bool| {
            let url = Url::parse(&format!("http://{host}/m.mar")).expect("a url");
            assert_eq!(check_literal(&url).is_ok(), expected, "{host}");
        };
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "10.0.0.1:8080",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[fe80::1]",
            "169.254.169.254",
            "１２７.0.0.1",
        ] {
            check(host, false);
        }
        for host in ["1.1.1.1", "[2606:4700::1111]:80", "example.org"] {
            check(host, true);
        }
    }

    #[test]
    fn of_several_addresses_only_the_public_are_used() {
        let check = |found: &str, expected: Result<&str, &str>| {
            let addresses = found
                .split_whitespace()
                .map(|text| SocketAddr::new(text.parse().expect("an address"), 0))
                .collect();
            let passed = public("h", addresses)
                .map(|addresses| {
                    let texts: Vec<String> =
                        addresses.map(|found| found.ip().to_string()).collect();
                    texts.join(" ")
                })
                .map_err(|error| error.to_string());
            assert_eq!(
                passed.as_deref().map_err(String::as_str),
                expected,
                "{found}"
            );
        };
        check("1.1.1.1 2606:4700::1111", Ok("1.1.1.1 2606:4700::1111"));
        check("10.0.0.1 1.1.1.1 ::1", Ok("1.1.1.1"));
        check(
            "10.0.0.1 ::1",
            Err("h has the address 10.0.0.1, which is not public"),
        );
        check("", Ok(""));
    }
}
