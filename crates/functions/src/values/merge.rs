use dag::{About, FunctionError, Inputs};
use serde_json::Value as Json;
use servable::{Field, Type, Value};

use crate::given::{Given, wrong};
use crate::native::{Native, Ready, setting};
use crate::parameters::Parameters;
use crate::path::Path;

const ABOUT: About = About {
    name: "merge",
    summary: "Makes one object of several inputs",
    details: "`fields` says for each member of the answer which input it is, or which member inside an input; without it, every \
input becomes the member of its own name. Where a member of text or of bytes is asked for, they are read as JSON first. An \
input that was skipped is left out; a member that an input does not have is an error.",
    inputs: &[],
    open: true,
    parameters: &[setting(
        "fields",
        "`{name: input, name: input.member, …}`",
        "all inputs by their names",
        "what the object is made of",
    )],
    output: "{}",
    example: "answer: {function: merge, in: {yolo: detector, lprnet: reader}, with: {fields: {coordinates: yolo.coordinates, texts: lprnet.data}}}",
};

pub(crate) static FUNCTION: Native = Native { about: ABOUT, bind };

/// What TorchServe's examples call the function at the end of a workflow.
pub(crate) static AGGREGATE: Native = Native {
    about: About {
        name: "aggregate",
        summary: "Another name of `merge`",
        details: "As `merge` in every respect, for specs whose last node is called so.",
        example: "aggregate: {in: {yolo: yolo, lprnet: lprnet}, with: {fields: {coordinates: yolo.coordinates, texts: lprnet.data}}}",
        ..ABOUT
    },
    bind,
};

struct Merge {
    /// Name, input and path inside it; `None` for all inputs as they are.
    fields: Option<Vec<(String, String, Path)>>,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let written = parameters.typed(
        "fields",
        "an object of names and references",
        Json::as_object,
    );
    let fields = written.map(|written| {
        let mut fields = Vec::new();
        for (name, reference) in written {
            match read(reference) {
                Ok((input, path)) => fields.push((name.clone(), input, path)),
                Err(reason) => parameters.refuse(&format!("fields.{name}"), reason),
            }
        }
        fields
    });
    Box::new(Merge { fields })
}

fn read(reference: &Json) -> Result<(String, Path), String> {
    let text = reference
        .as_str()
        .ok_or_else(|| format!("expected a reference such as `input.member`, found {reference}"))?;
    let path = Path::parse(text)?;
    let (input, inside) = path
        .split()
        .ok_or_else(|| format!("`{text}` does not begin with the name of an input"))?;
    Ok((input.to_owned(), inside))
}

impl Ready for Merge {
    fn output(&self, inputs: &Inputs<Type>) -> Result<Type, String> {
        let Some(fields) = &self.fields else {
            let fields = inputs.iter().map(|(name, of)| Field {
                name: name.clone(),
                of: of.clone(),
            });
            return Ok(Type::Record(fields.collect()));
        };
        let fields = fields.iter().map(|(name, input, path)| {
            let (_, of) = inputs
                .iter()
                .find(|(known, _)| known == input)
                .ok_or_else(|| {
                    let known: Vec<_> = inputs.iter().map(|(name, _)| name.as_str()).collect();
                    format!(
                        "`{name}` is made of input `{input}`, which is not given (there are {})",
                        known.join(", ")
                    )
                })?;
            Ok(Field {
                name: name.clone(),
                of: path
                    .type_in(of)
                    .map_err(|reason| format!("input `{input}`: {reason}"))?,
            })
        });
        Ok(Type::Record(fields.collect::<Result<_, String>>()?))
    }

    fn call(&self, inputs: Given) -> Result<Value, FunctionError> {
        let Some(fields) = &self.fields else {
            return Ok(Value::map(inputs.all()));
        };
        let inputs = inputs.all();
        let mut members = Vec::with_capacity(fields.len());
        for (name, input, path) in fields {
            let Some((_, value)) = inputs.iter().find(|(known, _)| known == input) else {
                continue;
            };
            let member = path
                .value_in(value)
                .map_err(|reason| wrong(input, reason))?;
            members.push((name.as_str(), member));
        }
        Ok(Value::map(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, json, output, text, try_bound};

    const FIELDS: &str = "{fields: {coordinates: yolo.coordinates, texts: lprnet.data}}";

    fn check(with: &str, inputs: &[(&str, Value)], expected: &str) {
        for name in ["merge", "aggregate"] {
            let found = call(name, with, inputs);
            let found = found.map_or_else(|error| error, |found| text(&found));
            assert_eq!(found, expected, "{name} {with}");
        }
    }

    #[test]
    fn fields_are_picked_from_values_and_from_json() {
        let yolo = json(r#"{"data": [1], "coordinates": [{"xmin": 2}]}"#);
        let lprnet = Value::Bytes(r#"{"data": ["B840CK197"]}"#.into());
        let expected = r#"{"coordinates":[{"xmin":2}],"texts":["B840CK197"]}"#;
        check(
            FIELDS,
            &[("lprnet", lprnet.clone()), ("yolo", yolo.clone())],
            expected,
        );
        check(
            FIELDS,
            &[("yolo", yolo.clone())],
            r#"{"coordinates":[{"xmin":2}]}"#,
        );
        check(
            FIELDS,
            &[("yolo", yolo), ("lprnet", Value::Bytes("{}".into()))],
            "input `lprnet` `lprnet.data`: no member `data` in an empty object",
        );
        check("{fields: {a: b}}", &[("b", Value::Int(1))], r#"{"a":1}"#);
    }

    #[test]
    fn without_fields_all_inputs_go_by_their_names() {
        check(
            "{}",
            &[("b", Value::Int(1)), ("a", Value::Null)],
            r#"{"b":1,"a":null}"#,
        );
        check("{}", &[], "{}");
    }

    #[test]
    fn types_are_merged_and_mistakes_told() {
        let types = [("yolo", "{coordinates: list<any>}"), ("lprnet", "json")];
        assert_eq!(
            output("merge", FIELDS, &types),
            "{coordinates: list<any>, texts: any}"
        );
        assert_eq!(
            output(
                "merge",
                FIELDS,
                &[("yolo", "{boxes: boxes}"), ("lprnet", "json")]
            ),
            "error: input `yolo`: `yolo.coordinates`: {boxes: boxes} has no member `coordinates`"
        );
        assert_eq!(
            output("merge", FIELDS, &[("yolo", "json")]),
            "error: `texts` is made of input `lprnet`, which is not given (there are yolo)"
        );
        let refused = |with| try_bound("merge", with).err().unwrap_or_default();
        assert_eq!(
            refused("{fields: {a: 1, b: '[0]', c: x..y}}"),
            "fields.a: expected a reference such as `input.member`, found 1; fields.b: `[0]` does not begin with the name \
             of an input; fields.c: `x..y` has an empty name in it"
        );
    }
}
