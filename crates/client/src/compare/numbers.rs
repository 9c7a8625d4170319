//! Two JSON documents that mean the same although their numbers were computed by different means.

use serde_json::Value;

/// How far two numbers may lie apart, as a share of the larger one: what other kernels and another order of sums do to
/// single precision, and no more.
pub(super) const TOLERANCE: f64 = 1e-4;

/// Where two documents differ.
#[derive(Debug, PartialEq)]
pub(super) struct Apart {
    /// The first place, as `$.scores[3]`.
    pub(super) path: String,
    /// What stands there; `None`: nothing.
    pub(super) theirs: Option<Value>,
    pub(super) ours: Option<Value>,
    /// How many places there are.
    pub(super) places: usize,
}

/// `None`: they are the same within [`TOLERANCE`], in whatever order the members of objects stand.
pub(super) fn apart(theirs: &Value, ours: &Value) -> Option<Apart> {
    let mut walk = Walk {
        path: "$".to_owned(),
        found: None,
    };
    walk.both(theirs, ours);
    walk.found
}

struct Walk {
    path: String,
    found: Option<Apart>,
}

impl Walk {
    fn both(&mut self, theirs: &Value, ours: &Value) {
        match (theirs, ours) {
            (Value::Object(there), Value::Object(here)) => {
                for (name, value) in there {
                    self.member(&format!(".{name}"), Some(value), here.get(name));
                }
                for (name, value) in here.iter().filter(|(name, _)| !there.contains_key(*name)) {
                    self.member(&format!(".{name}"), None, Some(value));
                }
            }
            (Value::Array(there), Value::Array(here)) => {
                for at in 0..there.len().max(here.len()) {
                    self.member(&format!("[{at}]"), there.get(at), here.get(at));
                }
            }
            (Value::Number(there), Value::Number(here)) => {
                let near = there.as_f64().zip(here.as_f64()).is_some_and(near);
                if there != here && !near {
                    self.note(Some(theirs), Some(ours));
                }
            }
            _ if theirs == ours => {}
            _ => self.note(Some(theirs), Some(ours)),
        }
    }

    fn member(&mut self, step: &str, theirs: Option<&Value>, ours: Option<&Value>) {
        let length = self.path.len();
        self.path.push_str(step);
        match (theirs, ours) {
            (Some(theirs), Some(ours)) => self.both(theirs, ours),
            _ => self.note(theirs, ours),
        }
        self.path.truncate(length);
    }

    fn note(&mut self, theirs: Option<&Value>, ours: Option<&Value>) {
        match &mut self.found {
            Some(found) => found.places += 1,
            None => {
                self.found = Some(Apart {
                    path: self.path.clone(),
                    theirs: theirs.cloned(),
                    ours: ours.cloned(),
                    places: 1,
                });
            }
        }
    }
}

fn near((one, other): (f64, f64)) -> bool {
    (one - other).abs() <= TOLERANCE * one.abs().max(other.abs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The expectation as `path places`; empty where they are the same.
    fn check(theirs: Value, ours: Value, expected: &str) {
        let found = apart(&theirs, &ours);
        let found = found.map(|apart| format!("{} {}", apart.path, apart.places));
        assert_eq!(found.unwrap_or_default(), expected, "{theirs} and {ours}");
    }

    #[test]
    fn numbers_may_differ_by_what_other_kernels_do() {
        check(json!(1.0), json!(1.00009), "");
        check(json!(1.0), json!(1.0002), "$ 1");
        check(json!(1e-9), json!(1.00009e-9), "");
        check(json!(0), json!(1e-9), "$ 1");
        check(json!(-1.0), json!(1.0), "$ 1");
        check(json!(3), json!(3.0), "");
        check(
            json!(9_007_199_254_740_993_u64),
            json!(9_007_199_254_740_993_u64),
            "",
        );
    }

    #[test]
    fn everything_else_is_told_with_its_place() {
        let theirs = json!({"class": "tabby", "scores": [0.9, 0.1, {"x": null}]});
        check(theirs.clone(), theirs.clone(), "");
        check(
            theirs.clone(),
            json!({"scores": [0.9, 0.1, {"x": null}], "class": "tabby"}),
            "",
        );
        check(
            theirs.clone(),
            json!({"class": "lynx", "scores": [0.9, 0.2, {"x": 1}]}),
            "$.class 3",
        );
        check(
            theirs.clone(),
            json!({"class": "tabby", "scores": [0.9]}),
            "$.scores[1] 2",
        );
        check(json!({}), json!({"more": 1}), "$.more 1");
        check(json!("1"), json!(1), "$ 1");
        check(json!([]), json!({}), "$ 1");
    }
}
