//! The key `fronts`: which fronts are opened, and where.

use super::Env;
use super::address::{Address, Role};
use super::reader::Reader;
use super::report::{Origin, quote};
use crate::front::Front;

/// `what[=address]` between commas, where `what` is the name of a shipped front or the file of a document.
pub(super) fn fronts(reader: &mut Reader<'_>, env: &Env<'_>) -> Vec<Front> {
    let Some(setting) = reader.setting("fronts") else {
        return Vec::new();
    };
    let mut fronts = Vec::new();
    let entries = setting.value.split(',').map(str::trim);
    for entry in entries.filter(|entry| !entry.is_empty()) {
        match open(entry, reader, env) {
            Ok(front) => fronts.push(front),
            Err(message) => reader
                .report
                .error(&setting.origin, Some("fronts"), message),
        }
    }
    fronts
}

fn open(entry: &str, reader: &mut Reader<'_>, env: &Env<'_>) -> Result<Front, String> {
    let (what, address) = match entry.split_once('=') {
        Some((what, address)) => (what.trim(), Some(address.trim())),
        None => (entry, None),
    };
    let (mut front, unfit) = Front::open(what, reader.cwd(), env).map_err(|error| {
        format!("{what}: {error}").replace(&format!("{what}: {what}: "), &format!("{what}: "))
    })?;
    if let Some(address) = address {
        front.address = Address::parse(address, Role::Front)
            .map_err(|message| format!("{what}: invalid address {}: {message}", quote(address)))?;
    }
    for unfit in unfit {
        reader.report.warn(
            &Origin::Env(unfit.variable),
            None,
            format!("expected {}, found {}", unfit.expected, quote(&unfit.found)),
            format!("the default {} is used", unfit.default),
        );
    }
    Ok(front)
}
