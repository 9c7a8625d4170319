//! What a request has in place of the part that somebody looks for, in the words of a message: the same on every wire.

use super::Input;

/// How many parts a message names, and how much of their names: a client may call them anything.
const FEW: usize = 8;
const LONG: usize = 40;

/// curl's `-d` and `--data-binary` say that whatever they send is a form.
const CURE: &str = "with curl, send a file with -T FILE or -F data=@FILE, and JSON with -H 'Content-Type: application/json'";

impl Input {
    /// The names of its parts; of a form without any, what arrived and how to send a file or JSON.
    pub fn found(&self) -> String {
        let names = self.parts.iter().take(FEW).map(|part| {
            let name: String = part.name.chars().take(LONG).collect();
            format!("`{}`", name.escape_default())
        });
        let names: Vec<_> = names.collect();
        match names.is_empty() {
            true => self.without_fields().unwrap_or_else(|| "none".into()),
            false => names.join(", "),
        }
    }

    /// What to say of a form that has no fields; `None` of anything else.
    pub fn without_fields(&self) -> Option<String> {
        let content_type = self.header("content-type").unwrap_or_default();
        let mime = content_type.split(';').next().unwrap_or_default().trim();
        let is_form = ["application/x-www-form-urlencoded", "multipart/form-data"]
            .iter()
            .any(|form| mime.eq_ignore_ascii_case(form));
        let length = self.header("content-length");
        let length = length.and_then(|length| length.trim().parse::<u64>().ok());
        let length = match length {
            Some(1) => " of 1 byte".into(),
            Some(length) => format!(" of {length} bytes"),
            // It came in chunks.
            None => String::new(),
        };
        (is_form && self.parts.is_empty())
            .then(|| format!("none (a form{length} without fields was sent: {CURE})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Part;

    fn check(names: &[&str], content_type: &str, length: Option<&str>, expected: &str) {
        let part = |name: &&str| Part {
            name: (*name).into(),
            content_type: String::new(),
            value: "x".into(),
        };
        let headers = [
            ("Content-Type", Some(content_type)),
            ("content-length", length),
        ];
        let headers = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        let input = Input {
            parts: names.iter().map(part).collect(),
            headers: headers.collect(),
            ..Input::default()
        };
        assert_eq!(input.found(), expected);
    }

    #[test]
    fn what_came_is_said_and_of_a_form_without_fields_what_to_do() {
        let form = "application/x-www-form-urlencoded";
        check(&["photo", "a\nb"], form, Some("5"), "`photo`, `a\\nb`");
        check(&[], "application/json", Some("0"), "none");
        let told = |length: &str| format!("none (a form{length} without fields was sent: {CURE})");
        check(&[], form, Some("520"), &told(" of 520 bytes"));
        check(&[], form, Some("0"), &told(" of 0 bytes"));
        check(
            &[],
            "Application/X-WWW-Form-Urlencoded; charset=utf-8",
            Some("1"),
            &told(" of 1 byte"),
        );
        check(&[], "multipart/form-data; boundary=x", None, &told(""));
    }
}
