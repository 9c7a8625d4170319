//! What happens to a text before its words are looked up, in the order of TorchServe's text handler: markup out, lower
//! case, contractions written out, accents off, punctuation out, cut at white space.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use unicode_normalization::UnicodeNormalization;

/// The text in plain lower-case ASCII words.
pub(crate) fn clean(text: &str) -> String {
    let text = MARKUP.replace_all(text, "").to_lowercase();
    let text = CONTRACTIONS.expand(&text);
    text.nfkd()
        .filter(|character| character.is_ascii() && !character.is_ascii_punctuation())
        .collect()
}

/// The words of a cleaned text. torchtext's "basic English" would also split off punctuation; none is left.
pub(crate) fn words(clean: &str) -> Vec<&str> {
    // Python counts the four ASCII separators as white space, Rust does not.
    clean
        .split(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c))
        .filter(|word| !word.is_empty())
        .collect()
}

/// Tags and character references.
static MARKUP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"<.*?>|&([a-z0-9]+|#[0-9]{1,6}|#x[0-9a-f]{1,6});").expect("a constant pattern")
});

static CONTRACTIONS: LazyLock<Contractions> = LazyLock::new(Contractions::new);

struct Contractions {
    pattern: Regex,
    long: HashMap<String, String>,
}

impl Contractions {
    fn new() -> Self {
        let long = table();
        let mut short: Vec<_> = long.keys().map(|short| regex::escape(short)).collect();
        // The first alternative that matches wins, and `he'd` would leave half of `he'd've`.
        short.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        Contractions {
            pattern: Regex::new(&short.join("|")).expect("escaped words make a pattern"),
            long,
        }
    }

    fn expand(&self, text: &str) -> String {
        self.pattern
            .replace_all(text, |found: &Captures<'_>| {
                self.long.get(&found[0]).map_or("", String::as_str)
            })
            .into_owned()
    }
}

/// Short forms to long ones. Where English leaves a choice (`he's`: is, has), the more frequent one.
fn table() -> HashMap<String, String> {
    let mut long = HashMap::new();
    for verb in NEGATED {
        long.insert(format!("{verb}n't"), format!("{verb} not"));
        long.insert(format!("{verb}n't've"), format!("{verb} not have"));
    }
    for verb in ["could", "might", "must", "should", "would"] {
        long.insert(format!("{verb}'ve"), format!("{verb} have"));
    }
    for (subject, endings) in SUBJECTS {
        for ending in endings.split(' ') {
            let verb = match ending {
                "'d" => "would",
                "'d've" => "would have",
                "'ll" => "will",
                "'ll've" => "will have",
                "'m" => "am",
                "'re" => "are",
                "'s" => "is",
                _ => "have",
            };
            long.insert(format!("{subject}{ending}"), format!("{subject} {verb}"));
        }
    }
    for (short, words) in IRREGULAR {
        long.insert(short.into(), words.into());
    }
    long
}

const NEGATED: [&str; 19] = [
    "are", "could", "dare", "did", "does", "do", "had", "has", "have", "is", "may", "might",
    "must", "need", "ought", "should", "was", "were", "would",
];

const SUBJECTS: [(&str, &str); 17] = [
    ("i", "'d 'd've 'll 'll've 'm 've"),
    ("you", "'d 'd've 'll 'll've 're 've"),
    ("he", "'d 'd've 'll 'll've 's"),
    ("she", "'d 'd've 'll 'll've 's"),
    ("it", "'d 'd've 'll 'll've 's"),
    ("we", "'d 'd've 'll 'll've 're 've"),
    ("they", "'d 'd've 'll 'll've 're 've"),
    ("this", "'s"),
    ("that", "'d 'd've 'll 's"),
    ("there", "'d 'd've 'll 're 's"),
    ("what", "'ll 'll've 're 's 've"),
    ("when", "'s 've"),
    ("where", "'re 's 've"),
    ("who", "'d 'll 'll've 're 's 've"),
    ("why", "'s 've"),
    ("how", "'ll 're 's"),
    ("so", "'s 've"),
];

const IRREGULAR: [(&str, &str); 22] = [
    ("ain't", "is not"),
    ("can't", "cannot"),
    ("can't've", "cannot have"),
    ("won't", "will not"),
    ("won't've", "will not have"),
    ("shan't", "shall not"),
    ("shan't've", "shall not have"),
    ("sha'n't", "shall not"),
    ("'cause", "because"),
    ("how'd", "how did"),
    ("how'd'y", "how do you"),
    ("where'd", "where did"),
    ("let's", "let us"),
    ("ma'am", "madam"),
    ("o'clock", "of the clock"),
    ("to've", "to have"),
    ("will've", "will have"),
    ("y'all", "you all"),
    ("y'all'd", "you all would"),
    ("y'all'd've", "you all would have"),
    ("y'all're", "you all are"),
    ("y'all've", "you all have"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(words(&clean(text)).join(" "), expected, "{text}");
    }

    #[test]
    fn markup_goes() {
        check("A <b>bold</b> move<br />here", "a bold movehere");
        check("salt &amp; pepper&#39;s&#xe9;", "salt peppers");
        check("1 < 2 and 3 > 2", "1 2");
        check("a <b\n> c", "a b c");
        check("&AMP; stays", "amp stays");
    }

    #[test]
    fn contractions_are_written_out() {
        check("You've won, haven't you?", "you have won have not you");
        check(
            "He'd've gone; she's here.",
            "he would have gone she is here",
        );
        check(
            "I can't. I won't! They shouldn't've",
            "i cannot i will not they should not have",
        );
        check("'Cause it's 5 o'clock", "because it is 5 of the clock");
        check("the dog's bone", "the dogs bone");
        check("Don’t", "dont");
    }

    #[test]
    fn accents_and_other_scripts_go() {
        check("Café NAÏVE ﬁne", "cafe naive fine");
        check("Ελλάδα 7 北京", "7");
    }

    #[test]
    fn punctuation_goes_without_leaving_a_gap() {
        check(
            "well-known, \"quoted\" (and) more...",
            "wellknown quoted and more",
        );
        check("  a\t\nb\u{1f}c  ", "a b c");
        check("", "");
        check("!?", "");
    }
}
