//! Text to words of a condition.

use std::sync::Arc;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    /// A name with its members: `boxes`, `request.part`.
    Name(String),
    /// Operators and brackets.
    Sign(&'static str),
}

/// Words with the character each begins at, from 1.
pub(super) fn words(text: &str) -> Result<Vec<(usize, Word)>, String> {
    let letters: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        if letter.is_whitespace() {
            at += 1;
            continue;
        }
        let rest = &letters[at..];
        let (word, length) = if letter.is_ascii_digit() {
            number(rest).map_err(|error| format!("character {}: {error}", at + 1))?
        } else if letter == '\'' || letter == '"' {
            quoted(rest).ok_or_else(|| format!("character {}: the text has no end", at + 1))?
        } else if letter.is_alphabetic() || letter == '_' {
            name(rest)
        } else {
            let sign = SIGNS
                .iter()
                .find(|sign| starts(rest, sign))
                .ok_or_else(|| format!("character {}: `{letter}` means nothing here", at + 1))?;
            (Word::Sign(meaning(sign)), sign.len())
        };
        words.push((at + 1, word));
        at += length;
    }
    Ok(words)
}

/// Longer ones first.
const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")",
];

/// The signs of boolean words are these words.
fn meaning(sign: &'static str) -> &'static str {
    match sign {
        "&&" => "and",
        "||" => "or",
        "!" => "not",
        other => other,
    }
}

fn starts(rest: &[char], sign: &str) -> bool {
    sign.chars()
        .enumerate()
        .all(|(index, wanted)| rest.get(index) == Some(&wanted))
}

fn number(rest: &[char]) -> Result<(Word, usize), String> {
    let digits = |from: usize| {
        rest[from.min(rest.len())..]
            .iter()
            .take_while(|next| next.is_ascii_digit())
            .count()
    };
    let mut length = digits(0);
    let mut float = false;
    if rest.get(length) == Some(&'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
        float = true;
    }
    if matches!(rest.get(length), Some('e' | 'E')) {
        let sign = usize::from(matches!(rest.get(length + 1), Some('+' | '-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
            float = true;
        }
    }
    let text: String = rest[..length].iter().collect();
    if rest
        .get(length)
        .is_some_and(|next| next.is_alphabetic() || *next == '_')
    {
        return Err(format!("`{text}{}` is no number", rest[length]));
    }
    let word = if float {
        text.parse()
            .ok()
            .filter(|value: &f64| value.is_finite())
            .map(Word::Float)
    } else {
        text.parse().ok().map(Word::Int)
    };
    Ok((word.ok_or_else(|| format!("{text} is too large"))?, length))
}

/// `'it''s'`: a quote within is written twice.
fn quoted(rest: &[char]) -> Option<(Word, usize)> {
    let quote = rest[0];
    let mut text = String::new();
    let mut at = 1;
    loop {
        let next = *rest.get(at)?;
        at += 1;
        if next != quote {
            text.push(next);
        } else if rest.get(at) == Some(&quote) {
            text.push(quote);
            at += 1;
        } else {
            return Some((Word::Text(text.into()), at));
        }
    }
}

/// A hyphen between letters belongs to the name, so subtraction wants spaces.
fn name(rest: &[char]) -> (Word, usize) {
    let part = |at: usize| {
        rest.get(at)
            .is_some_and(|next| next.is_alphanumeric() || *next == '_')
    };
    let mut length = 0;
    while part(length)
        || (length > 0 && matches!(rest.get(length), Some('.' | '-')) && part(length + 1))
    {
        length += 1;
    }
    let name: String = rest[..length].iter().collect();
    let word = match name.as_str() {
        "and" => Word::Sign("and"),
        "or" => Word::Sign("or"),
        "not" => Word::Sign("not"),
        _ => Word::Name(name),
    };
    (word, length)
}
