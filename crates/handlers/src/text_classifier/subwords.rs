//! Texts through a `tokenizer.json`, for networks that read token numbers and a mask.

use std::path::{Path, PathBuf};

use servable::{BatchError, JobError, LoadError, Value};
use tokenizers::{Tokenizer, TruncationParams};

use super::int_tensor;
use crate::ModelContext;
use crate::parameters::Parameters;

const FILE: &str = "tokenizer.json";

/// What most text networks read at once; a text beyond it is cut.
const MAX_LENGTH: usize = 512;

pub(crate) struct Subwords {
    tokenizer: Tokenizer,
    arguments: Vec<Argument>,
    /// The number that fills short texts.
    pad_id: i64,
    /// The length every text is filled to, instead of that of the longest text in the batch.
    fixed_length: Option<usize>,
}

/// An argument of the network, each `[texts, length]` of int64.
#[derive(Debug, Clone, Copy)]
enum Argument {
    InputIds,
    AttentionMask,
    TokenTypeIds,
}

const ARGUMENTS: [(&str, Argument); 3] = [
    ("input_ids", Argument::InputIds),
    ("attention_mask", Argument::AttentionMask),
    ("token_type_ids", Argument::TokenTypeIds),
];

/// The archive's tokenizer, unless the settings name a vocabulary that is not one.
pub(crate) fn find(context: &ModelContext<'_>, named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => path.ends_with(FILE).then(|| path.to_owned()),
        None => Some(context.dir.join(FILE)).filter(|path| path.is_file()),
    }
}

impl Subwords {
    pub(crate) fn load(path: &Path, parameters: &Parameters<'_>) -> Result<Self, LoadError> {
        let invalid = |error: tokenizers::Error| {
            let reason = error.to_string().lines().collect::<Vec<_>>().join(" ");
            LoadError::Invalid(format!("{FILE}: {reason}"))
        };
        let mut tokenizer = Tokenizer::from_file(path).map_err(invalid)?;
        let written = tokenizer.get_truncation().cloned();
        let max_length = parameters
            .count("max_length")?
            .or(written.as_ref().map(|written| written.max_length))
            .unwrap_or(MAX_LENGTH);
        let truncation = TruncationParams {
            max_length,
            ..written.unwrap_or_default()
        };
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(invalid)?;
        let pad_id = tokenizer
            .get_padding()
            .map(|padding| padding.pad_id)
            .or_else(|| {
                let mut names = ["[PAD]", "<pad>"].into_iter();
                names.find_map(|name| tokenizer.token_to_id(name))
            });
        // Filling is ours to do, for it depends on the batch.
        tokenizer.with_padding(None);
        let to_longest = parameters
            .choice("padding", &[("longest", true), ("max_length", false)])?
            .unwrap_or(true);
        Ok(Subwords {
            tokenizer,
            arguments: arguments(parameters)?,
            pad_id: pad_id.unwrap_or(0).into(),
            fixed_length: (!to_longest).then_some(max_length),
        })
    }

    pub(crate) fn ids(&self, text: &str) -> Result<Vec<i64>, JobError> {
        let encoding = self.tokenizer.encode_fast(text, true).map_err(|error| {
            JobError::bad_input(format!("the text cannot be tokenized: {error}"))
        })?;
        Ok(encoding.get_ids().iter().map(|id| i64::from(*id)).collect())
    }

    pub(crate) fn arguments(&self, texts: &[&[i64]]) -> Result<Vec<Value>, BatchError> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        // A network cannot read a text of no tokens; a filler is read as nothing.
        let length = self.fixed_length.unwrap_or(longest).max(1);
        self.arguments
            .iter()
            .map(|argument| {
                let mut numbers = Vec::with_capacity(texts.len() * length);
                for text in texts {
                    let end = numbers.len() + length;
                    let filler = match argument {
                        Argument::InputIds => {
                            numbers.extend_from_slice(text);
                            self.pad_id
                        }
                        Argument::AttentionMask => {
                            numbers.extend(text.iter().map(|_| 1));
                            0
                        }
                        Argument::TokenTypeIds => 0,
                    };
                    numbers.resize(end, filler);
                }
                int_tensor(vec![texts.len(), length], numbers).map(Value::Tensor)
            })
            .collect()
    }
}

fn arguments(parameters: &Parameters<'_>) -> Result<Vec<Argument>, LoadError> {
    let Some(names) = parameters.texts("arguments")? else {
        return Ok(vec![Argument::InputIds, Argument::AttentionMask]);
    };
    if names.is_empty() {
        return Err(parameters.refuse("arguments", "expected at least one"));
    }
    names
        .into_iter()
        .map(|name| {
            let found = ARGUMENTS.iter().find(|(known, _)| *known == name);
            found.map(|(_, argument)| *argument).ok_or_else(|| {
                let known: Vec<_> = ARGUMENTS.iter().map(|(known, _)| *known).collect();
                parameters.refuse(
                    "arguments",
                    format!("expected some of {}, found `{name}`", known.join(", ")),
                )
            })
        })
        .collect()
}
