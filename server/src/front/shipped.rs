//! The fronts that ship with the daemon, compiled in.

/// The name of the image segmenter of the Model Asset eXchange.
pub const MAX: &str = "max";

pub(super) fn document(name: &str) -> Option<&'static str> {
    (name == MAX).then_some(include_str!("../../fronts/max.yaml"))
}

/// A file that one of their documents names.
pub(super) fn file(name: &str) -> Option<&'static [u8]> {
    (name == "max/page.html").then_some(include_bytes!("../../fronts/max/page.html"))
}
