//! Top-level keys that are likely a mistake. Any key may stand there, so these are warned of and nothing more.

use serde_yaml::Value;

/// Settings of the native handlers, which are read in the `handler` section only.
const HANDLER_SETTINGS: [&str; 24] = [
    "answer_key",
    "arguments",
    "batched",
    "channels",
    "colour_order",
    "crop",
    "dtype",
    "input_size",
    "kernel",
    "labels",
    "max_length",
    "mean",
    "ngrams",
    "output",
    "pad_to",
    "pad_value",
    "padding",
    "resize",
    "scale",
    "shape",
    "std",
    "threshold",
    "topk",
    "vocabulary",
];

/// One line for each such key of the document. `known` are the keys that mean something at its top.
pub(super) fn warnings(document: &Value, known: &[&str]) -> Vec<String> {
    let keys = document.as_mapping().into_iter().flatten();
    keys.filter_map(|(key, _)| key.as_str())
        .filter(|key| !known.contains(key))
        .filter_map(|key| {
            if HANDLER_SETTINGS.contains(&key) {
                return Some(format!(
                    "key {key} ignored: a handler's setting belongs into the section `handler`"
                ));
            }
            let meant = nearest(key, known)?;
            Some(format!("key {key} ignored: did you mean `{meant}`?"))
        })
        .collect()
}

/// The known key that is at most two typing errors away, however its words are joined.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = plain(key);
    known
        .iter()
        .map(|known| {
            let distance = strsim::damerau_levenshtein(&plain, &self::plain(known));
            (distance, *known)
        })
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, known)| known)
}

/// `batch_size`, `batch-size` and `batchSize` are the same word.
fn plain(key: &str) -> String {
    key.chars()
        .filter(|letter| !matches!(letter, '_' | '-'))
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}
