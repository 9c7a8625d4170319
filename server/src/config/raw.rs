//! Settings as written, from every source, and which source wins: environment, flags, file, defaults.
//!
//! Values are text here; [`super::reader`] makes them into types.

use std::path::{Path, PathBuf};

use super::Env;
use super::keys::{self, KEYS, Key, State};
use super::properties::{self, Entry};
use super::report::{Origin, Report};
use crate::args::Args;
use crate::front::MAX;
use crate::snapshot::MODELS_KEY;

/// The configuration the server is shipped with; it holds the defaults.
pub(crate) const SHIPPED: &str = include_str!("../../../config.properties");

/// The text of one setting and where it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// One source of settings.
trait Layer {
    fn get(&self, key: &Key) -> Option<Setting>;
}

/// All sources of one start.
pub(crate) struct RawConfig<'a> {
    /// The strongest first.
    layers: Vec<Box<dyn Layer + 'a>>,
    defaults: Defaults,
    /// Settings of the file that the table does not know.
    strays: Vec<(String, String)>,
}

impl<'a> RawConfig<'a> {
    pub(crate) fn new(args: &'a Args, env: &'a Env<'a>, file: Option<File>) -> Self {
        let mut layers: Vec<Box<dyn Layer + 'a>> = Vec::new();
        let says = |name| {
            let value = file.as_ref().and_then(|file| file.value(name));
            value.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
        };
        // Only the file can open the door for the environment; otherwise a stray variable could change a server.
        if says("enable_envvars_config") {
            layers.push(Box::new(Environment {
                env,
                allowed_urls: says("use_env_allowed_urls"),
            }));
        }
        layers.push(Box::new(Flags(args)));
        let strays = file.as_ref().map(File::strays).unwrap_or_default();
        layers.extend(file.map(|file| Box::new(file) as Box<dyn Layer>));
        RawConfig {
            layers,
            defaults: Defaults(properties::parse(SHIPPED.as_bytes()).0),
            strays,
        }
    }

    /// What a snapshot says of settings: what is in effect, what somebody set without effect, and what only the file
    /// knows. The models of a snapshot are not among them.
    pub(crate) fn written(&self) -> Vec<(String, String)> {
        let of_table = KEYS.iter().filter(|key| key.name != MODELS_KEY);
        let of_table = of_table.filter_map(|key| {
            let setting = match key.state {
                State::Honoured => self.get(key),
                State::Later | State::Ignored(_) => self.set(key),
            };
            Some((key.name.to_owned(), setting?.value))
        });
        of_table.chain(self.strays.iter().cloned()).collect()
    }

    /// What somebody set, or the default; `None` where there is neither.
    pub(crate) fn get(&self, key: &Key) -> Option<Setting> {
        self.set(key).or_else(|| self.defaults.get(key))
    }

    /// What somebody set.
    pub(crate) fn set(&self, key: &Key) -> Option<Setting> {
        self.layers.iter().find_map(|layer| layer.get(key))
    }

    pub(crate) fn default(&self, key: &Key) -> Option<String> {
        self.defaults.get(key).map(|setting| setting.value)
    }
}

struct Environment<'a> {
    env: &'a Env<'a>,
    allowed_urls: bool,
}

impl Layer for Environment<'_> {
    fn get(&self, key: &Key) -> Option<Setting> {
        if key.name == "allowed_urls" && !self.allowed_urls {
            return None;
        }
        let name = key.env_name()?;
        (self.env)(&name).map(|value| Setting {
            value,
            origin: Origin::Env(name),
        })
    }
}

struct Flags<'a>(&'a Args);

impl Layer for Flags<'_> {
    fn get(&self, key: &Key) -> Option<Setting> {
        let Flags(args) = self;
        let switch = |on: bool| on.then(|| "true".to_owned());
        let (flag, value) = match key.name {
            "model_store" => ("--model-store", args.model_store.clone()),
            "workflow_store" => ("--workflow-store", args.workflow_store.clone()),
            "load_models" if args.models.is_empty() => return None,
            "load_models" => ("--models", Some(args.models.join(","))),
            "load_workflows" if args.workflows.is_empty() => return None,
            "load_workflows" => ("--workflows", Some(args.workflows.join(","))),
            "fronts" => ("--max-front", args.max_front.as_deref().map(max_front)),
            "cpp_log_config" => ("--cpp-log-config", args.cpp_log_config.clone()),
            "plugins_path" => ("--plugins-path", args.plugins_path.clone()),
            // These two can only be switched on.
            "enable_model_api" => ("--enable-model-api", switch(args.enable_model_api)),
            "disable_token_authorization" => {
                ("--disable-token-auth", switch(args.disable_token_auth))
            }
            _ => return None,
        };
        value.map(|value| Setting {
            value,
            origin: Origin::Flag(flag),
        })
    }
}

