//! Java properties text, read and written.
//!
//! This is the syntax of `config.properties` and of snapshots, as Java's `Properties` reads it: `key=value`,
//! `key: value` or `key value`; comments after `#` or `!`; a backslash at the end of a line continues it; `\t`, `\n`,
//! `\r`, `\f` and `\uXXXX` (UTF-16 units) inside. It knows no keys: what they mean is for [`super::keys`].

use std::fmt::Write as _;

/// One `key=value` with the line it begins in, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: String,
    pub line: usize,
}

/// A line that is not properties syntax. Its entry is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    pub line: usize,
    pub message: String,
}

/// Reads a whole file, in the order of its lines. Keys may repeat: the caller decides what that means.
///
/// Bytes are UTF-8 (a byte order mark is skipped) or, where they are not valid UTF-8, ISO-8859-1, as Java has it.
pub fn parse(bytes: &[u8]) -> (Vec<Entry>, Vec<Flaw>) {
    let mut entries = Vec::new();
    let mut flaws = Vec::new();
    for (line, text) in logical_lines(&decode(bytes)) {
        let (key, value) = split(&text);
        match (unescape(key), unescape(value)) {
            (Ok(key), Ok(_)) if key.is_empty() => flaws.push(Flaw {
                line,
                message: "no key before the separator".to_owned(),
            }),
            (Ok(key), Ok(value)) => entries.push(Entry { key, value, line }),
            (Err(message), _) | (_, Err(message)) => flaws.push(Flaw { line, message }),
        }
    }
    (entries, flaws)
}

/// Writes pairs so that [`parse`], and Java, read the same pairs back. Plain ASCII, one pair a line.
pub fn write<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        for c in key.chars() {
            if matches!(c, ' ' | '=' | ':' | '#' | '!') {
                text.push('\\');
            }
            escape(&mut text, c);
        }
        text.push('=');
        for (at, c) in value.chars().enumerate() {
            // Blanks before a value belong to the separator unless escaped.
            if at == 0 && c == ' ' {
                text.push('\\');
            }
            escape(&mut text, c);
        }
        text.push('\n');
    }
    text
}

fn decode(bytes: &[u8]) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    };
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Lines with their continuations joined, without comments and blank lines, each with its first line number.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.split('\n').zip(1..);
    while let Some((line, number)) = lines.next() {
        let mut rest = line.trim_start_matches(is_blank);
        if rest.is_empty() || rest.starts_with(['#', '!']) {
            continue;
        }
        let mut joined = String::new();
        while let Some(part) = continued(rest) {
            joined.push_str(part);
            rest = match lines.next() {
                Some((line, _)) => line.trim_start_matches(is_blank),
                None => "",
            };
        }
        joined.push_str(rest);
        found.push((number, joined));
    }
    found
}

/// The line without its last backslash if that one continues it: an even number of them are escaped backslashes.
fn continued(line: &str) -> Option<&str> {
    let backslashes = line.len() - line.trim_end_matches('\\').len();
    (backslashes % 2 == 1).then(|| &line[..line.len() - 1])
}

/// Key and value, still escaped: apart at the first `=`, `:` or blank that no backslash precedes.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c| {
        let ends = !escaped && (matches!(c, '=' | ':') || is_blank(c));
        escaped = !escaped && c == '\\';
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match rest.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let (c, after) = unicode(rest.as_str())?;
                plain.push(c);
                rest = after.chars();
            }
            // Java drops the backslash before anything else.
            Some(other) => plain.push(other),
            None => {}
        }
    }
    Ok(plain)
}

/// The character whose escape begins right after `\u`, and what follows it. Characters beyond U+FFFF take two escapes.
fn unicode(text: &str) -> Result<(char, &str), String> {
    let (first, rest) = unit(text)?;
    if let Some(c) = char::from_u32(u32::from(first)) {
        return Ok((c, rest));
    }
    let pair = rest.strip_prefix("\\u").map(unit).transpose()?;
    pair.and_then(|(second, rest)| {
        let c = char::decode_utf16([first, second]).next()?.ok()?;
        Some((c, rest))
    })
    .ok_or_else(|| format!("\\u{first:04x} is half a surrogate pair"))
}

