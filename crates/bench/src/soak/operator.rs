//! The operator of a soak: registers, scales, sets defaults and unregisters beside the load, and knows what each call
//! has to answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::clients::Tally;
use crate::client::Client;

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(20);

/// A round: from no guest to two versions of it and back. Name, method, path, status.
const ROUND: [(&str, &str, &str, u16); 12] = [
    (
        REGISTER,
        "POST",
        "/models?url=guest-1.mar&initial_workers=1",
        200,
    ),
    (
        REGISTER,
        "POST",
        "/models?url=guest-2.mar&initial_workers=1",
        200,
    ),
    (
        "operator: registers it twice: 409",
        "POST",
        "/models?url=guest-1.mar",
        409,
    ),
    (DEFAULT, "PUT", "/models/guest/2.0/set-default", 200),
    (
        SCALE,
        "PUT",
        "/models/guest/1.0?min_worker=2&max_worker=2&synchronous=true",
        200,
    ),
    (
        SCALE,
        "PUT",
        "/models/keyed?min_worker=2&max_worker=2&synchronous=true",
        200,
    ),
    (
        SCALE,
        "PUT",
        "/models/guest/1.0?min_worker=0&max_worker=0",
        202,
    ),
    (DESCRIBE, "GET", "/models/guest/all", 200),
    (
        SCALE,
        "PUT",
        "/models/keyed?min_worker=1&max_worker=1&synchronous=true",
        200,
    ),
    (UNREGISTER, "DELETE", "/models/guest/1.0", 200),
    (SCALE, "PUT", "/models/guest?min_worker=2", 202),
    (UNREGISTER, "DELETE", "/models/guest", 200),
];

const REGISTER: &str = "operator: registers";
const DEFAULT: &str = "operator: sets the default version";
const SCALE: &str = "operator: scales";
const DESCRIBE: &str = "operator: describes";
const UNREGISTER: &str = "operator: unregisters";

/// Goes round until `stop`, and ends with a whole round.
pub(super) fn manage(address: SocketAddr, stop: &AtomicBool) -> Tally {
    let mut connection = Client::new(address);
    let mut tally = Tally::default();
    while !stop.load(Ordering::Relaxed) {
        for (name, method, path, due) in ROUND {
            let outcome = match connection.send(method, path, b"") {
                Ok(reply) if reply.status == due => Ok(()),
                Ok(reply) => Err(format!(
                    "{path} answered {}: {}",
                    reply.status,
                    reply.text()
                )),
                Err(error) => Err(format!("{path}: {error:#}")),
            };
            tally.count(name, outcome);
            thread::sleep(PAUSE);
        }
    }
    tally
}
