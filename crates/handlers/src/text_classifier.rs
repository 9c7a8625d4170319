//! A text to the probability of each class.
//!
//! TorchServe's handler of that name: the text is cleaned (`cleaning.rs`), cut into words and runs of words
//! (`ngrams.rs`), looked up (`vocabulary.rs`), and the network, an embedding bag, is called with the numbers of all texts
//! one after the other and the offset at which each text begins, so that any number of requests share one run. An archive
//! with a `tokenizer.json` gets that tokenizer instead (`subwords.rs`).

mod cleaning;
mod ngrams;
mod subwords;
mod vocabulary;

use std::num::NonZeroUsize;

use servable::{
    BatchError, Input, JobError, LoadError, Output, Reason, Signature, Tensor, Type, Value,
};
use tensor_ops::softmax;

use crate::base_handler::part;
use crate::batch::{check_rows, mismatched, refuse_explanation};
use crate::labels::Labels;
use crate::parameters::Parameters;
use crate::scores::class_scores;
use crate::signature::of_payload;
use crate::tensors::{main_tensor, rows};
use crate::{Handler, ModelContext, Network};
use subwords::Subwords;
use vocabulary::Vocabulary;

pub(crate) struct TextClassifier {
    tokens: Tokens,
    labels: Labels,
}

enum Tokens {
    Words {
        vocabulary: Vocabulary,
        /// The longest run of words that counts as a token.
        ngrams: usize,
    },
    Subwords(Box<Subwords>),
}

impl TextClassifier {
    pub(crate) fn load(context: &ModelContext<'_>) -> Result<Self, LoadError> {
        let parameters = Parameters::read(context)?;
        let named = parameters.file("vocabulary")?;
        let tokens = match subwords::find(context, named.as_deref()) {
            Some(path) => Tokens::Subwords(Box::new(Subwords::load(&path, &parameters)?)),
            None => Tokens::Words {
                vocabulary: Vocabulary::load(context, named.as_deref())?,
                ngrams: parameters.count("ngrams")?.unwrap_or(2),
            },
        };
        let handler = TextClassifier {
            tokens,
            labels: Labels::load(context, &parameters)?,
        };
        parameters.finish()?;
        Ok(handler)
    }

    fn preprocess(&self, input: &Input) -> Result<Vec<i64>, JobError> {
        refuse_explanation(input)?;
        let text = text(input)?;
        match &self.tokens {
            Tokens::Words { vocabulary, ngrams } => {
                let clean = cleaning::clean(&text);
                let words = cleaning::words(&clean);
                Ok(ngrams::tokens(&words, *ngrams)
                    .filter_map(|token| vocabulary.id(&token))
                    .collect())
            }
            Tokens::Subwords(subwords) => subwords.ids(&text),
        }
    }

    fn arguments(&self, texts: &[&[i64]]) -> Result<Vec<Value>, BatchError> {
        match &self.tokens {
            Tokens::Words { .. } => bag(texts),
            Tokens::Subwords(subwords) => subwords.arguments(texts),
        }
    }

    fn postprocess(&self, result: &Value) -> Result<Output, JobError> {
        let scores = main_tensor(result, &["logits", "out"])?;
        let probabilities = softmax(&class_scores(scores)?);
        Ok(Output::new(
            self.labels
                .answer(probabilities.into_iter().enumerate().collect()),
        ))
    }
}

impl Handler for TextClassifier {
    fn predict(
        &mut self,
        network: &mut dyn Network,
        inputs: &[Input],
        threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        let prepared: Vec<_> = inputs.iter().map(|input| self.preprocess(input)).collect();
        let texts: Vec<_> = prepared.iter().flatten().map(Vec::as_slice).collect();
        let total = texts.len();
        let result = if total == 0 {
            Value::Null
        } else {
            let arguments = self.arguments(&texts)?;
            let result = network.forward(&arguments, threads)?;
            check_rows(&result, total)?;
            result
        };
        let mut row = 0;
        prepared
            .into_iter()
            .map(|text| {
                if let Err(error) = text {
                    return Ok(Err(error));
                }
                let part = rows(&result, row).ok_or_else(|| mismatched(&result, total))?;
                row += 1;
                Ok(self.postprocess(&part))
            })
            .collect()
    }

    fn signature(&self) -> Signature {
        of_payload(Type::Any, Type::Json)
    }

    fn labels(&self) -> Vec<String> {
        self.labels.names()
    }

    fn example(&self) -> Option<Input> {
        Some(Input::body(
            "text/plain",
            "An example of what somebody might write.",
        ))
    }
}

/// The text of a request: text, UTF-8 bytes, a JSON string, or the member `text` or `data` of a JSON object.
fn text(input: &Input) -> Result<String, JobError> {
    let part = part(input)?;
    let refuse = |found: &str| {
        JobError::bad_input(format!(
            "request part `{}` is not text (found {found})",
            part.name
        ))
    };
    match &part.value {
        Value::Text(text) => Ok(text.to_string()),
        Value::Bytes(bytes) => {
            if part.content_type == "application/json"
                && let Ok(json) = serde_json::from_slice::<serde_json::Value>(bytes)
            {
                let text = json
                    .as_str()
                    .or_else(|| json.get("text").or_else(|| json.get("data"))?.as_str());
                return text.map(Into::into).ok_or_else(|| refuse("other JSON"));
            }
            match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.into()),
                Err(_) => Err(refuse("bytes that are not UTF-8")),
            }
        }
        Value::Map(_) => match part.value.get("text").or_else(|| part.value.get("data")) {
            Some(Value::Text(text)) => Ok(text.to_string()),
            Some(_) | None => Err(refuse("object")),
        },
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Image(_)
        | Value::Tensor(_)
        | Value::List(_)) => Err(refuse(other.kind())),
    }
}

/// What `torch.nn.EmbeddingBag` takes: the numbers of all texts, and where in them each text begins.
fn bag(texts: &[&[i64]]) -> Result<Vec<Value>, BatchError> {
    let ids = texts.concat();
    let offsets: Vec<i64> = texts
        .iter()
        .scan(0, |next, text| {
            let offset = *next;
            *next += text.len() as i64;
            Some(offset)
        })
        .collect();
    Ok(vec![
        int_tensor(vec![ids.len()], ids)?.into(),
        int_tensor(vec![offsets.len()], offsets)?.into(),
    ])
}

fn int_tensor(shape: Vec<usize>, numbers: Vec<i64>) -> Result<Tensor, BatchError> {
    Tensor::new(shape, numbers).map_err(|error| BatchError::new(Reason::Failed, error.to_string()))
}

#[cfg(test)]
mod tests;
