//! `?save=NODE,…`: what went into nodes and came out, as files below the folder that the configuration names.
//!
//! A request has a folder of its own, `WORKFLOW/REQUEST-ID`. There a call of a node has `NODE.out.EXT` and, for each of its
//! inputs, `NODE.in.INPUT.EXT`; of items, the indices follow the node's name.

use std::io;
use std::path::{Path, PathBuf};

use axum::http::{HeaderName, HeaderValue};
use servable::Value;
use serving::workflow::Saved;
use tracing::{error, warn};

/// Where they are, relative to the folder of the configuration.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-saved");

/// The most files of one request: a fan-out may have any number of items.
const MOST_FILES: usize = 2000;

/// Writes them, and tells where. What cannot be written costs nothing but itself, and the log says so.
pub(super) async fn write(
    folder: &Path,
    workflow: &str,
    request: &str,
    saved: Vec<Saved>,
) -> Option<HeaderValue> {
    let place = PathBuf::from(safe(workflow)).join(safe(request));
    let target = folder.join(&place);
    let shown = target.display().to_string();
    let written = tokio::task::spawn_blocking(move || write_all(&target, saved)).await;
    match written {
        Ok(Ok(())) => HeaderValue::try_from(place.display().to_string()).ok(),
        Ok(Err(failure)) => {
            error!("{shown}: the values of nodes are not saved: {failure}");
            None
        }
        Err(_) => None,
    }
}

fn write_all(folder: &Path, saved: Vec<Saved>) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut files = saved.into_iter().flat_map(|call| {
        let mut node = safe(&call.node);
        for index in &call.item {
            node.push_str(&format!("-{index}"));
        }
        let inputs = call.inputs.into_iter();
        let named = inputs.map(|(name, value)| (format!("in.{}", safe(&name)), value));
        let output = call.output.map(|value| ("out".to_owned(), value));
        named
            .chain(output)
            .map(move |(what, value)| (format!("{node}.{what}"), value))
            .collect::<Vec<_>>()
    });
    for (name, value) in files.by_ref().take(MOST_FILES) {
        let is_text = matches!(value, Value::Text(_));
        let is_file = matches!(value, Value::Bytes(_) | Value::Image(_));
        let bytes = value.into_body();
        let extension = match (is_text, is_file) {
            (true, _) => "txt",
            (_, true) => extension(&bytes),
            _ => "json",
        };
        std::fs::write(folder.join(format!("{name}.{extension}")), &bytes)?;
    }
    if files.next().is_some() {
        warn!(
            "{}: only the first {MOST_FILES} files are saved",
            folder.display()
        );
    }
    Ok(())
}

/// By the first bytes.
fn extension(bytes: &[u8]) -> &'static str {
    const KNOWN: [(&[u8], &str); 5] = [
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff", "jpg"),
        (b"GIF8", "gif"),
        (b"{", "json"),
        (b"[", "json"),
    ];
    let known = KNOWN.iter().find(|(start, _)| bytes.starts_with(start));
    known.map_or("bin", |(_, extension)| extension)
}

/// A name as a file may have it, on any system; no dot first.
fn safe(name: &str) -> String {
    let letters = name.chars().take(100).enumerate();
    let letters = letters.map(|(at, letter)| {
        let plain = letter.is_ascii_alphanumeric() || "_-".contains(letter);
        let dot = letter == '.' && at > 0;
        if plain || dot { letter } else { '_' }
    });
    let name: String = letters.collect();
    if name.is_empty() { "_".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_value_is_a_file_below_the_folder_of_its_request() {
        let folder = tempfile::tempdir().expect("a folder");
        let saved = vec![
            Saved {
                node: "crop".into(),
                item: vec![2, 0],
                inputs: vec![(
                    "image".into(),
                    Value::Bytes(b"\xff\xd8\xff.".as_slice().into()),
                )],
                output: Some(Value::Text("AB 12".into())),
            },
            Saved {
                node: "../up".into(),
                item: vec![],
                inputs: vec![],
                output: Some(Value::list([Value::Int(1)])),
            },
        ];
        let place = write(folder.path(), "../w", "id", saved).await;
        assert_eq!(place, Some(HeaderValue::from_static("_._w/id")));
        let target = folder.path().join("_._w/id");
        let mut names: Vec<String> = std::fs::read_dir(&target)
            .expect("a folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "_._up.out.json",
                "crop-2-0.in.image.jpg",
                "crop-2-0.out.txt"
            ]
        );
        let text = std::fs::read(target.join("crop-2-0.out.txt")).expect("a file");
        assert_eq!(text, b"AB 12");
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_not_told_of() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("w"), "in the way").expect("written");
        assert_eq!(write(folder.path(), "w", "id", Vec::new()).await, None);
    }
}
