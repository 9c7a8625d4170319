//! What the tests of functions share: calling one by its name, with parameters and inputs as text.

use dag::{Arguments, Bound, Catalogue};
use servable::{Element, Tensor, Type, Value};

use crate::Functions;

/// The function with parameters as YAML.
pub(crate) fn bound(name: &str, with: &str) -> Box<dyn Bound> {
    try_bound(name, with).unwrap_or_else(|errors| panic!("{name} {with}: {errors}"))
}

/// The same, or all that is wrong with them.
pub(crate) fn try_bound(name: &str, with: &str) -> Result<Box<dyn Bound>, String> {
    let with: Arguments = serde_yaml::from_str(with).expect("parameters as YAML");
    let functions = Functions::default();
    let function = functions.find(name).expect("a function of that name");
    function.bind(&with).map_err(|errors| {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    })
}

/// Its answer, or its error as text.
pub(crate) fn call(name: &str, with: &str, inputs: &[(&str, Value)]) -> Result<Value, String> {
    let inputs = inputs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    bound(name, with)
        .call(inputs.collect())
        .map_err(|error| error.to_string())
}

/// The type of its answer, or why there is none.
pub(crate) fn output(name: &str, with: &str, inputs: &[(&str, &str)]) -> String {
    let inputs: Vec<(String, Type)> = inputs
        .iter()
        .map(|(name, of)| ((*name).to_owned(), of.parse().expect("a type")))
        .collect();
    match bound(name, with).output(&inputs) {
        Ok(of) => of.to_string(),
        Err(reason) => format!("error: {reason}"),
    }
}

pub(crate) fn tensor<T: Element>(shape: &[usize], elements: &[T]) -> Value {
    Tensor::new(shape.to_vec(), elements.to_vec())
        .expect("as many elements as the shape has")
        .into()
}

/// JSON as a value.
pub(crate) fn json(text: &str) -> Value {
    crate::json::value(serde_json::from_str(text).expect("JSON"))
}

/// A value as compact JSON.
pub(crate) fn text(value: &Value) -> String {
    let json: serde_json::Value = serde_json::from_slice(&value.to_json()).expect("JSON");
    json.to_string()
}

/// A file of the reference data, which lies outside the repository; `None`, and a word on it, where it is absent.
pub(crate) fn vectors(name: &str) -> Option<serde_json::Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/vectors")
        .join(name);
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    let bytes = std::fs::read(path).expect("a readable file");
    Some(serde_json::from_slice(&bytes).expect("JSON"))
}
