//! Native functions of workflows: what stands between models, without Python. One file each.
//!
//! A function's file holds what is to be known of it ([`dag::About`], from which its page of the documentation is made),
//! the reading of its parameters, the type of its output, and the call. `native.rs` says how they are declared,
//! `parameters.rs`, `given.rs`, `path.rs` and `json.rs` what several of them share. The mathematics lie in `image-ops` and
//! `tensor-ops`, where handlers find them too.
//!
//! No graphs, no models and no requests here: specs are checked and run by `dag` and `serving`, which know functions only
//! as [`dag::Function`].

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a function takes a few kinds of values and refuses all others, those to come included"
)]

mod detection;
#[cfg(test)]
mod every;
mod given;
mod json;
mod masks;
mod native;
mod page;
mod parameters;
mod path;
mod pictures;
mod scores;
mod tensors;
#[cfg(test)]
mod testing;
mod texts;
mod values;

use std::sync::Arc;

use dag::{Catalogue, Function};
use image_ops::DecodeLimits;

use native::{Bounded, Native};

pub use page::{detail, page, table};

/// Every native function there is. The default ones take pictures within the usual bounds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Functions {
    limits: DecodeLimits,
}

impl Functions {
    /// Functions that take pictures within these bounds.
    pub fn within(limits: DecodeLimits) -> Self {
        Functions { limits }
    }
}

impl Catalogue for Functions {
    fn find(&self, name: &str) -> Option<Arc<dyn Function>> {
        let native = all().find(|native| native.about.name == name)?;
        Some(Arc::new(Bounded {
            native,
            limits: self.limits,
        }))
    }

    fn names(&self) -> Vec<&'static str> {
        all().map(|native| native.about.name).collect()
    }
}

/// Functions of one kind, as people look for them.
struct Group {
    title: &'static str,
    functions: &'static [&'static Native],
}

static GROUPS: [Group; 7] = [
    Group {
        title: "Pictures",
        functions: pictures::ALL,
    },
    Group {
        title: "Detection",
        functions: detection::ALL,
    },
    Group {
        title: "Masks",
        functions: masks::ALL,
    },
    Group {
        title: "Scores",
        functions: scores::ALL,
    },
    Group {
        title: "Texts",
        functions: texts::ALL,
    },
    Group {
        title: "Tensors",
        functions: tensors::ALL,
    },
    Group {
        title: "Values",
        functions: values::ALL,
    },
];

fn all() -> impl Iterator<Item = &'static &'static Native> {
    GROUPS.iter().flat_map(|group| group.functions)
}
