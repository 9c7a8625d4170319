//! `docs/configuration.md`, made from the table of keys.

use std::fmt::Write as _;

use super::keys::{KEYS, Key, Kind, State};

const INTRO: &str = "# Configuration

<!-- Made from server/src/config/keys.rs: change it there, then run cargo xtask docs -->

Settings come from four sources; the first that has a key decides.

1. Environment variables, `TS_` and the key in upper case (the exceptions are named below), but only if the file says
   `enable_envvars_config=true`.
2. The command line: `--model-store`, `--workflow-store`, `--models`, `--workflows`, `--max-front`, `--cpp-log-config` and
   `--plugins-path`;
   `--enable-model-api` and `--disable-token-auth` can only switch on.
3. One file: the one that the environment variable `TS_CONFIG_FILE` names, else the one of `--ts-config`, else (unless
   `--no-config-snapshots` is given) the newest snapshot, else `config.properties` in the working directory if there is
   one.
4. The defaults, which are the shipped `config.properties`.

The file is a Java properties file: `key=value`, comments after `#`, a backslash at the end of a line to go on in the
next. `$$NAME$$` in a value stands for the environment variable `NAME`, which must be set. Relative paths are taken
from the working directory, durations are in seconds unless the key says otherwise.

A snapshot is such a file, too, with every setting and all models. The server writes one to the folder `config` of the
log location (the environment variable `LOG_LOCATION`, else `logs`) when it starts, before it answers a request that
changed what is registered, and when it stops: `yyyyMMddHHmmssSSS-startup.cfg`, `-snapshot.cfg` and `-shutdown.cfg`, in
UTC. Where a snapshot cannot be written, the log says why and the change stays. So the next start from the same folder has the models and settings of the last one, and edits of `config.properties`
have no effect until `--ts-config` names it, `--no-config-snapshots` (`--ncs`) is given, or the folder is emptied. Values
in a snapshot that is found this way are taken as they are, without replacing `$$NAME$$`.

A wrong address, a missing folder, or text that cannot be read refuses the start, and all such mistakes are told at
once with file and line. Where TorchServe silently goes on (an unknown key, a number that is none, a key set twice),
so does this server, with a warning; under `--strict` each of these refuses the start, too.

";

/// The whole page.
pub fn configuration_page() -> String {
    let mut page = INTRO.to_owned();
    table(&mut page, "Keys of TorchServe that are honoured", |key| {
        key.state == State::Honoured && !key.ours
    });
    table(&mut page, "Keys of our own", |key| key.ours);
    table(
        &mut page,
        "Keys of TorchServe that are checked now and honoured in a later release",
        |key| key.state == State::Later,
    );
    ignored(&mut page);
    exceptions(&mut page);
    page
}

fn table(page: &mut String, title: &str, which: impl Fn(&Key) -> bool) {
    line(page, &format!("## {title}\n"));
    line(
        page,
        "| key | default | value | meaning |\n|---|---|---|---|",
    );
    for key in KEYS.iter().filter(|key| which(key)) {
        let (name, kind, meaning) = (key.name, kind(key.kind), cell(key.meaning));
        line(
            page,
            &format!("| `{name}` | {} | {kind} | {meaning} |", default(key)),
        );
    }
    line(page, "");
}

fn ignored(page: &mut String) {
    line(page, "## Keys of TorchServe that have no meaning here\n");
    line(
        page,
        "They are accepted, and a notice at start lists those that are set.\n",
    );
    line(
        page,
        "| key | what it is | why it has no effect |\n|---|---|---|",
    );
    for key in KEYS {
        if let State::Ignored(why) = key.state {
            line(
                page,
                &format!("| `{}` | {} | {why} |", key.name, cell(key.meaning)),
            );
        }
    }
    line(page, "");
}

fn exceptions(page: &mut String) {
    line(page, "## Environment variables\n");
    line(page, "Variables whose names do not follow from the key:\n");
    for key in KEYS {
        if let Some(name) = key.env_name()
            && name != format!("TS_{}", key.name.to_uppercase())
        {
            line(page, &format!("- `{name}` for `{}`", key.name));
        }
    }
    let only: Vec<String> = KEYS
        .iter()
        .filter(|key| key.env_name().is_none())
        .map(|key| format!("`{}`", key.name))
        .collect();
    line(
        page,
        &format!("\nKeys that only the file can set: {}.\n", only.join(", ")),
    );
    line(
        page,
        "`TS_ALLOWED_URLS` counts only if the file says `use_env_allowed_urls=true` as well.\n",
    );
    line(
        page,
        "Variables that count whatever the file says: `TS_CONFIG_FILE` (the configuration file), `LOG_LOCATION` and \
         `METRICS_LOCATION` (the folders of log files and of metrics files, both `logs` where they are not set) and \
         `RUST_LOG` (levels of the log, see [logs.md](logs.md)).",
    );
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Address(_) => "address".to_owned(),
        Kind::Count { min: 0 } => "whole number".to_owned(),
        Kind::Count { min } => format!("whole number from {min}"),
        Kind::Bytes => "bytes, from 1".to_owned(),
        Kind::Seconds { min: 0 } => "seconds".to_owned(),
        Kind::Seconds { min } => format!("seconds, from {min}"),
        Kind::Decimal => "number".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Choice(choices) => choices.join(", "),
        Kind::Regex => "regular expression".to_owned(),
        Kind::Regexes => "regular expressions".to_owned(),
        Kind::Json => "JSON".to_owned(),
    }
}

fn default(key: &Key) -> String {
    if key.default.is_empty() {
        "–".to_owned()
    } else {
        format!("`{}`", cell(key.default))
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("a String takes any text");
}
