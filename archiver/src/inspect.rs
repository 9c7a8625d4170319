//! `inspect`: what is in an archive, for people or as JSON. Nothing is unpacked.

use std::path::PathBuf;

use anyhow::Context;
use archive::{Entry, Limits, Listing};
use serde_json::{Value, json};

use crate::text;

mod workflow;

/// Shows what is in an archive, without unpacking it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An archive file, or a packed folder
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    if archive::is_workflow(&args.file, &Limits::default())? {
        return workflow::run(&args.file, args.json);
    }
    let listing = archive::inspect(&args.file, &Limits::default())?;
    let shown = args.file.display().to_string();
    if args.json {
        return Ok(format!("{:#}\n", as_json(&shown, &listing)?));
    }
    as_text(&shown, &listing)
}

fn as_json(shown: &str, listing: &Listing) -> anyhow::Result<Value> {
    Ok(json!({
        "archive": shown,
        "format": listing.format.to_string(),
        "size": listing.size,
        "sha256": listing.sha256,
        "hasManifest": listing.has_manifest,
        "manifest": manifest(listing)?,
        "config": config(listing)?,
        "configWarnings": listing.config.as_ref().map(|config| &config.warnings),
        "entries": entries_as_json(&listing.entries),
    }))
}

fn entries_as_json(entries: &[Entry]) -> Vec<Value> {
    let as_json = |entry: &Entry| {
        json!({
            "name": entry.name,
            "folder": entry.folder,
            "size": entry.size,
            "packedSize": entry.packed,
        })
    };
    entries.iter().map(as_json).collect()
}

fn as_text(shown: &str, listing: &Listing) -> anyhow::Result<String> {
    let mut summary = vec![
        ("archive", shown.to_owned()),
        ("format", listing.format.to_string()),
        ("size", text::size(listing.size)),
    ];
    if let Some(sha256) = &listing.sha256 {
        summary.push(("sha256", sha256.clone()));
    }
    let mut report = text::pairs(summary);

    report.push_str(if listing.has_manifest {
        "\nmanifest\n"
    } else {
        "\nno manifest; the defaults are\n"
    });
    let manifest = manifest(listing)?;
    report.push_str(&text::pairs(flat(&manifest)));

    if let (Some(config), Some(document)) = (&listing.config, config(listing)?) {
        let file = listing.manifest.model.config_file.as_deref();
        report.push_str(&format!("\nconfiguration, {}\n", file.unwrap_or_default()));
        report.push_str(&text::pairs(flat(&document)));
        for warning in &config.warnings {
            report.push_str(&format!("  warning: {warning}\n"));
        }
    }
    report.push_str("\nentries\n");
    report.push_str(&entries(&listing.entries));
    Ok(report)
}

/// One line per entry: size, size in the archive, name.
fn entries(entries: &[Entry]) -> String {
    let mut report = String::new();
    let packs = entries.iter().any(|entry| entry.packed.is_some());
    for entry in entries {
        let (size, packed) = if entry.folder {
            (String::new(), String::new())
        } else {
            let packed = entry.packed.map(text::size).unwrap_or_default();
            (text::size(entry.size), packed)
        };
        let slash = if entry.folder { "/" } else { "" };
        report.push_str(&if packs {
            format!("  {size:>11} {packed:>11}  {}{slash}\n", entry.name)
        } else {
            format!("  {size:>11}  {}{slash}\n", entry.name)
        });
    }
    let files = entries.iter().filter(|entry| !entry.folder);
    let (count, total) = files.fold((0, 0), |(count, total), entry| {
        (count + 1, total + entry.size)
    });
    let noun = if count == 1 { "file" } else { "files" };
    report.push_str(&format!("  {:>11}  in {count} {noun}", text::size(total)));
    if packs {
        report.push_str(", the second column as packed");
    }
    report.push('\n');
    report
}

fn manifest(listing: &Listing) -> anyhow::Result<Value> {
    serde_json::from_str(&listing.manifest.to_json()).context("manifest")
}

fn config(listing: &Listing) -> anyhow::Result<Option<Value>> {
    let Some(config) = &listing.config else {
        return Ok(None);
    };
    serde_json::to_value(&config.document)
        .map(Some)
        .map_err(|error| anyhow::anyhow!("the model configuration has no JSON form: {error}"))
}

/// An object's members as rows; the manifest's `model` or `workflow` is opened, anything deeper stays JSON.
fn flat(object: &Value) -> Vec<(&str, String)> {
    let mut rows = Vec::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => rows.push((key.as_str(), text.clone())),
            Value::Object(_) if key == "model" || key == "workflow" => rows.extend(flat(value)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => rows.push((key.as_str(), value.to_string())),
        }
    }
    rows
}
