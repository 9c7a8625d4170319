//! Functions on values of any kind: picking, joining, dropping.

mod merge;
mod passthrough;
mod select;

use crate::native::Native;

pub(crate) static ALL: &[&Native] = &[
    &select::FUNCTION,
    &merge::FUNCTION,
    &merge::AGGREGATE,
    &passthrough::FUNCTION,
];
