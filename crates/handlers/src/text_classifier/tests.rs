use std::num::NonZeroUsize;
use std::path::Path;

use servable::{BatchError, Input, Value};

use crate::testing::{batch_as_alone, handler_in, json_input, predict, refusal_in, tensor};

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).expect("a file");
}

fn ints(value: &Value) -> Vec<i64> {
    let Value::Tensor(tensor) = value else {
        panic!("expected a tensor, found {value:?}");
    };
    tensor.elements::<i64>().expect("int64").to_vec()
}

/// An embedding bag in small: the scores of a text are 0 and ln 3 times how often number 1 stands in it.
fn bag(arguments: &[Value], _: NonZeroUsize) -> Result<Value, BatchError> {
    let [ids, offsets] = arguments else {
        panic!("expected numbers and offsets, found {arguments:?}");
    };
    let (ids, mut ends) = (ints(ids), ints(offsets));
    let texts = ends.len();
    ends.push(ids.len() as i64);
    let scores: Vec<f32> = ends
        .windows(2)
        .flat_map(|ends| {
            let text = &ids[ends[0] as usize..ends[1] as usize];
            let good = text.iter().filter(|id| **id == 1).count();
            [0., 3f32.ln() * good as f32]
        })
        .collect();
    Ok(tensor(&[texts, 2], &scores).into())
}

fn check(inputs: &[Input], expected: &[[f64; 2]]) {
    let dir = tempfile::tempdir().expect("a folder");
    write(
        dir.path(),
        "source_vocab.json",
        r#"{"<unk>": 0, "good": 1, "not good": 2}"#,
    );
    write(
        dir.path(),
        "index_to_name.json",
        r#"{"0": "bad", "1": "fine"}"#,
    );
    let mut handler = handler_in(dir.path(), "text_classifier", "{}");
    let answers = batch_as_alone(&mut *handler, &mut bag, inputs);
    for (answer, expected) in answers.iter().zip(expected) {
        let found: serde_json::Map<_, _> = serde_json::from_str(answer).expect("an object");
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            ["bad", "fine"],
            "in class order"
        );
        for (name, share) in ["bad", "fine"].into_iter().zip(expected) {
            let found = found[name].as_f64().expect("a number");
            assert!((found - share).abs() < 1e-6, "{name}: {found} for {share}");
        }
    }
}

#[test]
fn several_texts_share_a_run() {
    let bytes =
        |text: &'static str| Input::body("text/plain", bytes::Bytes::from_static(text.as_bytes()));
    check(
        &[
            bytes("<b>Good!</b>"),
            bytes(""),
            Input::body("", "good, GOOD"),
            json_input("\"good\""),
            json_input("{\"text\": \"x\"}"),
        ],
        &[
            [0.25, 0.75],
            [0.5, 0.5],
            [0.1, 0.9],
            [0.25, 0.75],
            [0.5, 0.5],
        ],
    );
}

#[test]
fn the_network_gets_words_then_pairs_and_where_each_text_begins() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "vocab.txt", "<unk>\ngood\nnot good\nnot\n");
    let mut handler = handler_in(dir.path(), "text_classifier", "vocabulary: vocab.txt");
    let mut seen = Vec::new();
    let mut network = |arguments: &[Value], threads| {
        seen.push(arguments.iter().map(ints).collect::<Vec<_>>());
        bag(arguments, threads)
    };
    predict(
        &mut *handler,
        &mut network,
        &[json_input("\"isn't good\""), json_input("\"good\"")],
    );
    // is, not, good, is not, not good; good
    assert_eq!(seen, [[vec![0, 3, 1, 0, 2, 1], vec![0, 5]]]);
}

#[test]
fn what_is_no_text_fails_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "vocab.txt", "good\n");
    let mut handler = handler_in(dir.path(), "text_classifier", "{}");
    let inputs = [
        json_input("[1]"),
        Input::body("", bytes::Bytes::from_static(b"\xff\xfe")),
        Input::body("", Value::Int(3)),
    ];
    assert_eq!(
        batch_as_alone(&mut *handler, &mut bag, &inputs),
        [
            "request part `body` is not text (found other JSON)",
            "request part `body` is not text (found bytes that are not UTF-8)",
            "request part `body` is not text (found integer)",
        ]
    );
}

/// Words of a tiny tokenizer that splits at white space.
const TOKENIZER: &str = r#"{
    "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
    "model": {"type": "WordLevel", "vocab": {"[PAD]": 9, "[UNK]": 0, "good": 1, "bad": 2}, "unk_token": "[UNK]"}
}"#;

fn check_subwords(settings: &str, texts: &[&str], expected: &[&[i64]]) {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "tokenizer.json", TOKENIZER);
    let mut handler = handler_in(dir.path(), "text_classifier", settings);
    let mut seen = Vec::new();
    let mut network = |arguments: &[Value], _| {
        seen = arguments.iter().map(ints).collect();
        let logits = tensor(&[texts.len(), 1], &vec![0f32; texts.len()]);
        Ok(Value::map([("logits", logits.into())]))
    };
    let inputs: Vec<_> = texts.iter().map(|text| Input::body("", *text)).collect();
    predict(&mut *handler, &mut network, &inputs);
    assert_eq!(seen, expected);
}

#[test]
fn a_tokenizer_gives_numbers_and_a_mask() {
    check_subwords(
        "{}",
        &["good bad x", "bad"],
        &[&[1, 2, 0, 2, 9, 9], &[1, 1, 1, 1, 0, 0]],
    );
    check_subwords(
        "{max_length: 2, padding: max_length, arguments: [attention_mask, input_ids, token_type_ids]}",
        &["good bad x", ""],
        &[&[1, 1, 0, 0], &[1, 2, 9, 9], &[0, 0, 0, 0]],
    );
}

#[test]
fn settings_are_checked_when_the_model_is_loaded() {
    let dir = tempfile::tempdir().expect("a folder");
    let check = |settings: &str, expected: &str| {
        assert!(
            refusal_in(dir.path(), "text_classifier", settings).starts_with(expected),
            "{settings}"
        );
    };
    check("{}", "text_classifier needs a vocabulary");
    check(
        "vocabulary: words.txt",
        "handler.vocabulary: the archive has no file `words.txt`",
    );
    write(dir.path(), "source_vocab.pt", "");
    check(
        "{}",
        "source_vocab.pt: a pickled vocabulary is Python code that only Python can run; convert it",
    );
    write(dir.path(), "vocab.txt", "a");
    check("max_length: 3", "handler.max_length: unknown parameter");
    write(dir.path(), "tokenizer.json", "{");
    check("{}", "tokenizer.json: ");
    write(dir.path(), "tokenizer.json", TOKENIZER);
    check(
        "arguments: [ids]",
        "handler.arguments: expected some of input_ids, attention_mask, token_type_ids, found `ids`",
    );
    check("arguments: []", "handler.arguments: expected at least one");
    check("ngrams: 3", "handler.ngrams: unknown parameter");
}
