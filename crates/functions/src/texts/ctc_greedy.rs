use dag::{About, FunctionError, Inputs};
use serde_json::Value as Json;
use servable::{Dim, Tensor, TensorType, Type, Value};
use tensor_ops::numbers;

use crate::given::{Given, MAX_ITEMS, given, wrong};
use crate::native::{Native, Ready, needed, optional, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "ctc_greedy",
        summary: "Texts from a recogniser's scores per step",
        details: "In each step the class with the highest score (the lowest of equals); repeats of the step before and blanks \
are dropped (greedy decoding of connectionist temporal classification, A. Graves et al., 2006). The score of a text is minus \
the sum of the highest score of each step, the scores taken as they are: the lower, the surer.\n\n\
A text whose score is not below `max_score`, or whose length is outside `lengths`, is rejected: it becomes empty, and keeps its \
place. So does the text of an item that is all zeros in `crops`, which is how `crop_by_boxes` answers a box of which nothing is \
left.\n\n\
Scores `[n, classes, steps]` give `{texts, scores}`, lists of n; scores `[classes, steps]`, as they are for one item of a \
`foreach`, give `{text, score}`.",
        inputs: &[
            required(
                "scores",
                "any",
                "`[n, classes, steps]` or `[classes, steps]`; of several tensors the first",
            ),
            optional(
                "crops",
                "tensor",
                "what was read, in the same order: items of zeros have no text",
            ),
        ],
        open: false,
        parameters: &[
            needed(
                "alphabet",
                "text, or a list of texts",
                "the characters of the classes; the blank may be among them or be left out where it is last",
            ),
            setting(
                "blank",
                "a class number",
                "the last class",
                "the class that stands for nothing",
            ),
            setting(
                "max_score",
                "a number",
                "none",
                "what the score must be below",
            ),
            setting(
                "lengths",
                "`[least, most]`",
                "any",
                "how many characters a text may have",
            ),
        ],
        output: "any",
        example: "read: {function: ctc_greedy, in: {scores: lprnet, crops: crops}, with: {alphabet: \"0123456789ABEKMHOPCTYX-\", max_score: -85, lengths: [8, 9]}}",
    },
    bind,
};

struct CtcGreedy {
    alphabet: Vec<String>,
    blank: Option<usize>,
    max_score: f64,
    lengths: (usize, usize),
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let alphabet = parameters.typed("alphabet", "text or a list of texts", |value| match value {
        Json::String(text) => Some(text.chars().map(String::from).collect()),
        Json::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => None,
    });
    let alphabet: Vec<String> = alphabet.unwrap_or_default();
    if alphabet.is_empty() && parameters.find("alphabet").is_some() {
        parameters.refuse("alphabet", "holds no character");
    }
    let lengths = parameters.typed("lengths", "[least, most], two whole numbers", |value| {
        let length = |value: &Json| usize::try_from(value.as_u64()?).ok();
        match value.as_array()?.as_slice() {
            [least, most] => Some((length(least)?, length(most)?)),
            _ => None,
        }
    });
    if let Some((least, most)) = lengths.filter(|(least, most)| least > most) {
        parameters.refuse("lengths", format!("no length is from {least} to {most}"));
    }
    let blank = parameters.whole("blank", 0, 1 << 24);
    Box::new(CtcGreedy {
        alphabet,
        blank: blank.map(|class| class as usize),
        max_score: parameters
            .number("max_score", f64::NEG_INFINITY, f64::INFINITY)
            .unwrap_or(f64::INFINITY),
        lengths: lengths.unwrap_or((0, usize::MAX)),
    })
}

impl CtcGreedy {
    /// The text of one item and its score.
    fn read(&self, item: &[f32], classes: usize, steps: usize, seen: bool) -> (Value, Value) {
        let blank = self.blank.unwrap_or(classes - 1);
        let reading = tensor_ops::ctc_greedy(item, classes, steps, blank);
        let (least, most) = self.lengths;
        // A score that is no number, as of scores that overflow, is not below anything.
        let accepted = seen
            && (least..=most).contains(&reading.classes.len())
            && (self.max_score == f64::INFINITY || reading.score < self.max_score);
        let classes = reading.classes.iter().filter(|_| accepted);
        let text: String = classes
            .filter_map(|class| self.alphabet.get(*class))
            .map(String::as_str)
            .collect();
        (text.into(), Value::Float(reading.score))
    }

