//! Members inside values: `yolo.coordinates[0].xmin`.

use servable::{Type, Value};

use crate::json;

/// Names and places, outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

impl Path {
    /// `a.b`, `a[0].b`, `[0]`. The error says what is wrong with the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for piece in text.split('.') {
            let (name, mut places) = piece.split_at(piece.find('[').unwrap_or(piece.len()));
            let only_places = steps.is_empty() && !places.is_empty();
            if !name.is_empty() {
                steps.push(Step::Member(name.into()));
            } else if !only_places {
                return Err(format!("`{text}` has an empty name in it"));
            }
            while let Some(rest) = places.strip_prefix('[') {
                let (index, rest) = rest
                    .split_once(']')
                    .ok_or_else(|| format!("`{text}` has no `]` for its `[`"))?;
                let index = index
                    .parse()
                    .map_err(|_| format!("`{text}`: `{index}` is no place in a list"))?;
                steps.push(Step::Item(index));
                places = rest;
            }
            if !places.is_empty() {
                return Err(format!("`{text}`: `{places}` is left over"));
            }
        }
        Ok(Path {
            text: text.into(),
            steps,
        })
    }

    /// The first name, and the path inside it; `None` for a path that begins with a place.
    pub(crate) fn split(&self) -> Option<(&str, Path)> {
        match self.steps.split_first()? {
            (Step::Member(name), rest) => {
                let path = Path {
                    text: self.text.clone(),
                    steps: rest.to_vec(),
                };
                Some((name, path))
            }
            (Step::Item(_), _) => None,
        }
    }

    pub(crate) fn type_in(&self, whole: &Type) -> Result<Type, String> {
        self.steps.iter().try_fold(whole.clone(), |of, step| {
            // What is in a text is seen when it is there.
            if matches!(of, Type::Text | Type::Bytes) {
                return Ok(Type::Any);
            }
            match step {
                Step::Member(name) => of
                    .member(name)
                    .ok_or_else(|| format!("`{}`: {of} has no member `{name}`", self.text)),
                Step::Item(index) => of
                    .item()
                    .ok_or_else(|| format!("`{}`: {of} has no item {index}", self.text)),
            }
        })
    }

    /// The value there. Text and bytes are read as JSON where a member of them is asked for.
    pub(crate) fn value_in(&self, whole_value: &Value) -> Result<Value, String> {
        let mut value = whole_value.clone();
        for step in &self.steps {
            if let Some(parsed) = whole(&value) {
                value = parsed;
            }
            let found = match (step, &value) {
                (Step::Member(name), value) => value.get(name).cloned(),
                (Step::Item(index), Value::List(items)) => items.get(*index).cloned(),
                (Step::Item(index), Value::Tensor(tensor)) => tensor.row(*index).map(Value::Tensor),
                (Step::Item(_), _) => None,
            };
            value = found.ok_or_else(|| {
                let step = match step {
                    Step::Member(name) => format!("member `{name}`"),
                    Step::Item(index) => format!("item {index}"),
                };
                format!("`{}`: no {step} in {}", self.text, describe(&value))
            })?;
        }
        Ok(value)
    }
}

/// The JSON that a text or bytes hold; `None` for other values, and for what is no JSON.
pub(crate) fn whole(value: &Value) -> Option<Value> {
    let text = match value {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Image(_)
        | Value::Tensor(_)
        | Value::List(_)
        | Value::Map(_) => return None,
    };
    serde_json::from_slice(text).ok().map(json::value)
}

fn describe(value: &Value) -> String {
    match value {
        Value::Map(members) => {
            let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
            match names.as_slice() {
                [] => "an empty object".into(),
                names => format!("an object of {}", names[..names.len().min(8)].join(", ")),
            }
        }
        Value::List(items) => format!("a list of {}", items.len()),
        Value::Tensor(tensor) => format!("{tensor:?}"),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_) => value.kind().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value() -> Value {
        let json = r#"{"a": {"b": [1, {"c": "{\"d\": 2}"}]}}"#;
        whole(&Value::from(json)).expect("JSON")
    }

    #[test]
    fn members_and_items_are_found() {
        let check = |path: &str, expected: &str| {
            let found = Path::parse(path).and_then(|path| path.value_in(&value()));
            let found = found.map(|found| found.to_json().escape_ascii().to_string());
            assert_eq!(found.unwrap_or_else(|error| error), expected, "{path}");
        };
        check("a.b[0]", "1");
        check("a.b[1].c.d", "2");
        check("a.x", "`a.x`: no member `x` in an object of b");
        check("a.b[2]", "`a.b[2]`: no item 2 in a list of 2");
        check("a.b[0].c", "`a.b[0].c`: no member `c` in integer");
        check("a..b", "`a..b` has an empty name in it");
        check("", "`` has an empty name in it");
        check("a[x]", "`a[x]`: `x` is no place in a list");
        check("a[1", "`a[1` has no `]` for its `[`");
        check("a[1]b", "`a[1]b`: `b` is left over");
    }

    #[test]
    fn types_are_followed_as_far_as_they_are_known() {
        let whole: Type = "{a: list<{b: image}>, c: text}".parse().expect("a type");
        let check = |path: &str, expected: &str| {
            let found = Path::parse(path).and_then(|path| path.type_in(&whole));
            let found = found.map(|found| found.to_string());
            assert_eq!(found.unwrap_or_else(|error| error), expected, "{path}");
        };
        check("a[3].b", "image");
        check("c.d", "any");
        check("b", "`b`: {a: list<{b: image}>, c: text} has no member `b`");
        check("a.b", "`a.b`: list<{b: image}> has no member `b`");
    }
}
