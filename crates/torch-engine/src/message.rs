//! What libtorch says, cut down to what a person can use.

/// The longest line that leaves here, in characters.
const LONGEST: usize = 300;

/// The one line of a libtorch error that says what went wrong. TorchScript wraps it in a Python-like traceback and C++
/// frames, kilobytes of them and sometimes whole tensors; those belong in the log.
pub fn first_useful_line(error: &str) -> String {
    let lines = || error.lines().map(str::trim).filter(|line| !line.is_empty());
    let raised = lines().rev().find_map(raised_message);
    let line = raised
        .or_else(|| lines().find(|line| !is_wrapping(line)))
        .unwrap_or("libtorch gave no reason");
    // `Exception raised from f at file.cpp:12` may stand on the same line.
    let line = line.split(" (Exception raised from").next().unwrap_or(line);
    shorten(without_pointer(line))
}

/// A parser ends its message with `here:` and draws the place below, where nobody who reads one line sees it.
fn without_pointer(line: &str) -> &str {
    match line.trim_end().strip_suffix(':') {
        Some(line) => line.strip_suffix(" here").unwrap_or(line).trim_end(),
        None => line,
    }
}

/// The text behind a Python-like exception name, such as `RuntimeError: shapes cannot be multiplied`.
fn raised_message(line: &str) -> Option<&str> {
    let (name, message) = line.split_once(": ")?;
    let is_name = name.ends_with("Error") || name.ends_with("Exception");
    (is_name && !name.contains(' ') && !message.is_empty()).then_some(message)
}

fn is_wrapping(line: &str) -> bool {
    const WRAPPING: [&str; 5] = [
        "The following operation failed in the TorchScript interpreter",
        "Traceback of TorchScript",
        "Exception raised from",
        "frame #",
        "C++ CapturedTraceback",
    ];
    WRAPPING.iter().any(|start| line.starts_with(start))
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &str, expected: &str) {
        assert_eq!(first_useful_line(error), expected);
    }

    #[test]
    fn the_raised_message_is_found_in_the_traceback() {
        check(
            "The following operation failed in the TorchScript interpreter.\n\
             Traceback of TorchScript, serialized code (most recent call last):\n  \
             File \"code/__torch__/m.py\", line 7, in forward\n    _0 = torch.linear(x, w)\n         \
             ~~~~~~~~~~~~ <--- HERE\n  return _0\n\n\
             RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x3 and 4x8)\n",
            "mat1 and mat2 shapes cannot be multiplied (1x3 and 4x8)",
        );
    }

    #[test]
    fn plain_errors_lose_their_frames() {
        check(
            "PytorchStreamReader failed reading zip archive: failed finding central directory\n\
             Exception raised from valid at inline_container.cc:160\nframe #0: c10::Error\n",
            "PytorchStreamReader failed reading zip archive: failed finding central directory",
        );
        check("", "libtorch gave no reason");
    }

    #[test]
    fn a_pointer_to_lines_below_is_dropped() {
        let below =
            "\n  File \"code/m.py\", line 1\n    def forward(,\n                ~ <--- HERE\n";
        check(
            &format!("expected ident but found ',' here:{below}"),
            "expected ident but found ','",
        );
        check(&format!("Unknown type name:{below}"), "Unknown type name");
    }

    #[test]
    fn a_printed_tensor_does_not_reach_the_client() {
        let long = format!("expected {}", "1, ".repeat(4000));
        assert_eq!(first_useful_line(&long).chars().count(), LONGEST + 1);
    }
}