    /// Whether the network and the alphabet speak of the same classes.
    fn check_classes(&self, classes: usize) -> Result<(), String> {
        let known = self.alphabet.len();
        let blank = self.blank.unwrap_or(classes.saturating_sub(1));
        let enough = known == classes || known + 1 == classes && blank == known;
        if classes == 0 || !enough || blank >= classes {
            return Err(format!(
                "has {classes} classes, but the alphabet has {known} characters and the blank is class {blank}"
            ));
        }
        Ok(())
    }
}

impl Ready for CtcGreedy {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        let Type::Tensor(TensorType {
            shape: Some(shape), ..
        }) = given(inputs, "scores")
        else {
            return Ok(Type::Any);
        };
        let of = match shape.as_slice() {
            [_, _] => "{text: text, score: float}",
            // No items, as a model answers an empty list.
            [_, _, _] | [Dim::Fixed(0)] => "{texts: list<text>, scores: list<float>}",
            other => {
                let sides = other.len();
                return Err(format!(
                    "input `scores` must be of shape [n, classes, steps] or [classes, steps], not of {sides} dimensions"
                ));
            }
        };
        of.parse()
            .map_err(|error: servable::TypeError| error.to_string())
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let scores = inputs.first_tensor("scores")?;
        let (items, classes, steps) = match *scores.shape() {
            // No items, as a model answers an empty list.
            [0] => (Some(0), 0, 0),
            [items, classes, steps] => (Some(items), classes, steps),
            [classes, steps] => (None, classes, steps),
            _ => {
                let reason =
                    format!("is not scores of shape [n, classes, steps]: found {scores:?}");
                return Err(wrong("scores", reason));
            }
        };
        let count = items.unwrap_or(1);
        if count > MAX_ITEMS {
            return Err(wrong(
                "scores",
                format!("has {count} items, more than {MAX_ITEMS}"),
            ));
        }
        if count > 0 {
            self.check_classes(classes)
                .map_err(|reason| wrong("scores", reason))?;
        }
        let crops = match inputs.optional("crops") {
            Some(crops) => Some(seen(
                &crate::given::tensor(crops, &inputs.limits())
                    .map_err(|reason| wrong("crops", reason))?,
                items,
            )?),
            None => None,
        };
        let numbers = numbers(&scores);
        let length = numbers.len().checked_div(count).unwrap_or(0);
        let mut read = (0..count).map(|item| {
            let seen = crops.as_ref().is_none_or(|seen| seen[item]);
            self.read(
                &numbers[item * length..(item + 1) * length],
                classes,
                steps,
                seen,
            )
        });
        Ok(match items {
            None => {
                let (text, score) = read.next().unwrap_or_default();
                Value::map([("text", text), ("score", score)])
            }
            Some(_) => {
                let (texts, scores): (Vec<_>, Vec<_>) = read.unzip();
                Value::map([
                    ("texts", Value::list(texts)),
                    ("scores", Value::list(scores)),
                ])
            }
        })
    }
}

