//! What the model found against what is true, in words.

use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

/// The largest difference of a class's share that still counts as right.
const TOLERANCE: f64 = 0.05;

/// The shares of the classes in one picture. Displays as a line per class and a verdict.
#[derive(Debug)]
pub struct Comparison(Vec<Share>);

#[derive(Debug)]
struct Share {
    name: String,
    found: f64,
    truth: f64,
}

/// Reads `{"cover": {"sand": 0.5, …}}`, or the inner object alone.
pub fn shares_by_name(truth: &Value) -> Result<Vec<(String, f64)>> {
    let shares = truth
        .get("cover")
        .unwrap_or(truth)
        .as_object()
        .context("there are no shares in it")?;
    let share = |(name, share): (&String, &Value)| {
        let share = share
            .as_f64()
            .with_context(|| format!("the share of {name} is no number"))?;
        Ok((name.clone(), share))
    };
    shares.iter().map(share).collect()
}

impl Comparison {
    /// Reads `{"image_size": …, "seg_map": …, "cover": [{"id": 0, "name": "sand", "cover": 0.61}, …]}`.
    /// A class that the answer leaves out was not found.
    pub fn new(answer: &Value, truth: &[(String, f64)]) -> Result<Self> {
        let cover = answer
            .get("cover")
            .and_then(Value::as_array)
            .context("the answer has no list `cover`")?;
        let found = |name: &str| {
            let class = cover
                .iter()
                .find(|class| class.get("name").and_then(Value::as_str) == Some(name));
            class.map_or(Some(0.0), |class| {
                class.get("cover").and_then(Value::as_f64)
            })
        };
        let share = |(name, truth): &(String, f64)| {
            let found = found(name)
                .with_context(|| format!("the answer's share of {name} is no number"))?;
            Ok(Share {
                name: name.clone(),
                found,
                truth: *truth,
            })
        };
        truth.iter().map(share).collect::<Result<_>>().map(Self)
    }

    pub fn is_correct(&self) -> bool {
        !self.0.is_empty()
            && self
                .0
                .iter()
                .all(|share| (share.found - share.truth).abs() <= TOLERANCE)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Share { name, found, truth } in &self.0 {
            let (found, truth) = (found * 100.0, truth * 100.0);
            writeln!(
                f,
                "  {name:<10} covers {found:5.1} %, truly {truth:5.1} %, a difference of {:.1}",
                (found - truth).abs()
            )?;
        }
        let verdict = if self.is_correct() {
            "correct"
        } else {
            "not correct"
        };
        writeln!(
            f,
            "{verdict}: a difference may be {:.1} at most",
            TOLERANCE * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compare(answer: &Value) -> Result<Comparison> {
        let truth =
            shares_by_name(&json!({"cover": {"sand": 0.625, "rock": 0.375}})).expect("shares");
        Comparison::new(answer, &truth)
    }

    fn check(cover: Value, correct: bool) {
        let comparison =
            compare(&json!({"image_size": [2, 1], "cover": cover})).expect("an answer");
        assert_eq!(comparison.is_correct(), correct, "{comparison}");
    }

    #[test]
    fn shares_may_be_off_by_a_twentieth() {
        let class = |name: &str, cover: f64| json!({"id": 0, "name": name, "cover": cover});
        check(json!([class("rock", 0.33), class("sand", 0.67)]), true);
        check(json!([class("rock", 0.31), class("sand", 0.69)]), false);
        check(json!([class("sand", 0.625)]), false);
    }

    #[test]
    fn the_comparison_reads_as_words() {
        let answer =
            json!({"cover": [{"name": "sand", "cover": 0.6}, {"name": "rock", "cover": 0.4}]});
        assert_eq!(
            compare(&answer).expect("an answer").to_string(),
            "  sand       covers  60.0 %, truly  62.5 %, a difference of 2.5\n\
             \x20 rock       covers  40.0 %, truly  37.5 %, a difference of 2.5\n\
             correct: a difference may be 5.0 at most\n"
        );
    }

    #[test]
    fn an_answer_of_another_shape_is_refused() {
        let error = compare(&json!([[0, 1]])).expect_err("no cover");
        assert_eq!(error.to_string(), "the answer has no list `cover`");
    }
}
