//! Templates of answers: JSON in which a text `$.name` stands for a member of what is at hand.
//!
//! `$.a.b` is the member `b` of the member `a`, `$.` is the whole. A text that shall begin with `$.` itself is written with
//! two dollars, `$$.`. Tensors stay tensors: nothing is turned into JSON before the answer is written.

use dag::value_of;
use serde_json::Value as Json;
use servable::Value;

/// `template` with what it names of `from`. An error is the path that leads nowhere.
pub fn shaped(template: &Json, from: &Value) -> Result<Value, String> {
    Ok(match template {
        Json::String(text) => match text.strip_prefix("$.") {
            Some(path) => find(from, path).ok_or_else(|| text.clone())?.clone(),
            None => match text.strip_prefix("$$.") {
                Some(rest) => format!("$.{rest}").as_str().into(),
                None => text.as_str().into(),
            },
        },
        Json::Array(items) => {
            let items: Result<Vec<Value>, _> =
                items.iter().map(|item| shaped(item, from)).collect();
            Value::list(items?)
        }
        Json::Object(members) => {
            let members: Result<Vec<(String, Value)>, String> = members
                .iter()
                .map(|(name, member)| Ok((name.clone(), shaped(member, from)?)))
                .collect();
            Value::map(members?)
        }
        other @ (Json::Null | Json::Bool(_) | Json::Number(_)) => value_of(other),
    })
}

fn find<'a>(from: &'a Value, path: &str) -> Option<&'a Value> {
    let names = path.split('.').filter(|name| !name.is_empty());
    names
        .into_iter()
        .try_fold(from, |value, name| value.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_the_answer_are_put_in_their_places() {
        let from = dag::from_json(br#"{"size": [2, 1], "mask": {"rows": [[0, 1]]}, "n": null}"#)
            .expect("JSON");
        let check = |template: &str, expected: Result<&str, &str>| {
            let template = serde_json::from_str(template).expect("JSON");
            let found = shaped(&template, &from).map(|value| {
                let json: Json = serde_json::from_slice(&value.to_json()).expect("JSON");
                json.to_string()
            });
            let found = found.as_deref().map_err(String::as_str);
            assert_eq!(found, expected, "{template}");
        };
        check(
            r#"{"status": "ok", "size": "$.size", "map": "$.mask.rows"}"#,
            Ok(r#"{"status":"ok","size":[2,1],"map":[[0,1]]}"#),
        );
        check(
            r#"["$.n", 1, true, 0.5, "a $.n", "$$.n", "$n"]"#,
            Ok(r#"[null,1,true,0.5,"a $.n","$.n","$n"]"#),
        );
        check(r#""$.mask.""#, Ok(r#"{"rows":[[0,1]]}"#));
        check(r#"{"a": ["$.mask.columns"]}"#, Err("$.mask.columns"));
        check(r#""$.size.0""#, Err("$.size.0"));
    }
}
