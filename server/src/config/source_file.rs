//! Which configuration file a start reads: the one that is named, the newest snapshot, or the implicit one.
//!
//! What stands in it is for [`super::raw`]; whether a snapshot is whole, for [`crate::snapshot`].

use std::path::{Path, PathBuf};

use super::Env;
use super::raw::File;
use super::report::{Origin, Report};
use crate::args::Args;
use crate::log_location::log_location;
use crate::snapshot::{self, Newest};

/// The file to read.
pub(crate) struct SourceFile {
    /// As named, relative to the working directory.
    pub(crate) path: PathBuf,
    /// Written by a server, which replaced variables when it read them.
    is_plain: bool,
}

impl SourceFile {
    /// Which file to read: `TS_CONFIG_FILE`, `--ts-config`, the newest snapshot, or `config.properties` if it is there.
    pub(crate) fn choose(
        args: &Args,
        env: &Env<'_>,
        cwd: &Path,
        report: &mut Report,
    ) -> Option<Self> {
        let file = |path: PathBuf, is_plain| SourceFile { path, is_plain };
        let of_env = env("TS_CONFIG_FILE").filter(|name| !name.is_empty());
        let named = of_env.filter(|_| !args.named_config_only);
        if let Some(name) = named.or_else(|| args.ts_config.clone()) {
            if !cwd.join(&name).is_file() {
                let message = format!("--ts-config file not found: {name}");
                report.error(&Origin::Command, None, message);
                return None;
            }
            return Some(file(name.into(), false));
        }
        if args.named_config_only {
            return None;
        }
        let implicit = PathBuf::from("config.properties");
        let implicit = cwd.join(&implicit).is_file().then_some(implicit);
        if !args.no_config_snapshots
            && let Some(path) = newest_snapshot(env, cwd, report)
        {
            let instead = implicit.map(|file| format!(" in place of {}", file.display()));
            let instead = instead.unwrap_or_default();
            let source = format!("the snapshot {}{instead}", path.display());
            report.remark(format!(
                "settings and models are those of {source}; --no-config-snapshots starts without"
            ));
            return Some(file(path, true));
        }
        implicit.map(|path| file(path, false))
    }

    /// Its settings; `None` if it cannot be read, which is reported.
    pub(crate) fn read(&self, env: &Env<'_>, cwd: &Path, report: &mut Report) -> Option<File> {
        let path = &self.path;
        let unreplaced = |name: &str| Some(format!("$${name}$$"));
        let env: &Env<'_> = if self.is_plain { &unreplaced } else { env };
        match std::fs::read(cwd.join(path)) {
            Ok(bytes) => Some(File::read(path, &bytes, env, report)),
            Err(error) => {
                let path = path.to_owned();
                let origin = Origin::File { path, line: None };
                report.error(&origin, None, format!("cannot be read: {error}"));
                None
            }
        }
    }
}

/// Broken snapshots that are newer are warned about.
fn newest_snapshot(env: &Env<'_>, cwd: &Path, report: &mut Report) -> Option<PathBuf> {
    let folder = log_location(env).join(snapshot::FOLDER);
    let origin = |path: PathBuf| Origin::File { path, line: None };
    let consequence = "an older snapshot is looked for";
    match snapshot::newest_in(&cwd.join(&folder)) {
        Ok(Newest { name, broken }) => {
            for (name, message) in broken {
                let message = format!("not a whole snapshot: {message}");
                report.warn(&origin(folder.join(name)), None, message, consequence);
            }
            name.map(|name| folder.join(name))
        }
        Err(error) => {
            let message = format!("cannot be read: {error}");
            report.warn(&origin(folder), None, message, "no snapshot is looked for");
            None
        }
    }
}
