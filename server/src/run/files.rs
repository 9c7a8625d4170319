//! Answers as files: what they are called, and how they come into the folder.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use servable::Output;
use serving::workflow::Workflow;

use super::overlay::Drawn;

/// What the picture with boxes and masks on it ends in.
const OVERLAY: &str = ".overlay.png";

/// The folder, and what names in it end in: one for each of the workflow's answers.
#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
    /// `None`: by what the answer turns out to be.
    endings: Vec<Option<String>>,
    overlay: bool,
    /// The pictures themselves, which no answer may replace.
    spared: Arc<HashSet<PathBuf>>,
}

/// An answer on its way into a file.
pub(super) struct Answer {
    /// Without its parameters.
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

impl Files {
    /// Makes the folder if it is not there.
    pub(super) fn new(folder: &Path, workflow: &Workflow, overlay: bool) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let named = &workflow.summary.files;
        let ending = |content_type: &Option<String>| {
            let content_type = content_type.as_deref()?;
            let named = named.iter().find(|(of, _)| of == content_type);
            Some(named.map_or_else(
                || usual(content_type).to_owned(),
                |(_, ending)| ending.clone(),
            ))
        };
        let answers = workflow.graph.answers.iter();
        Ok(Files {
            folder: folder.to_owned(),
            endings: answers.map(|answer| ending(&answer.content_type)).collect(),
            overlay,
            spared: Arc::default(),
        })
    }

    #[cfg(test)]
    pub(super) fn named(folder: &Path, endings: &[&str]) -> Self {
        Files {
            folder: folder.to_owned(),
            endings: endings
                .iter()
                .map(|ending| Some((*ending).to_owned()))
                .collect(),
            overlay: false,
            spared: Arc::default(),
        }
    }

    /// The same, which leaves these files alone, whatever an answer is called.
    pub(super) fn sparing<'p>(self, pictures: impl Iterator<Item = &'p Path>) -> Self {
        let whole = pictures.filter_map(|path| path.canonicalize().ok());
        Files {
            spared: Arc::new(whole.collect()),
            ..self
        }
    }

    /// Whether a file of that name is an answer by its ending. Those that pictures have themselves say nothing.
    pub(super) fn is_answer(&self, name: &str) -> bool {
        let known = self.endings.iter().flatten().map(String::as_str);
        let known = known.filter(|ending| ending[1..].contains('.'));
        known.chain([OVERLAY]).any(|ending| name.ends_with(ending))
    }

    /// Whether a file of that name is an answer for the picture of that stem.
    pub(super) fn is_answer_of(&self, stem: &str, name: &str) -> bool {
        let ending = name.strip_prefix(stem);
        let mut known = self.endings.iter().map(|ending| ending.as_deref());
        // Of an answer whose kind nobody knows beforehand, the usual ones.
        ending.is_some_and(|ending| {
            ending == OVERLAY
                || known.any(|known| {
                    known.map_or(USUAL.iter().any(|(_, usual)| *usual == ending), |known| {
                        known == ending
                    })
                })
        })
    }

    /// Writes the answers of one picture, and the picture that `draw` makes of them, if any. Each appears whole or not at all.
    /// Returns what is odd about the drawing.
    pub(super) fn write(
        &self,
        stem: &str,
        outputs: Vec<Output>,
        draw: impl FnOnce(&[Answer]) -> anyhow::Result<Option<Drawn>>,
    ) -> anyhow::Result<Option<String>> {
        let answers: Vec<Answer> = outputs.into_iter().map(Answer::of).collect();
        for (answer, ending) in answers.iter().zip(&self.endings) {
            let ending = ending
                .as_deref()
                .unwrap_or_else(|| usual(&answer.content_type));
            self.write_one(&format!("{stem}{ending}"), &answer.body)?;
        }
        if self.overlay
            && let Some(drawing) = draw(&answers).context("the overlay")?
        {
            self.write_one(&format!("{stem}{OVERLAY}"), &drawing.png)?;
            return Ok(drawing.warning);
        }
        Ok(None)
    }

    fn write_one(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let shown = || path.display().to_string();
        if let Ok(there) = path.canonicalize()
            && self.spared.contains(&there)
        {
            bail!(
                "its answer would replace the picture {}; another --out does not",
                path.display()
            );
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".writing-");
        // What any new file has: the user's umask decides, not the temporary file's secrecy.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(&self.folder).with_context(shown)?;
        file.write_all(content).with_context(shown)?;
        file.persist(&path).map(drop).with_context(shown)
    }
}

impl Answer {
    fn of(output: Output) -> Self {
        let content_type = output.content_type.unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default();
        Answer {
            content_type: content_type.trim().to_ascii_lowercase(),
            body: output.value.into_body(),
        }
    }
}

const USUAL: [(&str, &str); 10] = [
    ("application/json", ".json"),
    ("image/png", ".png"),
    ("image/jpeg", ".jpg"),
    ("image/gif", ".gif"),
    ("image/bmp", ".bmp"),
    ("image/webp", ".webp"),
    ("text/plain", ".txt"),
    ("text/csv", ".csv"),
    ("application/x-npy", ".npy"),
    ("", ".bin"),
];

/// What files of a content type usually end in.
fn usual(content_type: &str) -> &'static str {
    let usual = USUAL.iter().find(|(of, _)| *of == content_type);
    usual.map_or(".bin", |(_, ending)| ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_files_by_the_names_of_the_spec() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files {
            folder: folder.path().to_owned(),
            endings: vec![Some(".pseudo.png".into()), None, None],
            overlay: true,
            spared: Arc::default(),
        };
        let outputs = vec![
            Output::new(Bytes::from("png")).with_content_type("image/png"),
            Output::new("[1]").with_content_type("application/json"),
            Output::new("text").with_content_type("text/plain; charset=utf-8"),
        ];
        let drawn = files.write("cow", outputs, |answers| {
            assert_eq!(answers[1].body, "[1]");
            Ok(Some(Drawn {
                png: b"drawing".to_vec(),
                warning: Some("odd".into()),
            }))
        });
        assert_eq!(drawn.expect("written").as_deref(), Some("odd"));
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect(name);
        assert_eq!(read("cow.pseudo.png"), "png");
        assert_eq!(read("cow.json"), "[1]");
        assert_eq!(read("cow.txt"), "text");
        assert_eq!(read("cow.overlay.png"), "drawing");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 4);
        for (name, expected) in [
            ("a.pseudo.png", true),
            ("a.overlay.png", true),
            ("a.png", false),
        ] {
            assert_eq!(files.is_answer(name), expected, "{name}");
        }
        for (name, expected) in [
            ("a.pseudo.png", true),
            ("a.overlay.png", true),
            ("a.json", true),
            ("b.json", false),
            ("a.tif", false),
        ] {
            assert_eq!(files.is_answer_of("a", name), expected, "{name}");
        }
    }

    #[test]
    fn no_answer_replaces_a_picture() {
        let folder = tempfile::tempdir().expect("a folder");
        let picture = folder.path().join("reef.png");
        fs::write(&picture, "photo").expect("written");
        let files = Files::named(folder.path(), &[".png"]).sparing([&*picture].into_iter());
        let answer = || vec![Output::new("mask").with_content_type("image/png")];
        let error = files
            .write("reef", answer(), |_| Ok(None))
            .expect_err("refused");
        let text = format!("{error:#}");
        assert!(
            text.starts_with("its answer would replace the picture"),
            "{text}"
        );
        assert_eq!(fs::read_to_string(&picture).expect("there"), "photo");
        files
            .write("sand", answer(), |_| Ok(None))
            .expect("written");
    }
}