fn unit(text: &str) -> Result<(u16, &str), String> {
    let digits = text
        .get(..4)
        .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    digits
        .and_then(|digits| u16::from_str_radix(digits, 16).ok())
        .map(|unit| (unit, &text[4..]))
        .ok_or_else(|| "expected four hexadecimal digits after \\u".to_owned())
}

fn escape(text: &mut String, c: char) {
    match c {
        '\\' => text.push_str("\\\\"),
        '\t' => text.push_str("\\t"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\u{c}' => text.push_str("\\f"),
        ' '..='~' => text.push(c),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(text, "\\u{unit:04x}").expect("a String takes any text");
            }
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Entries as `line:key=value`, flaws as `line!message`.
    fn check(bytes: &[u8], expected: &[&str]) {
        let (entries, flaws) = parse(bytes);
        let entries = entries
            .iter()
            .map(|e| format!("{}:{}={}", e.line, e.key, e.value));
        let flaws = flaws.iter().map(|f| format!("{}!{}", f.line, f.message));
        let found: Vec<String> = entries.chain(flaws).collect();
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn separators_and_blanks() {
        check(
            b"a=1\nb:2\nc 3\nd = 4\n e\t:\t5\n",
            &["1:a=1", "2:b=2", "3:c=3", "4:d=4", "5:e=5"],
        );
        check(
            b"a=b=c:d\nlone\nempty=\n",
            &["1:a=b=c:d", "2:lone=", "3:empty="],
        );
        check(b"trailing=x  \n", &["1:trailing=x  "]);
        check(b"a\\ b\\=c=1\n", &["1:a b=c=1"]);
    }

    #[test]
    fn comments_and_line_ends() {
        check(b"# a=1\n  ! b=2\n\n# c\\\nd=4\n", &["5:d=4"]);
        check(b"a=1\r\nb=2\rc=3", &["1:a=1", "2:b=2", "3:c=3"]);
        check(b"a=1 # not a comment\n", &["1:a=1 # not a comment"]);
    }

    #[test]
    fn continuation() {
        check(b"a=1,\\\n   2,\\\n\t3\nb=4\n", &["1:a=1,2,3", "4:b=4"]);
        check(b"a=even\\\\\nb=2\n", &["1:a=even\\", "2:b=2"]);
        check(b"a=1\\\n\nb=2", &["1:a=1", "3:b=2"]);
        check(b"a=1\\\n#kept", &["1:a=1#kept"]);
        check(b"a=end\\", &["1:a=end"]);
    }

    #[test]
    fn escapes_and_encodings() {
        check(
            br"a=\t\n\u00e9\ud83d\ude00\q",
            &["1:a=\t\n\u{e9}\u{1f600}q"],
        );
        check("a=é\n".as_bytes(), &["1:a=é"]);
        check(b"a=\xe9\n", &["1:a=\u{e9}"]);
        check(b"\xef\xbb\xbfa=1\n", &["1:a=1"]);
    }

    #[test]
    fn flaws_name_their_line() {
        check(
            b"a=1\nb=\\u12\nc=3",
            &[
                "1:a=1",
                "3:c=3",
                "2!expected four hexadecimal digits after \\u",
            ],
        );
        check(b"a=\\ud83dx", &["1!\\ud83d is half a surrogate pair"]);
        check(b"=1", &["1!no key before the separator"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            parse(&bytes);
        }

        #[test]
        fn any_line_of_the_syntax_is_read(text in r"([a-z =:#!\\u0-9é\n\r\t]|\\u[0-9a-f]{4}){0,60}") {
            let lines = text.replace("\r\n", "\n").matches(['\n', '\r']).count() + 1;
            for entry in parse(text.as_bytes()).0 {
                prop_assert!((1..=lines).contains(&entry.line));
            }
        }

        #[test]
        fn what_is_written_is_read_back(pairs in prop::collection::vec((r"\PC{1,12}|[ =:#!\\\t\n]{1,4}", any::<String>()), 0..6)) {
            let text = write(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            let (entries, flaws) = parse(text.as_bytes());
            prop_assert!(flaws.is_empty(), "{flaws:?} in {text}");
            let found: Vec<(String, String)> = entries.into_iter().map(|e| (e.key, e.value)).collect();
            prop_assert_eq!(found, pairs);
        }
    }
}
