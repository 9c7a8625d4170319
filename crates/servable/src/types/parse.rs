//! Text to types.

use std::str::FromStr;

use thiserror::Error;

use super::{Dim, Field, TensorType, Type};
use crate::DType;

/// Why a text is no type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no type: {reason}")]
pub struct TypeError {
    pub text: String,
    pub reason: String,
}

/// How deep types may be nested.
const DEEPEST: usize = 16;

impl FromStr for Type {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        let mut parser = Parser { rest: text };
        let parsed = parser.whole(0).and_then(|found| match parser.peek() {
            None => Ok(found),
            Some(_) => Err(format!("`{}` is left over", parser.rest.trim())),
        });
        parsed.map_err(|reason| TypeError {
            text: text.into(),
            reason,
        })
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    fn whole(&mut self, depth: usize) -> Result<Type, String> {
        if depth > DEEPEST {
            return Err(format!("it is nested deeper than {DEEPEST}"));
        }
        if self.take('{') {
            return self.record(depth);
        }
        let word = self.word();
        Ok(match word.as_str() {
            "any" => Type::Any,
            "bool" => Type::Bool,
            "int" => Type::Int,
            "float" => Type::Float,
            "text" => Type::Text,
            "bytes" => Type::Bytes,
            "json" => Type::Json,
            "image" => Type::Image,
            "boxes" => Type::Boxes,
            "tensor" => Type::Tensor(self.tensor()?),
            "list" => {
                if self.take('<') {
                    let of = self.whole(depth + 1)?;
                    self.expect('>')?;
                    Type::list(of)
                } else {
                    Type::list(Type::Any)
                }
            }
            "" => return Err(self.expected("a type")),
            other => {
                return Err(format!(
                    "unknown word `{other}` (known are any, bool, int, float, text, bytes, json, image, boxes, tensor, list)"
                ));
            }
        })
    }

    fn record(&mut self, depth: usize) -> Result<Type, String> {
        let mut fields: Vec<Field> = Vec::new();
        loop {
            if self.take('}') {
                return Ok(Type::Record(fields));
            }
            let name = self.word();
            if name.is_empty() {
                return Err(self.expected("a member's name"));
            }
            if fields.iter().any(|field| field.name == name) {
                return Err(format!("member `{name}` stands twice"));
            }
            self.expect(':')?;
            let of = self.whole(depth + 1)?;
            fields.push(Field { name, of });
            if !self.take(',') {
                self.expect('}')?;
                return Ok(Type::Record(fields));
            }
        }
    }

    fn tensor(&mut self) -> Result<TensorType, String> {
        let mut dtype = None;
        if self.take('<') {
            let name = self.word();
            dtype = Some(dtype_of(&name).ok_or_else(|| {
                format!("unknown element type `{name}` (one is float32, or f32 for short)")
            })?);
            self.expect('>')?;
        }
        if !self.take('[') {
            return Ok(TensorType { dtype, shape: None });
        }
        let mut shape = Vec::new();
        while !self.take(']') {
            let side = if self.take('?') {
                Dim::Any
            } else {
                let word = self.word();
                match word.parse() {
                    Ok(side) => Dim::Fixed(side),
                    Err(_) if word.is_empty() => return Err(self.expected("a side of the shape")),
                    Err(_) if word.starts_with(|first: char| first.is_ascii_digit()) => {
                        return Err(format!("`{word}` is no length"));
                    }
                    Err(_) => Dim::Symbol(word),
                }
            };
            shape.push(side);
            if !self.take(',') {
                self.expect(']')?;
                break;
            }
        }
        Ok(TensorType {
            dtype,
            shape: Some(shape),
        })
    }

    /// Letters, digits, underscores and hyphens.
    fn word(&mut self) -> String {
        self.rest = self.rest.trim_start();
        let end = self
            .rest
            .find(|next: char| !next.is_alphanumeric() && next != '_' && next != '-')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn peek(&self) -> Option<char> {
        self.rest.trim_start().chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        match self.rest.trim_start().strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(self.expected(&format!("`{wanted}`")))
        }
    }

    fn expected(&self, what: &str) -> String {
        match self.peek() {
            Some(found) => format!("expected {what}, found `{found}`"),
            None => format!("expected {what}, found its end"),
        }
    }
}

/// Element types by their long names and by the short ones of Rust.
fn dtype_of(name: &str) -> Option<DType> {
    DType::from_name(name).or(match name {
        "u8" => Some(DType::U8),
        "i8" => Some(DType::I8),
        "i16" => Some(DType::I16),
        "i32" => Some(DType::I32),
        "i64" => Some(DType::I64),
        "f16" => Some(DType::F16),
        "bf16" => Some(DType::BF16),
        "f32" => Some(DType::F32),
        "f64" => Some(DType::F64),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = text.parse::<Type>().map(|found| found.to_string());
        let found = found.unwrap_or_else(|error| error.reason);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn types_are_printed_as_they_are_written() {
        for text in [
            "any",
            "image",
            "tensor",
            "tensor<float32>",
            "tensor[n, 3, ?, 94]",
            "tensor<uint8>[]",
            "list<list<text>>",
            "{a: text, b: {c: list<int>}}",
            "{}",
        ] {
            check(text, text);
        }
        check(" tensor < f32 > [n,3] ", "tensor<float32>[n, 3]");
        check("list", "list<any>");
    }

    #[test]
    fn what_is_no_type_says_why() {
        check("", "expected a type, found its end");
        check("list<text", "expected `>`, found its end");
        check(
            "tensor<f23>",
            "unknown element type `f23` (one is float32, or f32 for short)",
        );
        check("tensor[3x]", "`3x` is no length");
        check("{a text}", "expected `:`, found `t`");
        check("{a: int, a: int}", "member `a` stands twice");
        check("int]", "`]` is left over");
        check(&"list<".repeat(20), "it is nested deeper than 16");
    }
}
