//! `inspect` of a workflow: its manifest, its spec as it is written, its entries.

use std::path::Path;

use anyhow::Context;
use archive::{Limits, WorkflowListing, inspect_workflow};
use serde_json::{Value, json};

use super::{entries, entries_as_json, flat};
use crate::text;

pub(super) fn run(file: &Path, as_json: bool) -> anyhow::Result<String> {
    let listing = inspect_workflow(file, &Limits::default())?;
    let shown = file.display().to_string();
    let manifest = listing.manifest.as_ref();
    let manifest = manifest.map(|manifest| serde_json::from_str::<Value>(&manifest.to_json()));
    let manifest = manifest.transpose().context("manifest")?;
    if !as_json {
        return Ok(as_text(&shown, &listing, manifest.as_ref()));
    }
    let document = json!({
        "archive": shown,
        "format": format(&listing),
        "size": listing.size,
        "sha256": listing.sha256,
        "workflow": listing.name,
        "version": listing.version,
        "manifest": manifest,
        "specFile": listing.spec_file,
        "spec": listing.spec,
        "entries": entries_as_json(&listing.entries),
    });
    Ok(format!("{document:#}\n"))
}

fn format(listing: &WorkflowListing) -> String {
    listing
        .format
        .map_or_else(|| "spec".to_owned(), |format| format.to_string())
}

fn as_text(shown: &str, listing: &WorkflowListing, manifest: Option<&Value>) -> String {
    let mut summary = vec![
        ("archive", shown.to_owned()),
        ("format", format(listing)),
        ("size", text::size(listing.size)),
    ];
    if let Some(sha256) = &listing.sha256 {
        summary.push(("sha256", sha256.clone()));
    }
    let mut report = text::pairs(summary);
    if let Some(manifest) = manifest {
        report.push_str("\nmanifest\n");
        report.push_str(&text::pairs(flat(manifest)));
    } else {
        let name = &listing.name;
        report.push_str(&format!(
            "\nno manifest; by its file the workflow is {name}\n"
        ));
    }
    report.push_str(&format!("\nspec, {}\n", listing.spec_file));
    for line in listing.spec.lines() {
        report.push_str(format!("  {line}").trim_end());
        report.push('\n');
    }
    if !listing.entries.is_empty() {
        report.push_str("\nentries\n");
        report.push_str(&entries(&listing.entries));
    }
    report
}