/// The front `max`, at that address if there is one.
fn max_front(address: &str) -> String {
    match address {
        "" => MAX.to_owned(),
        address => format!("{MAX}={address}"),
    }
}

/// The shipped file, and the table for keys that it leaves out.
struct Defaults(Vec<Entry>);

impl Layer for Defaults {
    fn get(&self, key: &Key) -> Option<Setting> {
        let shipped = self.0.iter().find(|entry| entry.key == key.name);
        let value = shipped.map_or(key.default, |entry| entry.value.as_str());
        (!value.is_empty()).then(|| Setting {
            value: value.to_owned(),
            origin: Origin::Default,
        })
    }
}

/// A configuration file that was read.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    entries: Vec<Entry>,
}

impl File {
    /// Reads `bytes`, reporting what is wrong with them under the name `path`. What an error was reported for is left
    /// out, so that it is not complained about twice.
    pub(crate) fn read(path: &Path, bytes: &[u8], env: &Env<'_>, report: &mut Report) -> Self {
        let (entries, flaws) = properties::parse(bytes);
        for flaw in flaws {
            report.error(&Origin::file(path, flaw.line), None, flaw.message);
        }
        let mut kept: Vec<Entry> = Vec::new();
        for mut entry in entries {
            let origin = Origin::file(path, entry.line);
            let key = Some(entry.key.as_str());
            if keys::find(&entry.key).is_none() {
                let message = match keys::nearest(&entry.key) {
                    Some(name) => format!("unknown key (did you mean {name}?)"),
                    None => "unknown key".to_owned(),
                };
                report.warn(&origin, key, message, "it is ignored");
            }
            match expand(&entry.value, env) {
                Ok(value) => entry.value = value,
                Err(variable) => {
                    let message = format!("the environment variable {variable} is not set");
                    report.error(&origin, key, message);
                    continue;
                }
            }
            if let Some(earlier) = kept.iter_mut().find(|earlier| earlier.key == entry.key) {
                let message = format!("already set in line {}", earlier.line);
                report.warn(&origin, key, message, "the later line counts");
                *earlier = entry;
            } else {
                kept.push(entry);
            }
        }
        File {
            path: path.to_owned(),
            entries: kept,
        }
    }

    fn value(&self, key: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    fn strays(&self) -> Vec<(String, String)> {
        let strays = self
            .entries
            .iter()
            .filter(|entry| keys::find(&entry.key).is_none());
        strays
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect()
    }
}

impl Layer for File {
    fn get(&self, key: &Key) -> Option<Setting> {
        let entry = self.entries.iter().find(|entry| entry.key == key.name)?;
        Some(Setting {
            value: entry.value.clone(),
            origin: Origin::file(&self.path, entry.line),
        })
    }
}

/// `$$NAME$$` replaced with that environment variable; an error is the name of one that is not set.
fn expand(value: &str, env: &Env<'_>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("$$") {
        expanded.push_str(before);
        match after.split_once("$$") {
            Some((name, tail)) if is_variable(name) => {
                expanded.push_str(&env(name).ok_or_else(|| name.to_owned())?);
                rest = tail;
            }
            // Two dollars that are no reference stand for themselves.
            _ => {
                expanded.push_str("$$");
                rest = after;
            }
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let env = |name: &str| (name == "HOST").then(|| "h$$1".to_owned());
        let check = |value: &str, expected: Result<&str, &str>| {
            let found = expand(value, &env);
            assert_eq!(
                found.as_deref().map_err(String::as_str),
                expected,
                "{value}"
            );
        };
        check("plain", Ok("plain"));
        check("http://$$HOST$$:80", Ok("http://h$$1:80"));
        check("$$HOST$$$$HOST$$", Ok("h$$1h$$1"));
        check("$$PORT$$", Err("PORT"));
        check("a$$b c$$HOST$$", Ok("a$$b ch$$1"));
        check("$$", Ok("$$"));
        check("$$$$", Ok("$$$$"));
    }
}