/// For each item whether there is anything but zeros in it.
fn seen(crops: &Tensor, items: Option<usize>) -> Result<Vec<bool>, FunctionError> {
    let is_seen = |crop: &Tensor| numbers(crop).iter().any(|number| *number != 0.0);
    let Some(items) = items else {
        return Ok(vec![is_seen(crops)]);
    };
    if crops.shape().first() != Some(&items) {
        return Err(wrong(
            "crops",
            format!("is {crops:?}, but there are scores of {items} items"),
        ));
    }
    Ok((0..items)
        .map(|item| crops.row(item).is_some_and(|crop| is_seen(&crop)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, output, tensor, text, try_bound, vectors};

    /// Scores of a best path over the classes a, b and blank, each step of which scores 2.
    fn scores(paths: &[[usize; 3]]) -> Value {
        let numbers: Vec<f32> = paths
            .iter()
            .flat_map(|path| (0..9).map(|at| if path[at % 3] == at / 3 { 2.0 } else { 0.0 }))
            .collect();
        tensor(&[paths.len(), 3, 3], &numbers)
    }

    fn check(with: &str, inputs: &[(&str, Value)], expected: &str) {
        let found = call("ctc_greedy", with, inputs);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    #[test]
    fn texts_are_read_and_rejected_in_their_places() {
        let two = || scores(&[[0, 0, 1], [2, 1, 2]]);
        check(
            "{alphabet: ab}",
            &[("scores", two())],
            r#"{"texts":["ab","b"],"scores":[-6.0,-6.0]}"#,
        );
        check(
            "{alphabet: ab-, lengths: [2, 3]}",
            &[("scores", two())],
            r#"{"texts":["ab",""],"scores":[-6.0,-6.0]}"#,
        );
        check(
            "{alphabet: ab-, max_score: -6}",
            &[("scores", two())],
            r#"{"texts":["",""],"scores":[-6.0,-6.0]}"#,
        );
        check(
            "{alphabet: [x, yy, z], blank: 0}",
            &[("scores", two())],
            r#"{"texts":["yy","zyyz"],"scores":[-6.0,-6.0]}"#,
        );
        let crops = tensor(&[2, 1], &[0f32, 1.]);
        check(
            "{alphabet: ab}",
            &[("scores", two()), ("crops", crops)],
            r#"{"texts":["","b"],"scores":[-6.0,-6.0]}"#,
        );
        let one = tensor(&[3, 1], &[0f32, 1., 0.]);
        check(
            "{alphabet: ab}",
            &[("scores", one)],
            r#"{"text":"b","score":-1.0}"#,
        );
        check(
            "{alphabet: ab}",
            &[("scores", Value::list([]))],
            r#"{"texts":[],"scores":[]}"#,
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let two = || scores(&[[0, 0, 1], [2, 1, 2]]);
        check(
            "{alphabet: a}",
            &[("scores", two())],
            "input `scores` has 3 classes, but the alphabet has 1 characters and the blank is class 2",
        );
        check(
            "{alphabet: ab}",
            &[("scores", two()), ("crops", tensor(&[1, 1], &[0f32]))],
            "input `crops` is float32[1, 1], but there are scores of 2 items",
        );
        check(
            "{alphabet: ab}",
            &[("scores", tensor(&[2], &[0f32; 2]))],
            "input `scores` is not scores of shape [n, classes, steps]: found float32[2]",
        );
        let refused = |with| try_bound("ctc_greedy", with).err().unwrap_or_default();
        assert_eq!(
            refused("{alphabet: '', lengths: [3, 2]}"),
            "alphabet: holds no character; lengths: no length is from 3 to 2"
        );
        let of = |scores| output("ctc_greedy", "{alphabet: ab}", &[("scores", scores)]);
        assert_eq!(
            of("tensor[n, 23, 18]"),
            "{texts: list<text>, scores: list<float>}"
        );
        assert_eq!(of("tensor[23, 18]"), "{text: text, score: float}");
    }

    #[test]
    fn reference() {
        let Some(cases) = vectors("ctc_greedy.json") else {
            return;
        };
        let cases = cases.as_array().expect("a list");
        assert!(!cases.is_empty());
        for case in cases {
            let with = format!(
                "{{alphabet: {}, blank: {}}}",
                case["alphabet"], case["blank"]
            );
            let filtered = format!(
                "{{alphabet: {}, blank: {}, max_score: -85, lengths: [8, 9]}}",
                case["alphabet"], case["blank"]
            );
            let scores = crate::json::value(case["logits_classes_by_steps"].clone());
            let found = call("ctc_greedy", &with, &[("scores", scores.clone())]).expect("a text");
            let expected = case["text"].as_str().expect("text");
            assert_eq!(
                text(found.get("text").expect("text")),
                format!("\"{expected}\"")
            );
            let Some(Value::Float(score)) = found.get("score") else {
                panic!("a score")
            };
            assert!((score - case["neg_sum_of_max"].as_f64().expect("a number")).abs() < 2e-3);
            let found = call("ctc_greedy", &filtered, &[("scores", scores)]).expect("a text");
            let accepted = case["accepted_by_article_filter"]
                .as_bool()
                .expect("a flag");
            let expected = if accepted { expected } else { "" };
            assert_eq!(
                text(found.get("text").expect("text")),
                format!("\"{expected}\"")
            );
        }
    }
}
