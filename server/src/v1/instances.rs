//! `{"instances": […]}` to the parts of one request for each instance.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiter::Peek;
use servable::{Part, Value};

use crate::http::json::{Reader, kind};

/// Each is a request; more would hold a queue for itself.
const MOST: usize = 4096;

/// Reads a body for a model with these inputs.
///
/// # Errors
///
/// The member, what was expected and what was found.
pub(super) fn read(body: &[u8], inputs: &[&str]) -> Result<Vec<Vec<Part>>, String> {
    let mut instances = None;
    let mut reader = Reader::new(body);
    reader.object("the request", |reader, member| {
        if member != "instances" {
            return reader.pass();
        }
        let instances = instances.insert(Vec::new());
        reader.array("instances", |reader, index| {
            if index == MOST {
                return Err(format!("instances: expected at most {MOST}"));
            }
            let place = format!("instances[{index}]");
            let peek = reader.peek()?;
            let text = &body[reader.skip()?];
            instances.push(parts(text, peek, inputs, &place)?);
            Ok(())
        })
    })?;
    reader.finish()?;
    instances.ok_or_else(|| "the request: the member `instances` is missing".into())
}

fn parts(text: &[u8], peek: Peek, inputs: &[&str], place: &str) -> Result<Vec<Part>, String> {
    let whole = |value| {
        vec![Part {
            name: "body".into(),
            content_type: "application/json".into(),
            value,
        }]
    };
    if peek != Peek::Object {
        return value(text, peek, place).map(whole);
    }
    let mut members: Vec<(String, Peek, &[u8])> = Vec::new();
    let mut reader = Reader::new(text);
    reader.object(place, |reader, name| {
        let peek = reader.peek()?;
        members.push((name.to_owned(), peek, &text[reader.skip()?]));
        Ok(())
    })?;
    if let [(name, Peek::String, _)] = &members[..]
        && name == "b64"
    {
        return value(text, peek, place).map(whole);
    }
    let is_payload = |name: &str| ["data", "body"].contains(&name);
    let is_form = members.iter().any(|(name, ..)| is_payload(name))
        || (!members.is_empty()
            && members
                .iter()
                .all(|(name, ..)| inputs.contains(&name.as_str())));
    if !is_form {
        return value(text, peek, place).map(whole);
    }
    let parts = members.into_iter().map(|(name, peek, text)| {
        let value = value(text, peek, &format!("{place}.{name}"))?;
        Ok(Part {
            name,
            content_type: "application/json".into(),
            value,
        })
    });
    parts.collect()
}

/// Text as it is, `{"b64": "…"}` as bytes, and everything else as JSON that its reader takes apart.
fn value(text: &[u8], peek: Peek, place: &str) -> Result<Value, String> {
    if peek == Peek::String {
        return Reader::new(text).text(place).map(Value::from);
    }
    if peek == Peek::Object
        && let Some(encoded) = b64(text)
    {
        let decoded = STANDARD.decode(encoded.trim());
        let decoded = decoded.map_err(|error| format!("{place}: not base64: {error}"))?;
        return Ok(Value::Bytes(decoded.into()));
    }
    if peek == Peek::Null {
        return Err(format!(
            "{place}: expected an instance, found {}",
            kind(peek)
        ));
    }
    Ok(Value::Bytes(Bytes::copy_from_slice(text)))
}

fn b64(text: &[u8]) -> Option<String> {
    let mut found = None;
    let mut others = 0;
    let mut reader = Reader::new(text);
    let read = reader.object("", |reader, name| {
        if name == "b64" && reader.peek()? == Peek::String {
            found = Some(reader.text("")?);
        } else {
            others += 1;
            reader.pass()?;
        }
        Ok(())
    });
    found.filter(|_| read.is_ok() && others == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instances as their parts, `name=value`.
    fn check(instances: &str, inputs: &[&str], expected: Result<&[&[&str]], &str>) {
        let body = format!("{{\"signature_name\": [\"x\"], \"instances\": {instances}}}");
        let found = read(body.as_bytes(), inputs).map(|instances| {
            let shown = instances.iter().map(|parts| {
                let parts = parts.iter();
                let parts = parts.map(|part| format!("{}={:?}", part.name, part.value));
                parts.collect::<Vec<_>>()
            });
            shown.collect::<Vec<_>>()
        });
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{instances}"),
            (Err(found), Err(expected)) => assert_eq!(found, expected, "{instances}"),
            (found, _) => panic!("{instances}: {found:?}"),
        }
    }

    #[test]
    fn each_instance_is_a_request() {
        check(
            "[[1, 2], [3.5, 4]]",
            &["body"],
            Ok(&[&["body=Bytes(b\"[1, 2]\")"], &["body=Bytes(b\"[3.5, 4]\")"]]),
        );
        check("[\"a\\nb\"]", &["body"], Ok(&[&["body=Text(\"a\\nb\")"]]));
        check(
            "[{\"b64\": \"YQ==\"}]",
            &["body"],
            Ok(&[&["body=Bytes(b\"a\")"]]),
        );
        check(
            "[{\"data\": {\"b64\": \"YQ==\"}, \"x\": 1}]",
            &["body"],
            Ok(&[&["data=Bytes(b\"a\")", "x=Bytes(b\"1\")"]]),
        );
        check(
            "[{\"text\": \"a\"}]",
            &["body"],
            Ok(&[&["body=Bytes(b\"{\\\"text\\\": \\\"a\\\"}\")"]]),
        );
        check(
            "[{\"text\": \"a\", \"n\": 3}]",
            &["text", "n"],
            Ok(&[&["text=Text(\"a\")", "n=Bytes(b\"3\")"]]),
        );
        check("[]", &["body"], Ok(&[]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("3", &[], Err("instances: expected a list, found a number"));
        check(
            "[null]",
            &[],
            Err("instances[0]: expected an instance, found null"),
        );
        check(
            "[1, {\"b64\": \"?\"}]",
            &[],
            Err("instances[1]: not base64: Invalid symbol 63, offset 0."),
        );
        check(
            &format!("[{}1]", "1,".repeat(MOST)),
            &[],
            Err("instances: expected at most 4096"),
        );
        let missing = read(b"{}", &[]).expect_err("nothing there");
        assert_eq!(missing, "the request: the member `instances` is missing");
    }
}
