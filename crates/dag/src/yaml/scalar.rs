//! What a plain scalar is: integers as YAML 1.1 writes them, which is what TorchServe reads; truth and nothing as 1.2 does, so
//! that a node may be called `no` or `on`.

use super::Content;

pub(super) fn plain(text: &str) -> Content {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Content::Null,
        "true" | "True" | "TRUE" => Content::Bool(true),
        "false" | "False" | "FALSE" => Content::Bool(false),
        _ => match integer(text) {
            Some(value) => Content::Int(value),
            None => match float(text) {
                Some(value) => Content::Float(value),
                None => Content::Text(text.to_owned()),
            },
        },
    }
}

/// `12`, `+1_000`, `0x1F`, `0b101`, `0o17`, and `017`, which is octal too.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) if text.starts_with('-') => ("-", rest),
        Some(rest) => ("", rest),
        None => ("", text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // An underscore first or last is part of a name.
    if digits.starts_with(['_', '+', '-']) || digits.ends_with('_') {
        return None;
    }
    let digits = format!("{sign}{}", digits.replace('_', ""));
    i64::from_str_radix(&digits, radix).ok()
}

/// Decimal only: `1.5`, `.5`, `1e-3`. Infinity and NaN are texts, as no field wants them.
fn float(text: &str) -> Option<f64> {
    let number = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        && text.contains(|digit: char| digit.is_ascii_digit())
        && text
            .chars()
            .all(|next| next.is_ascii_digit() || "+-.eE".contains(next));
    let value = number.then(|| text.parse::<f64>().ok()).flatten()?;
    value.is_finite().then_some(value)
}
