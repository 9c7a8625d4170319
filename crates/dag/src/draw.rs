//! Graphs as pictures: Mermaid text for pages that know it, and SVG that needs nothing else.
//!
//! Both show the same: nodes by kind, what flows between them, and frames around what runs once for each item.

mod layers;
mod mermaid;
mod nest;
mod picture;
mod svg;

use std::collections::HashMap;

use crate::graph::Graph;

/// A line under the name of a node, by the node's name: counts and times of a running workflow.
pub type Notes = HashMap<String, String>;

impl Graph {
    /// A Mermaid flowchart.
    pub fn to_mermaid(&self, notes: &Notes) -> String {
        mermaid::write(&picture::of(self, notes))
    }

    /// A whole SVG file, without references to anything outside it.
    pub fn to_svg(&self, notes: &Notes) -> String {
        let picture = picture::of(self, notes);
        svg::write(&picture, &nest::place(&picture))
    }
}

#[cfg(test)]
mod tests;
