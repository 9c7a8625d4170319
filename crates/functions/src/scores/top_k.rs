use std::collections::HashSet;

use dag::{About, FunctionError, Inputs};
use servable::{TensorType, Type, Value};
use tensor_ops::{best, numbers, softmax};

use crate::given::{Given, given, wrong};
use crate::native::{Native, Ready, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "top_k",
        summary: "The best classes by their names",
        details: "`{label: score, …}`, the best first, as `image_classifier` answers; of equal scores the lower class comes \
first, and what is not a number last. Scores `[n, classes]` give a list of n such objects, unless n is 1. A class without a \
label goes by its number.",
        inputs: &[required(
            "scores",
            "any",
            "`[classes]` or `[n, classes]`; of several tensors the first",
        )],
        open: false,
        parameters: &[
            setting("k", "a whole number from 1 on", "5", "how many classes"),
            setting(
                "labels",
                "a list of names, no name twice",
                "none",
                "the classes in their order",
            ),
            setting(
                "softmax",
                "`true` or `false`",
                "false",
                "whether the scores become probabilities first",
            ),
        ],
        output: "json",
        example: "answer: {function: top_k, in: classifier, with: {k: 1, labels: [cat, dog], softmax: true}}",
    },
    bind,
};

struct TopK {
    k: usize,
    labels: Vec<String>,
    softmax: bool,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let labels = parameters.texts("labels").unwrap_or_default();
    let mut seen = HashSet::new();
    if let Some(twice) = labels.iter().find(|label| !seen.insert(label.as_str())) {
        parameters.refuse(
            "labels",
            format!("`{twice}` stands twice, but an answer can hold a name only once"),
        );
    }
    Box::new(TopK {
        k: parameters.count("k", usize::MAX).unwrap_or(5),
        labels,
        softmax: parameters.flag("softmax").unwrap_or(false),
    })
}

impl TopK {
    fn answer(&self, scores: &[f32]) -> Value {
        let found = match self.softmax {
            true => best(&softmax(scores), self.k),
            false => best(scores, self.k),
        };
        Value::map(found.into_iter().map(|(class, score)| {
            let name = self
                .labels
                .get(class)
                .cloned()
                .unwrap_or_else(|| class.to_string());
            (name, Value::Float(score.into()))
        }))
    }
}

impl Ready for TopK {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        match given(inputs, "scores") {
            Type::Tensor(TensorType {
                shape: Some(shape), ..
            }) if shape.is_empty() => Err(
                "input `scores` must be of shape [classes] or [n, classes], not a single number"
                    .into(),
            ),
            _ => Ok(Type::Json),
        }
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let scores = inputs.first_tensor("scores")?;
        let numbers = numbers(&scores);
        // Sides of 1 behind the classes say nothing.
        match *scores.shape() {
            [_] => Ok(self.answer(&numbers)),
            [1, ..] if scores.shape().iter().filter(|side| **side != 1).count() <= 1 => {
                Ok(self.answer(&numbers))
            }
            [0, _] => Ok(Value::list([])),
            [_, classes] if classes > 0 => Ok(Value::list(
                numbers.chunks_exact(classes).map(|row| self.answer(row)),
            )),
            _ => {
                let reason =
                    format!("is not scores of shape [classes] or [n, classes]: found {scores:?}");
                Err(wrong("scores", reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, tensor, text, try_bound};

    fn check(with: &str, scores: Value, expected: &str) {
        let found = call("top_k", with, &[("scores", scores)]);
        let found = found.map_or_else(|error| error, |found| text(&found));
        assert_eq!(found, expected, "{with}");
    }

    #[test]
    fn the_best_come_first_under_their_names() {
        let scores = || tensor(&[3], &[0.25f32, 0.5, 0.25]);
        check(
            "{labels: [a, b]}",
            scores(),
            r#"{"b":0.5,"a":0.25,"2":0.25}"#,
        );
        check("{k: 1}", scores(), r#"{"1":0.5}"#);
        check(
            "{softmax: true}",
            tensor(&[1, 2], &[7f32, 7.]),
            r#"{"0":0.5,"1":0.5}"#,
        );
        check(
            "{k: 1}",
            tensor(&[2, 2], &[1f32, 2., 4., 3.]),
            r#"[{"1":2.0},{"0":4.0}]"#,
        );
        check("{}", tensor::<f32>(&[0, 5], &[]), "[]");
        check("{}", tensor::<f32>(&[0], &[]), "{}");
        check(
            "{}",
            tensor(&[2, 1, 2], &[0f32; 4]),
            "input `scores` is not scores of shape [classes] or [n, classes]: found float32[2, 1, 2]",
        );
        assert_eq!(
            try_bound("top_k", "{labels: [a, a]}").err().as_deref(),
            Some("labels: `a` stands twice, but an answer can hold a name only once")
        );
    }
}
