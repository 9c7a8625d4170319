//! `MAR-INF/MANIFEST.json`: who the model is and which files make it. Read leniently where TorchServe is lenient
//! (absent members, members nobody knows), strictly where a mistake would only surface later.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::error::one_line;
use crate::members::{Members, put};

/// Where the manifest lies in an archive.
pub const MANIFEST: &str = "MAR-INF/MANIFEST.json";

/// A model's description of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// When the archive was packed, as its archiver wrote it (`dd/mm/yyyy HH:MM:SS`).
    pub created_on: Option<String>,
    pub runtime: Runtime,
    pub model: ModelSection,
    /// Version of the tool that packed the archive.
    pub archiver_version: Option<String>,
    /// Members this crate gives no meaning, in their order.
    pub rest: Map<String, Value>,
}

/// The manifest's `model` member. File names are relative to the archive's root.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSection {
    /// `modelName`, else derived from the archive's file name.
    pub model_name: String,
    /// `serializedFile`: weights, TorchScript or `.pt2`.
    pub serialized_file: Option<String>,
    /// `handler`: a default handler's name, or `file.py` with an optional `:function`. Absent means the server's default.
    pub handler: Option<String>,
    /// `modelFile`: Python source of an eager model.
    pub model_file: Option<String>,
    /// `modelVersion`, else `1.0`.
    pub model_version: String,
    /// `requirementsFile`: what the handler wants installed.
    pub requirements_file: Option<String>,
    /// `configFile`: see [`ModelConfig`](crate::ModelConfig).
    pub config_file: Option<String>,
    /// Members this crate gives no meaning, in their order.
    pub rest: Map<String, Value>,
}

/// What runs the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Runtime {
    #[default]
    Python,
    Python3,
    /// TorchServe's C++ back end.
    Lsp,
}

impl Runtime {
    pub fn as_str(self) -> &'static str {
        match self {
            Runtime::Python => "python",
            Runtime::Python3 => "python3",
            Runtime::Lsp => "LSP",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Runtime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Runtime::Python, Runtime::Python3, Runtime::Lsp]
            .into_iter()
            .find(|runtime| runtime.as_str() == text)
            .ok_or_else(|| format!("expected python, python3 or LSP, found {text:?}"))
    }
}

impl Manifest {
    /// The manifest of an archive that has none: TorchServe's defaults.
    pub fn absent(model_name: String) -> Self {
        Manifest {
            created_on: None,
            runtime: Runtime::default(),
            model: ModelSection {
                model_name,
                serialized_file: None,
                handler: None,
                model_file: None,
                model_version: DEFAULT_VERSION.to_owned(),
                requirements_file: None,
                config_file: None,
                rest: Map::new(),
            },
            archiver_version: None,
            rest: Map::new(),
        }
    }

    /// Reads a manifest. `model_name` stands in for a missing `modelName`. The error is one line that names the member
    /// at fault; it does not name the file.
    pub fn from_json(text: &[u8], model_name: String) -> Result<Self, String> {
        let document = serde_json::from_slice(text).map_err(one_line)?;
        let mut whole = Members::new(document, "")?;
        let model = whole
            .take("model")
            .ok_or("member \"model\" is missing")
            .map(|model| Members::new(model, "model."))??;
        Ok(Manifest {
            created_on: whole.text("createdOn")?,
            runtime: whole
                .text("runtime")?
                .map_or(Ok(Runtime::default()), |text| text.parse())
                .map_err(|error| format!("member \"runtime\": {error}"))?,
            model: ModelSection::read(model, model_name)?,
            archiver_version: whole.text("archiverVersion")?,
            rest: whole.rest,
        })
    }

    /// The manifest as its file's text: members in TorchServe's order, absent ones left out, indented by two.
    pub fn to_json(&self) -> String {
        let mut whole = Map::new();
        put(&mut whole, "createdOn", self.created_on.as_deref());
        put(&mut whole, "runtime", Some(self.runtime.as_str()));
        whole.insert("model".to_owned(), self.model.write());
        put(
            &mut whole,
            "archiverVersion",
            self.archiver_version.as_deref(),
        );
        whole.extend(self.rest.clone());
        format!("{:#}", Value::Object(whole))
    }
}

const DEFAULT_VERSION: &str = "1.0";

impl ModelSection {
    fn read(mut model: Members, model_name: String) -> Result<Self, String> {
        Ok(ModelSection {
            model_name: model.text("modelName")?.unwrap_or(model_name),
            serialized_file: model.text("serializedFile")?,
            handler: model.text("handler")?,
            model_file: model.text("modelFile")?,
            model_version: model
                .text("modelVersion")?
                .unwrap_or_else(|| DEFAULT_VERSION.to_owned()),
            requirements_file: model.text("requirementsFile")?,
            config_file: model.text("configFile")?,
            rest: model.rest,
        })
    }

    fn write(&self) -> Value {
        let mut model = Map::new();
        put(&mut model, "modelName", Some(&self.model_name));
        put(
            &mut model,
            "serializedFile",
            self.serialized_file.as_deref(),
        );
        put(&mut model, "handler", self.handler.as_deref());
        put(&mut model, "modelFile", self.model_file.as_deref());
        put(&mut model, "modelVersion", Some(&self.model_version));
        put(
            &mut model,
            "requirementsFile",
            self.requirements_file.as_deref(),
        );
        put(&mut model, "configFile", self.config_file.as_deref());
        model.extend(self.rest.clone());
        Value::Object(model)
    }
}

/// The model name of an archive that names none: the file's name without its extension, with an underscore for every
/// character that is no ASCII letter, digit or underscore.
pub fn default_model_name(file_name: &str) -> String {
    let stem = file_name
        .strip_suffix(".tar.gz")
        .or_else(|| file_name.rsplit_once('.').map(|(stem, _)| stem))
        .unwrap_or(file_name);
    stem.chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
