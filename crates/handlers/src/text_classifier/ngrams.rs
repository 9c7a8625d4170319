/// Every word, then every run of two words, and so on up to `longest`: torchtext's order.
pub(crate) fn tokens(words: &[&str], longest: usize) -> impl Iterator<Item = String> {
    // No run is longer than the text, however large the setting is.
    (1..=longest.min(words.len())).flat_map(|length| words.windows(length).map(|run| run.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], longest: usize, expected: &[&str]) {
        assert_eq!(tokens(words, longest).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn words_come_before_runs() {
        check(&["a", "b", "c"], 2, &["a", "b", "c", "a b", "b c"]);
        check(&["a", "b"], 1, &["a", "b"]);
        check(&["a"], 2, &["a"]);
        check(&[], 2, &[]);
        check(&["a", "b"], usize::MAX, &["a", "b", "a b"]);
    }
}
