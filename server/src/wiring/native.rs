//! What a native model's loader is made of: read off an archive in the daemon, and made a loader of there, or in a child to
//! which it travelled as a text.

use std::path::PathBuf;
use std::sync::Arc;

use archive::Unpacked;
use serde::{Deserialize, Serialize};
use servable::{LoadError, Loader};

use crate::config::Config;

/// What the configuration says of native models.
#[derive(Debug, Clone)]
pub(super) struct NativeSettings {
    default_handler: Option<String>,
    limit_max_image_pixels: bool,
}

/// One version of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Native {
    name: String,
    dir: PathBuf,
    weights: Option<PathBuf>,
    handler: String,
    handler_settings: Option<serde_yaml::Value>,
    config_file: Option<PathBuf>,
    limit_max_image_pixels: bool,
}

impl NativeSettings {
    pub(super) fn of(config: &Config) -> Self {
        NativeSettings {
            default_handler: config.default_service_handler.clone(),
            limit_max_image_pixels: config.limit_max_image_pixels,
        }
    }

    /// `handler` is the registration's choice, if it made one.
    pub(super) fn describe(
        &self,
        name: &str,
        files: &Unpacked,
        handler: Option<&str>,
    ) -> Result<Native, LoadError> {
        let manifest = &files.manifest().model;
        let handler = handler
            .or(manifest.handler.as_deref())
            .or(self.default_handler.as_deref())
            .unwrap_or_default();
        let weights = match &manifest.serialized_file {
            Some(file) => Some(
                files
                    .file(file)
                    .map_err(|error| LoadError::Invalid(error.to_string()))?,
            ),
            None => None,
        };
        Ok(Native {
            name: name.to_owned(),
            dir: files.dir().to_owned(),
            weights,
            handler: handler.to_owned(),
            handler_settings: files.config().and_then(|config| config.handler().cloned()),
            config_file: files.config_file(),
            limit_max_image_pixels: self.limit_max_image_pixels,
        })
    }
}

impl Native {
    /// Checks what can be checked without reading the weights.
    #[cfg(feature = "torch-engine")]
    pub(super) fn loader(self) -> Result<Arc<dyn Loader>, LoadError> {
        let loader = torch_engine::TorchLoader::new(torch_engine::ModelFiles {
            name: self.name,
            dir: self.dir,
            weights: self.weights,
            handler: self.handler,
            handler_settings: self.handler_settings,
            config_file: self.config_file,
            limit_max_image_pixels: self.limit_max_image_pixels,
        })?;
        Ok(Arc::new(loader))
    }

    /// A build without an engine has the reason for every model.
    #[cfg(not(feature = "torch-engine"))]
    pub(super) fn loader(self) -> Result<Arc<dyn Loader>, LoadError> {
        Err(super::no_engine())
    }

    /// As it travels.
    pub(super) fn to_text(&self) -> Result<String, String> {
        serde_yaml::to_string(self).map_err(|error| error.to_string())
    }

    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_the_same_when_it_has_travelled() {
        let settings = "{mean: [0.485, 1e-7], labels: !odd {1: yes, x: 'no'}, big: 9223372036854775807, none: ~}";
        let native = Native {
            name: "a model\n: 1".into(),
            dir: "/tmp/\u{fc}".into(),
            weights: Some("/tmp/w.pt".into()),
            handler: String::new(),
            handler_settings: Some(serde_yaml::from_str(settings).expect("YAML")),
            config_file: None,
            limit_max_image_pixels: true,
        };
        let text = native.to_text().expect("a text");
        assert_eq!(Native::from_text(&text), Ok(native));
        assert!(Native::from_text("name: x").is_err());
    }
}
