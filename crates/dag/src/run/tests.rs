//! Small graphs written down, and large ones made up: what is called, when, with what, and what comes of it.

use super::*;

mod build;
mod cases;
mod items;
mod naive;
mod properties;
mod values;
