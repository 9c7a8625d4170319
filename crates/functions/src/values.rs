//! Functions on values of any kind: picking, joining, dropping.

mod encode_json;
mod filter;
mod merge;
mod passthrough;
mod select;
mod sha256;

use crate::native::Native;

pub(crate) static ALL: &[&Native] = &[
    &select::FUNCTION,
    &merge::FUNCTION,
    &merge::AGGREGATE,
    &filter::FUNCTION,
    &encode_json::FUNCTION,
    &passthrough::FUNCTION,
    &sha256::FUNCTION,
];
