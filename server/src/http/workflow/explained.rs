//! An answer and how it came about, as one body: an object of JSON gets a member more, anything else becomes the first part
//! of a `multipart/mixed` answer whose second part is the explanation.

use bytes::{BufMut, BytesMut};
use servable::{Output, Value};
use uuid::Uuid;

/// The member, and the name of the part.
pub(super) const MEMBER: &str = "explain";

pub(super) fn with(mut output: Output, timeline: Value) -> Output {
    let content_type = output.content_type.clone().unwrap_or_default();
    if content_type.starts_with("application/json") {
        match object(output.value, &timeline) {
            Ok(value) => {
                output.value = value;
                return output;
            }
            Err(value) => output.value = value,
        }
    }
    let boundary = Uuid::new_v4().simple().to_string();
    let parts = [
        ("answer", content_type.as_str(), output.value),
        (MEMBER, "application/json", timeline),
    ];
    let mut body = BytesMut::new();
    for (name, content_type, value) in parts {
        body.put_slice(format!("--{boundary}\r\n").as_bytes());
        let head = format!("Content-Disposition: inline; name=\"{name}\"\r\n");
        body.put_slice(head.as_bytes());
        if !content_type.is_empty() {
            body.put_slice(format!("Content-Type: {content_type}\r\n").as_bytes());
        }
        body.put_slice(b"\r\n");
        body.put_slice(&value.into_body());
        body.put_slice(b"\r\n");
    }
    body.put_slice(format!("--{boundary}--\r\n").as_bytes());
    output.value = Value::Bytes(body.freeze());
    output.content_type = Some(format!("multipart/mixed; boundary={boundary}"));
    output
}

/// The object with one member more; what is no object, or has such a member, comes back as it is.
fn object(value: Value, timeline: &Value) -> Result<Value, Value> {
    // Models answer JSON as bytes or as text.
    let parsed = if let Value::Bytes(bytes) = &value {
        dag::from_json(bytes)
    } else if let Value::Text(text) = &value {
        dag::from_json(text.as_bytes())
    } else {
        Some(value.clone())
    };
    let Some(Value::Map(members)) = parsed else {
        return Err(value);
    };
    if members.iter().any(|(name, _)| name == MEMBER) {
        return Err(value);
    }
    let explain = (MEMBER.to_owned(), timeline.clone());
    Ok(Value::map(members.iter().cloned().chain([explain])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value, content_type: &str, expected: &str) {
        let output = Output::new(value).with_content_type(content_type);
        let explained = with(output, Value::map([("total_ms", Value::Float(1.5))]));
        let content_type = explained.content_type.unwrap_or_default();
        let body = String::from_utf8_lossy(&explained.value.into_body()).into_owned();
        let boundary = content_type.split("boundary=").nth(1).unwrap_or("none");
        let shown = format!("{content_type}\n{body}").replace(boundary, "Z");
        let shown: String = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(shown, expected);
    }

    #[test]
    fn an_object_gets_a_member_and_anything_else_a_part() {
        let expected = r#"application/json { "a": 1, "explain": { "total_ms": 1.5 } }"#;
        check(
            Value::map([("a", Value::Int(1))]),
            "application/json",
            expected,
        );
        check(
            Value::Bytes(r#"{"a": 1}"#.into()),
            "application/json",
            expected,
        );
        let parts = |content_type: &str, body: &str| {
            format!(
                "multipart/mixed; boundary=Z --Z Content-Disposition: inline; name=\"answer\" Content-Type: {content_type} \
                 {body} --Z Content-Disposition: inline; name=\"explain\" Content-Type: application/json \
                 {{ \"total_ms\": 1.5 }} --Z--"
            )
        };
        check(
            Value::Bytes("PNG".into()),
            "image/png",
            &parts("image/png", "PNG"),
        );
        check(
            Value::Bytes("[1]".into()),
            "application/json",
            &parts("application/json", "[1]"),
        );
        let own = Value::Bytes(r#"{"explain":0}"#.into());
        check(
            own,
            "application/json",
            &parts("application/json", r#"{"explain":0}"#),
        );
    }
}
