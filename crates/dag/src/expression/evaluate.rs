//! The value of a condition. Whatever the values are, it gives true, false or a reason.

use std::cmp::Ordering;

use servable::Value;

use super::Reference;
use super::parse::{Arithmetic, Comparison, Tree};

pub(super) fn evaluate(
    tree: &Tree,
    references: &[Reference],
    values: &[Option<Value>],
) -> Result<bool, String> {
    Scope { references, values }.truth(tree)
}

struct Scope<'a> {
    references: &'a [Reference],
    values: &'a [Option<Value>],
}

impl Scope<'_> {
    fn truth(&self, tree: &Tree) -> Result<bool, String> {
        match self.value(tree)? {
            Value::Bool(value) => Ok(value),
            other @ (Value::Null
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Image(_)
            | Value::Tensor(_)
            | Value::List(_)
            | Value::Map(_)) => {
                let found = describe(&other);
                Err(format!("true or false is wanted, found {found}"))
            }
        }
    }

    fn value(&self, tree: &Tree) -> Result<Value, String> {
        Ok(match tree {
            Tree::Literal(value) => value.clone(),
            Tree::Of(index) => self.required(*index)?,
            Tree::Has(index) => {
                Value::Bool(!matches!(self.found(*index), None | Some(Value::Null)))
            }
            Tree::Not(inner) => Value::Bool(!self.truth(inner)?),
            Tree::And(left, right) => Value::Bool(self.truth(left)? && self.truth(right)?),
            Tree::Or(left, right) => Value::Bool(self.truth(left)? || self.truth(right)?),
            Tree::Compare(comparison, left, right) => Value::Bool(compare(
                *comparison,
                &self.nullable(left)?,
                &self.nullable(right)?,
            )?),
            Tree::Negative(inner) => match number(&self.value(inner)?)? {
                Number::Int(value) => Value::Int(value.checked_neg().ok_or_else(overflow)?),
                Number::Float(value) => Value::Float(-value),
            },
            Tree::Compute(operation, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                compute(*operation, number(&left)?, number(&right)?)?
            }
            Tree::Size(inner) => size(&self.value(inner)?)?,
        })
    }

    /// What is absent equals null.
    fn nullable(&self, tree: &Tree) -> Result<Value, String> {
        if let Tree::Of(index) = tree {
            return Ok(self.found(*index).cloned().unwrap_or_default());
        }
        self.value(tree)
    }

    fn required(&self, index: usize) -> Result<Value, String> {
        self.found(index).cloned().ok_or_else(|| {
            let name = self
                .references
                .get(index)
                .map_or("", |reference| &reference.text);
            format!("`{name}` is not there; ask `has({name})` first")
        })
    }

    fn found(&self, index: usize) -> Option<&Value> {
        let reference = self.references.get(index)?;
        let value = self.values.get(reference.source)?.as_ref()?;
        reference
            .path
            .iter()
            .try_fold(value, |value, name| value.get(name))
    }
}

enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn float(&self) -> f64 {
        match self {
            Number::Int(value) => *value as f64,
            Number::Float(value) => *value,
        }
    }
}

fn as_number(value: &Value) -> Option<Number> {
    match value {
        Value::Int(value) => Some(Number::Int(*value)),
        Value::Float(value) => Some(Number::Float(*value)),
        Value::Null
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::Tensor(_)
        | Value::List(_)
        | Value::Map(_) => None,
    }
}

fn number(value: &Value) -> Result<Number, String> {
    as_number(value).ok_or_else(|| format!("a number is wanted, found {}", describe(value)))
}

/// A text, also one that came as bytes.
fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Image(_)
        | Value::Tensor(_)
        | Value::List(_)
        | Value::Map(_) => None,
    }
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> Result<bool, String> {
    let ordering = match (as_number(left), as_number(right)) {
        (Some(Number::Int(left)), Some(Number::Int(right))) => Some(left.cmp(&right)),
        (Some(left), Some(right)) => match left.float().partial_cmp(&right.float()) {
            Some(ordering) => Some(ordering),
            // Not a number: unequal to everything, itself included.
            None => return Ok(comparison == Comparison::Unequal),
        },
        (_, _) => match (as_text(left), as_text(right)) {
            (Some(left), Some(right)) => Some(left.cmp(right)),
            (_, _) => None,
        },
    };
    let equal = match (ordering, left, right) {
        (Some(ordering), _, _) => {
            return Ok(match comparison {
                Comparison::Equal => ordering == Ordering::Equal,
                Comparison::Unequal => ordering != Ordering::Equal,
                Comparison::Less => ordering == Ordering::Less,
                Comparison::LessOrEqual => ordering != Ordering::Greater,
                Comparison::Greater => ordering == Ordering::Greater,
                Comparison::GreaterOrEqual => ordering != Ordering::Less,
            });
        }
        (None, Value::Null, Value::Null) => true,
        (None, Value::Bool(left), Value::Bool(right)) => left == right,
        (None, _, _) => false,
    };
    match comparison {
        Comparison::Equal => Ok(equal),
        Comparison::Unequal => Ok(!equal),
        Comparison::Less
        | Comparison::LessOrEqual
        | Comparison::Greater
        | Comparison::GreaterOrEqual => Err(format!(
            "{} cannot be compared with {}",
            describe(left),
            describe(right)
        )),
    }
}

fn compute(operation: Arithmetic, left: Number, right: Number) -> Result<Value, String> {
    if matches!(operation, Arithmetic::Over | Arithmetic::Rest) && right.float() == 0.0 {
        return Err("division by zero".to_owned());
    }
    if let (Number::Int(left), Number::Int(right)) = (&left, &right)
        && operation != Arithmetic::Over
    {
        let value = match operation {
            Arithmetic::Plus => left.checked_add(*right),
            Arithmetic::Minus => left.checked_sub(*right),
            Arithmetic::Times => left.checked_mul(*right),
            Arithmetic::Over | Arithmetic::Rest => left.checked_rem_euclid(*right),
        };
        return value.map(Value::Int).ok_or_else(overflow);
    }
    let (left, right) = (left.float(), right.float());
    Ok(Value::Float(match operation {
        Arithmetic::Plus => left + right,
        Arithmetic::Minus => left - right,
        Arithmetic::Times => left * right,
        Arithmetic::Over => left / right,
        Arithmetic::Rest => left.rem_euclid(right),
    }))
}

fn overflow() -> String {
    "the integers become too large".to_owned()
}

fn size(value: &Value) -> Result<Value, String> {
    let size = match value {
        Value::List(items) => Some(items.len()),
        Value::Map(members) => Some(members.len()),
        Value::Tensor(tensor) => tensor.shape().first().copied(),
        Value::Text(text) => Some(text.chars().count()),
        Value::Bytes(bytes) => Some(bytes.len()),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Image(_) => None,
    };
    size.and_then(|size| i64::try_from(size).ok())
        .map(Value::Int)
        .ok_or_else(|| format!("`size` of {} means nothing", describe(value)))
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) if text.chars().count() <= 40 => format!("the text {text:?}"),
        Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::Tensor(_)
        | Value::List(_)
        | Value::Map(_) => value.kind().to_owned(),
    }
}
