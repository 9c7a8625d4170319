//! `import-paddle-seg`: a segmenter as PaddleSeg services are given it becomes an archive of ours.
//!
//! The artifact is a gzip-compressed tar of `deploy.yaml` (the network's file and the transforms before it), `meta.json` (the
//! classes) and the network. `deploy.rs` and `classes.rs` read the two, `config.rs` writes the handler's graph of them.
//! What is wrong is said before anything is written.

mod classes;
mod config;
mod deploy;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use archive::{ArchiveFormat, Limits, PackOptions, Plan};
use serde_json::{Value, json};
use thiserror::Error;

use crate::packing;
use classes::Classes;
use deploy::Deploy;

/// Makes a model of a PaddleSeg artifact (.tgz of deploy.yaml, meta.json and a network).
///
/// The network has to be TorchScript; it takes `[n, 3, height, width]` and gives class numbers `[n, height, width]` or scores
/// `[n, classes, height, width]`. The model answers `{mask, classes, palette, model}`; the workflow `cover` makes shares and a
/// pseudo-colour picture of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The artifact
    file: PathBuf,
    /// Name of the model, and of the archive; that of meta.json if left out
    #[arg(long)]
    model_name: Option<String>,
    /// Version of the model
    #[arg(short, long, default_value = "1.0")]
    version: String,
    /// How many classes there are, where meta.json says neither their names nor their number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    classes: Option<u16>,
    /// Folder to write to, made if absent
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = ".",
        hide_default_value = true
    )]
    export_path: PathBuf,
    /// Replace an archive that is already there
    #[arg(short, long)]
    force: bool,
}

/// Why an artifact is no model. One line: archive, file in it, key, what is wrong there.
#[derive(Debug, Error)]
enum ImportError {
    #[error("{0}")]
    Archive(#[from] archive::ArchiveError),
    #[error("{archive}: {file}: {problems}")]
    File {
        archive: String,
        file: &'static str,
        problems: String,
    },
}

const DEPLOY: &str = "deploy.yaml";
const META: &str = "meta.json";
/// No honest one is larger.
const MOST_TEXT: u64 = 1 << 20;

pub(crate) fn run(args: Args) -> anyhow::Result<String> {
    let staging = tempfile::tempdir().context("a folder for unpacked files")?;
    let artifact = archive::open(&args.file, staging.path(), &Limits::default())?;
    let shown = args.file.display().to_string();
    let failed = |file: &'static str| {
        let archive = shown.clone();
        move |problems: String| ImportError::File {
            archive,
            file,
            problems,
        }
    };
    let text = |file: &'static str| {
        let path = artifact.file(file).map_err(ImportError::from)?;
        read_text(&path).map_err(failed(file))
    };
    let deploy = Deploy::read(&text(DEPLOY)?).map_err(failed(DEPLOY))?;
    let meta: Value = serde_json::from_str(&text(META)?)
        .map_err(|error| failed(META)(format!("it is not JSON: {error}")))?;
    let classes = Classes::read(&meta, args.classes.map(usize::from)).map_err(failed(META))?;
    let network = artifact
        .file(&deploy.model)
        .map_err(|error| failed(DEPLOY)(format!("Deploy.model: {}", inside(&error))))?;
    handlers::weights::check(artifact.dir(), Some(&network))
        .map_err(|error| failed(DEPLOY)(format!("Deploy.model: {error}")))?;

    let called = meta["name"]
        .as_str()
        .map_or_else(|| stem(&args.file), sound);
    let card = json!({
        "name": meta["name"].as_str().unwrap_or(&called),
        "artifact": args.file.file_name().map(|name| name.to_string_lossy()),
        "sha256": artifact.sha256(),
    });
    let config = staging.path().join("model-config.yaml");
    fs::write(&config, config::text(&deploy, &classes, &card))
        .with_context(|| config.display().to_string())?;
    let options = PackOptions {
        model_name: args.model_name.unwrap_or(called),
        version: args.version,
        handler: "pipeline".into(),
        serialized_file: Some(network),
        // As they came, for whoever wants to know what the model was made of.
        extra_files: Some(
            [DEPLOY, META]
                .map(|name| artifact.dir().join(name).display().to_string())
                .join(","),
        ),
        config_file: Some(config),
        export_path: args.export_path,
        format: ArchiveFormat::Zip,
        force: args.force,
        created_at: packing::created_at()?.or_else(|| modified(&args.file)),
        ..PackOptions::default()
    };
    packing::run(&Plan::check(options)?, None)
}

fn read_text(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MOST_TEXT {
        return Err(format!("it has {size} bytes, and {MOST_TEXT} are the most"));
    }
    let text = fs::read_to_string(path);
    text.map_err(|error| format!("it is no text: {error}"))
}

/// What is wrong with a name, without the archive's own.
fn inside(error: &archive::ArchiveError) -> String {
    if let archive::ArchiveError::File { name, detail, .. } = error {
        return format!("`{name}`: {detail}");
    }
    error.to_string()
}

/// A name as archives may have it.
fn sound(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter {
        plain if plain.is_ascii_alphanumeric() || "_-.".contains(plain) => plain,
        _ => '_',
    });
    let name: String = letters.collect();
    let name = name.trim_start_matches(|first: char| !first.is_ascii_alphanumeric());
    if name.is_empty() {
        "segmenter".into()
    } else {
        name.into()
    }
}

fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    sound(name.split('.').next().unwrap_or_default())
}

/// Seconds since 1970: the same artifact gives the same bytes.
fn modified(file: &Path) -> Option<u64> {
    let modified = fs::metadata(file).ok()?.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_names_of_archives() {
        for (name, expected) in [
            ("deeplab_mnv2", "deeplab_mnv2"),
            ("Reef cover, 2023", "Reef_cover__2023"),
            ("../up", "up"),
            ("ä", "segmenter"),
        ] {
            assert_eq!(sound(name), expected);
        }
        assert_eq!(stem(Path::new("a/model.tar.gz")), "model");
    }
}
