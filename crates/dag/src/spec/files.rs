//! `files:` of a spec: what answers are called when they are written into a folder.

use super::fields::{members, text};
use super::{At, OutputSpec};
use crate::problem::{About, Report};
use crate::yaml::Tree;

/// Content type and end of the file's name, in the order of the spec.
pub(super) fn read(
    tree: &Tree,
    output: Option<&At<OutputSpec>>,
    report: &mut Report,
) -> Vec<(String, String)> {
    let at = About::at(tree.place).field("files");
    let types: Vec<&str> = match output.map(|output| &output.value) {
        Some(OutputSpec::Types(forms)) => forms.iter().map(|(key, _)| key.name.as_str()).collect(),
        Some(OutputSpec::One(_) | OutputSpec::Named(_)) | None => Vec::new(),
    };
    let mut files: Vec<(String, String)> = Vec::new();
    for (key, tree) in members(tree, at, "it", report).unwrap_or_default() {
        if !types.contains(&key.name.as_str()) {
            let near = report.nearest(&key.name, types.iter().copied());
            let name = &key.name;
            report.error(
                at.place(key.place),
                format!("`output` has no content type `{name}`{near}"),
            );
            continue;
        }
        let Some(suffix) = text(tree, at.place(tree.place), report) else {
            continue;
        };
        let suffix = suffix.value;
        let sound = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if !suffix.starts_with('.') || suffix.len() > 64 || !suffix.chars().all(sound) {
            report.error(
                at.place(tree.place),
                format!(
                    "`{suffix}` cannot end a file's name: expected a dot, then letters, digits, `.`, `_` and `-`"
                ),
            );
        } else if files.iter().any(|(_, taken)| *taken == suffix) {
            report.error(
                at.place(tree.place),
                format!("`{suffix}` stands there twice, and one file would replace the other"),
            );
        } else {
            files.push((key.name.clone(), suffix));
        }
    }
    files
}
