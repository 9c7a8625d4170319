//! Bytes to lines of bounded length.

/// The longest line; what follows is left out, and counted.
const MOST: usize = 8 << 10;

#[derive(Default)]
pub(super) struct Lines {
    /// A line that has not ended yet, up to `MOST` bytes of it.
    begun: Vec<u8>,
    /// Bytes of it that were left out.
    cut: usize,
}

impl Lines {
    /// Says each line that ends in these bytes. Empty lines are no lines.
    pub(super) fn feed(&mut self, mut bytes: &[u8], say: &mut impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.put(&bytes[..end]);
            self.end(say);
            bytes = &bytes[end + 1..];
        }
        self.put(bytes);
    }

    /// Says what has begun and will not go on.
    pub(super) fn end(&mut self, say: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.begun);
        let text = text.trim_end_matches('\r');
        match self.cut {
            0 if text.is_empty() => {}
            0 => say(text),
            cut => say(&format!("{text}... ({cut} more bytes)")),
        }
        self.begun.clear();
        self.cut = 0;
    }

    fn put(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(MOST - self.begun.len());
        self.begun.extend_from_slice(&bytes[..kept]);
        self.cut += bytes.len() - kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&str], expected: &[&str]) {
        let mut lines = Lines::default();
        let mut said = Vec::new();
        for chunk in chunks {
            lines.feed(chunk.as_bytes(), &mut |line| said.push(line.to_owned()));
            assert!(lines.begun.capacity() <= 2 * MOST);
        }
        lines.end(&mut |line| said.push(line.to_owned()));
        assert_eq!(said, expected);
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        check(&["a\nb\r\n\nc"], &["a", "b", "c"]);
        check(&["ab", "c\nd", "\n", ""], &["abc", "d"]);
        let long = "x".repeat(MOST + 5);
        let cut = format!("{}... (5 more bytes)", "x".repeat(MOST));
        check(&[&long, "\nnext\n"], &[&cut, "next"]);
        let endless = vec!["y"; 3 * MOST];
        let cut = format!("{}... ({} more bytes)", "y".repeat(MOST), 2 * MOST);
        check(&endless, &[&cut]);
    }
}
