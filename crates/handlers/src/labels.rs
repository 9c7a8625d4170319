//! Names of classes, from `index_to_name.json` or a list.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value as Json;
use servable::{LoadError, Value};

use crate::ModelContext;
use crate::parameters::Parameters;

/// The file that every default handler looks for in the archive.
const FILE: &str = "index_to_name.json";

/// Class numbers to names, no name twice. A class without a name goes by its number.
///
/// Where the file gives one name to several classes (ImageNet has two kinds of `crane`), the lowest class keeps it and
/// the others carry their number behind it (`crane (517)`): an answer is an object, which can hold a name only once.
#[derive(Debug, Default)]
pub(crate) struct Labels(Vec<Option<String>>);

impl Labels {
    /// The file that the parameter `labels` names, else `index_to_name.json`, else none.
    pub(crate) fn load(
        context: &ModelContext<'_>,
        parameters: &Parameters<'_>,
    ) -> Result<Self, LoadError> {
        let path = match parameters.file("labels")? {
            Some(path) => path,
            None => context.dir.join(FILE),
        };
        if path.is_file() {
            Labels::read(&path)
        } else {
            Ok(Labels::default())
        }
    }

    fn read(path: &Path) -> Result<Self, LoadError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read(path)
            .map_err(|error| LoadError::Invalid(format!("{name}: cannot be read: {error}")))?;
        let json = serde_json::from_slice(&text)
            .map_err(|error| LoadError::Invalid(format!("{name}: not JSON: {error}")))?;
        Labels::parse(&json).map_err(|reason| LoadError::Invalid(format!("{name}: {reason}")))
    }

    /// `{"0": "label"}`, `{"0": ["id", …, "label"]}`, `{"object_type_names": ["label", …]}`, `["label", …]` or
    /// `[{"id": 0, "name": "label"}, …]`.
    fn parse(json: &Json) -> Result<Self, String> {
        let mut names = Names::default();
        match json {
            Json::Object(members) => match members.get("object_type_names") {
                Some(list) => names.put_list("object_type_names", list)?,
                None => {
                    for (key, value) in members {
                        let class = key
                            .trim()
                            .parse()
                            .map_err(|_| format!("key `{key}`: expected a class number"))?;
                        names.put(&format!("key `{key}`"), class, value)?;
                    }
                }
            },
            list @ Json::Array(_) => names.put_list("list", list)?,
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
                return Err("expected an object of class numbers and names".into());
            }
        }
        Ok(Labels(made_unique(names.0)))
    }

    /// How many classes the file speaks of.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The names of all these classes.
    pub(crate) fn names(&self) -> Vec<String> {
        (0..self.len()).map(|class| self.name(class)).collect()
    }

    /// `{label: probability, …}` in the order given.
    pub(crate) fn answer(&self, classes: Vec<(usize, f32)>) -> Value {
        Value::map(
            classes
                .into_iter()
                .map(|(class, share)| (self.name(class), Value::Float(share.into()))),
        )
    }

    pub(crate) fn name(&self, class: usize) -> String {
        match self.0.get(class) {
            Some(Some(name)) => name.clone(),
            Some(None) | None => class.to_string(),
        }
    }
}

/// More classes than any network has; a class number beyond is a mistake that must not cost memory.
const MAX_CLASSES: usize = 1 << 24;

#[derive(Default)]
struct Names(Vec<Option<String>>);

impl Names {
    fn put_list(&mut self, key: &str, list: &Json) -> Result<(), String> {
        let items = list
            .as_array()
            .ok_or_else(|| format!("key `{key}`: expected a list of names"))?;
        for (index, item) in items.iter().enumerate() {
            let place = format!("{key}[{index}]");
            if let Some(members) = item.as_object() {
                let class = members
                    .get("id")
                    .and_then(Json::as_u64)
                    .ok_or_else(|| format!("{place}.id: expected a class number"))?;
                let name = members.get("name").unwrap_or(&Json::Null);
                self.put(&format!("{place}.name"), class as usize, name)?;
            } else {
                self.put(&place, index, item)?;
            }
        }
        Ok(())
    }

