//! Tokens to numbers, from a JSON or text file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use servable::LoadError;

use crate::ModelContext;

/// Where a vocabulary is looked for when the settings name none.
const FILES: [&str; 4] = [
    "source_vocab.json",
    "source_vocab.txt",
    "vocab.json",
    "vocab.txt",
];

/// TorchServe's own file: a pickled torchtext object.
const PICKLED: &str = "source_vocab.pt";

/// The token whose number stands for every unknown token.
const UNKNOWN: &str = "<unk>";

#[derive(Debug)]
pub(crate) struct Vocabulary {
    ids: HashMap<String, i64>,
    unknown: Option<i64>,
}

impl Vocabulary {
    /// The file that the settings name, else one of the usual names.
    pub(crate) fn load(
        context: &ModelContext<'_>,
        named: Option<&Path>,
    ) -> Result<Self, LoadError> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => find(context)?,
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is = |suffix| path.extension().is_some_and(|found| found == suffix);
        if is("pt") || is("pth") || is("pkl") {
            return Err(pickled(&name));
        }
        let invalid = |reason: String| LoadError::Invalid(format!("{name}: {reason}"));
        let text = std::fs::read_to_string(&path)
            .map_err(|error| invalid(format!("cannot be read as text: {error}")))?;
        let ids = if is("json") {
            let json = serde_json::from_str(&text)
                .map_err(|error| invalid(format!("not JSON: {error}")))?;
            from_json(json).map_err(invalid)?
        } else {
            numbered(text.lines().map(str::to_owned))
        };
        Ok(Vocabulary {
            unknown: ids.get(UNKNOWN).copied(),
            ids,
        })
    }

    /// The token's number, or that of `<unk>`; a token that has neither is left out of the text.
    pub(crate) fn id(&self, token: &str) -> Option<i64> {
        self.ids.get(token).copied().or(self.unknown)
    }
}

fn find(context: &ModelContext<'_>) -> Result<PathBuf, LoadError> {
    let found = FILES
        .iter()
        .map(|name| context.dir.join(name))
        .find(|path| path.is_file());
    match found {
        Some(path) => Ok(path),
        None if context.dir.join(PICKLED).is_file() => Err(pickled(PICKLED)),
        None => Err(LoadError::Invalid(format!(
            "text_classifier needs a vocabulary: the archive has none of tokenizer.json, {}",
            FILES.join(", ")
        ))),
    }
}

fn pickled(name: &str) -> LoadError {
    LoadError::Unsupported(format!(
        "{name}: a pickled vocabulary is Python code that only Python can run; convert it where torchtext is installed and \
         archive the result: python -c \"import json, torch; v = torch.load('{name}', weights_only=False); \
         json.dump(dict(getattr(v, 'get_stoi', lambda: v.stoi)()), open('source_vocab.json', 'w'))\""
    ))
}

/// `{"token": 0, …}` or `["token", …]`.
fn from_json(json: Json) -> Result<HashMap<String, i64>, String> {
    match json {
        Json::Object(members) => members
            .into_iter()
            .map(|(token, id)| match id.as_i64().filter(|id| *id >= 0) {
                Some(id) => Ok((token, id)),
                None => Err(format!(
                    "key `{token}`: expected a number from 0 on, found {id}"
                )),
            })
            .collect(),
        Json::Array(tokens) => {
            let tokens = tokens
                .into_iter()
                .enumerate()
                .map(|(index, token)| match token.as_str() {
                    Some(text) => Ok(text.to_owned()),
                    None => Err(format!("[{index}]: expected a token, found {token}")),
                })
                .collect::<Result<Vec<_>, _>>()?;
            Ok(numbered(tokens))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            Err("expected an object of tokens and numbers, or a list of tokens".into())
        }
    }
}

/// Each token by its place; of a token that stands twice, the first place.
fn numbered(tokens: impl IntoIterator<Item = String>) -> HashMap<String, i64> {
    let mut ids = HashMap::new();
    for (id, token) in tokens.into_iter().enumerate() {
        ids.entry(token).or_insert(id as i64);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, text: &str) -> Result<Vocabulary, LoadError> {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(name), text).expect("a file");
        Vocabulary::load(&ModelContext::new(dir.path()), None)
    }

    fn check(name: &str, text: &str, expected: &[(&str, Option<i64>)]) {
        let vocabulary = load(name, text).expect("a vocabulary");
        for (token, id) in expected {
            assert_eq!(vocabulary.id(token), *id, "{token}");
        }
    }

    #[test]
    fn all_forms_of_the_file() {
        let expected = [("a b", Some(2)), ("x", Some(0)), ("b", Some(1))];
        check(
            "source_vocab.json",
            r#"{"<unk>": 0, "b": 1, "a b": 2}"#,
            &expected,
        );
        check("vocab.json", r#"["<unk>", "b", "a b", "b"]"#, &expected);
        check("source_vocab.txt", "<unk>\nb\r\na b\n", &expected);
        check("vocab.txt", "a\nb\n", &[("b", Some(1)), ("x", None)]);
    }

    fn check_refused(name: &str, text: &str, expected: &str) {
        let error = load(name, text).expect_err("refused").to_string();
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    #[test]
    fn what_is_no_vocabulary_is_refused() {
        check_refused(
            "other.txt",
            "",
            "text_classifier needs a vocabulary: the archive has none of",
        );
        check_refused(
            "vocab.json",
            r#"{"a": -1}"#,
            "vocab.json: key `a`: expected a number from 0 on, found -1",
        );
        check_refused(
            "vocab.json",
            "[1]",
            "vocab.json: [0]: expected a token, found 1",
        );
        check_refused("vocab.json", "{", "vocab.json: not JSON: ");
        check_refused(
            "source_vocab.pt",
            "PK",
            "source_vocab.pt: a pickled vocabulary is Python code",
        );
    }
}
