//! The pictures that are committed under `tests/fixtures`, so that tests and readers have some without running the
//! generator: which they are, and how they are written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use thiserror::Error;

use crate::street::{self, Street};
use crate::{CLASSES, Quadrat, Substrate, Tagged, png};

/// A committed quadrat: `quadrats/<name>.png`, its truth in `quadrats/<name>.json`.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub name: &'static str,
    pub seed: u64,
    pub width: usize,
    pub height: usize,
}

/// Chosen by eye, for variety. Sides are multiples of 8; the segmenter wants multiples of 4.
pub const QUADRATS: [Sample; 6] = [
    sample("meadow", 37, 256, 256),
    sample("mixed", 69, 256, 256),
    sample("reef", 64, 320, 240),
    sample("ripples", 72, 256, 256),
    sample("boulders", 81, 320, 240),
    sample("patches", 70, 192, 256),
];

/// Seeds of the committed substrates: `substrates/<class>-<seed>.png`.
pub const SUBSTRATES: [u64; 6] = [3, 6, 1, 10, 2, 14];

/// Seeds of the committed tagged quadrats, and how many tags lie on each: `tags/<name>.png`, what they are in
/// `tags/<name>.json`.
pub const TAGGED: [(&str, u64, usize); 2] = [("one", 70, 1), ("three", 69, 3)];

/// Why a fixture could not be written.
#[derive(Debug, Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{}: cannot be encoded: {source}", path.display())]
    Encode {
        path: PathBuf,
        source: image::ImageError,
    },
}

/// Where the fixtures lie in a checkout of this workspace.
pub fn default_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

/// Writes `quadrats/`, `substrates/`, `tags/` and `street.png` into `folder`.
pub fn write_pictures(folder: &Path) -> Result<(), Error> {
    for sample in QUADRATS {
        let quadrat = sample.quadrat();
        let path = folder.join("quadrats").join(sample.name);
        write_png(
            &path.with_extension("png"),
            &quadrat.rgb,
            quadrat.width,
            quadrat.height,
        )?;
        write_json(&path.with_extension("json"), &truth(&quadrat))?;
    }
    for seed in SUBSTRATES {
        let picture = Substrate::new(seed);
        write_png(
            &folder.join(substrate_path(&picture, seed)),
            &picture.rgb,
            picture.width,
            picture.height,
        )?;
    }
    for (name, seed, tags) in TAGGED {
        let picture = Tagged::new(seed, tags);
        let path = folder.join("tags").join(name);
        write_png(
            &path.with_extension("png"),
            &picture.rgb,
            picture.width,
            picture.height,
        )?;
        write_json(&path.with_extension("json"), &tags_truth(&picture))?;
    }
    let street = Street::new(street::TEXT);
    write_png(
        &folder.join("street.png"),
        &street.rgb,
        street.width,
        street.height,
    )
}

/// Writes a file and the folders it needs.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, bytes).map_err(failed)
}

impl Sample {
    /// The picture itself, generated anew.
    pub fn quadrat(&self) -> Quadrat {
        Quadrat::sized(self.seed, self.width, self.height)
    }
}

/// The truth of a quadrat as its JSON file tells it: the share of each class by name, to six places.
fn truth(quadrat: &Quadrat) -> Value {
    let cover = CLASSES.iter().zip(quadrat.cover());
    let cover: serde_json::Map<String, Value> = cover
        .map(|(class, share)| ((*class).to_owned(), json!((share * 1e6).round() / 1e6)))
        .collect();
    json!({ "cover": cover })
}

/// What was laid on a tagged quadrat: left, top, right and bottom of each tag in pixels, and its digit.
fn tags_truth(picture: &Tagged) -> Value {
    let tags = picture.tags.iter().map(|tag| {
        let corners = [tag.left, tag.top, tag.left + tag.side, tag.top + tag.side];
        json!({ "box": corners, "digit": tag.digit })
    });
    json!({ "tags": tags.collect::<Vec<_>>() })
}

fn substrate_path(picture: &Substrate, seed: u64) -> PathBuf {
    Path::new("substrates").join(format!("{}-{seed}.png", CLASSES[picture.class]))
}

fn write_png(path: &Path, rgb: &[u8], width: usize, height: usize) -> Result<(), Error> {
    let file = png::encode(rgb, width, height).map_err(|source| Error::Encode {
        path: path.to_owned(),
        source,
    })?;
    write(path, &file)
}

fn write_json(path: &Path, value: &Value) -> Result<(), Error> {
    write(path, format!("{value:#}\n").as_bytes())
}

const fn sample(name: &'static str, seed: u64, width: usize, height: usize) -> Sample {
    Sample {
        name,
        seed,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_quadrats_are_what_their_seeds_make() {
        for sample in QUADRATS {
            let path = default_folder().join("quadrats").join(sample.name);
            let file = fs::read(path.with_extension("png")).expect(sample.name);
            let (rgb, width, height) = png::decode(&file).expect(sample.name);
            assert_eq!(
                (width, height),
                (sample.width, sample.height),
                "{}",
                sample.name
            );
            let quadrat = sample.quadrat();
            assert!(
                rgb == quadrat.rgb,
                "{}: other pixels than committed",
                sample.name
            );
            let told = fs::read(path.with_extension("json")).expect(sample.name);
            let told: Value = serde_json::from_slice(&told).expect(sample.name);
            assert_eq!(told, truth(&quadrat), "{}", sample.name);
        }
    }

    #[test]
    fn committed_substrates_are_what_their_seeds_make() {
        for seed in SUBSTRATES {
            let picture = Substrate::new(seed);
            let path = default_folder().join(substrate_path(&picture, seed));
            let file = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let decoded = png::decode(&file).expect("a PNG of ours");
            let expected = (picture.rgb, picture.width, picture.height);
            assert!(
                decoded == expected,
                "{}: other pixels than committed",
                path.display()
            );
        }
    }

    #[test]
    fn the_committed_street_is_as_drawn() {
        let file = fs::read(default_folder().join("street.png")).expect("the street");
        let street = Street::new(street::TEXT);
        let expected = (street.rgb, street.width, street.height);
        let decoded = png::decode(&file).expect("a PNG of ours");
        assert!(decoded == expected, "other pixels than committed");
    }

    #[test]
    fn committed_tags_are_what_their_seeds_make() {
        for (name, seed, tags) in TAGGED {
            let path = default_folder().join("tags").join(name);
            let picture = Tagged::new(seed, tags);
            assert_eq!(picture.tags.len(), tags, "{name}");
            let file = fs::read(path.with_extension("png")).expect(name);
            let (rgb, ..) = png::decode(&file).expect(name);
            assert!(rgb == picture.rgb, "{name}: other pixels than committed");
            let told = fs::read(path.with_extension("json")).expect(name);
            let told: Value = serde_json::from_slice(&told).expect(name);
            assert_eq!(told, tags_truth(&picture), "{name}");
        }
    }
}