    /// A name, or a list whose last element is the name.
    fn put(&mut self, place: &str, class: usize, value: &Json) -> Result<(), String> {
        let last = value.as_array().map_or(Some(value), |items| items.last());
        let name = last
            .and_then(Json::as_str)
            .ok_or_else(|| format!("{place}: expected a name or a list that ends in one"))?;
        if class >= MAX_CLASSES {
            return Err(format!("{place}: class {class} is out of range"));
        }
        if self.0.len() <= class {
            self.0.resize(class + 1, None);
        }
        self.0[class] = Some(name.into());
        Ok(())
    }
}

fn made_unique(mut names: Vec<Option<String>>) -> Vec<Option<String>> {
    let mut taken = HashSet::new();
    for (class, name) in names.iter_mut().enumerate() {
        let Some(name) = name else { continue };
        while !taken.insert(name.clone()) {
            *name = format!("{name} ({class})");
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &[&str]) {
        let json = serde_json::from_str(json).expect("JSON");
        let labels = Labels::parse(&json).expect("labels");
        let found: Vec<_> = (0..expected.len())
            .map(|class| labels.name(class))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn all_forms_of_the_file() {
        check(r#"{"0": "cat", "1": "dog"}"#, &["cat", "dog", "2"]);
        check(
            r#"{"1": ["n02", "dog"], "0": ["n01", "cat"]}"#,
            &["cat", "dog"],
        );
        check(r#"{"object_type_names": ["cat", "dog"]}"#, &["cat", "dog"]);
        check(r#"["cat", "dog"]"#, &["cat", "dog"]);
        check(r#"[{"id": 2, "name": "dog"}]"#, &["0", "1", "dog"]);
        check(r#"{}"#, &["0"]);
    }

    #[test]
    fn no_name_stands_twice() {
        check(
            r#"["crane", "cow", "crane"]"#,
            &["crane", "cow", "crane (2)"],
        );
    }

    fn check_refused(json: &str, expected: &str) {
        let json = serde_json::from_str(json).expect("JSON");
        assert_eq!(Labels::parse(&json).expect_err("malformed"), expected);
    }

    #[test]
    fn a_malformed_file_is_refused_with_its_key() {
        check_refused(r#"{"cat": "0"}"#, "key `cat`: expected a class number");
        check_refused(
            r#"{"0": {"name": "cat"}}"#,
            "key `0`: expected a name or a list that ends in one",
        );
        check_refused(
            r#"{"object_type_names": [7]}"#,
            "object_type_names[0]: expected a name or a list that ends in one",
        );
        check_refused(
            r#"{"99999999999": "cat"}"#,
            "key `99999999999`: class 99999999999 is out of range",
        );
        check_refused("3", "expected an object of class numbers and names");
    }

    #[test]
    fn the_archive_decides_where_labels_come_from() {
        let dir = tempfile::tempdir().expect("a folder");
        let load = |settings: &str| {
            let settings = serde_yaml::from_str(settings).expect("YAML");
            let context = ModelContext {
                settings: Some(&settings),
                ..ModelContext::new(dir.path())
            };
            let parameters = Parameters::read(&context).expect("a section");
            Labels::load(&context, &parameters).map(|labels| labels.name(0))
        };
        assert_eq!(load("{}"), Ok("0".into()));
        std::fs::write(dir.path().join(FILE), r#"{"0": "cat"}"#).expect("a file");
        std::fs::write(dir.path().join("broken.json"), "{").expect("a file");
        assert_eq!(load("{}"), Ok("cat".into()));
        let message = |settings| load(settings).expect_err("refused").to_string();
        assert!(message("labels: broken.json").starts_with("broken.json: not JSON: "));
        assert_eq!(
            message("labels: ../secret.json"),
            "handler.labels: `../secret.json` is not inside the archive"
        );
        assert_eq!(
            message("labels: none.json"),
            "handler.labels: the archive has no file `none.json`"
        );
    }
}
