//! The command line: the flags of `torchserve`, and what they ask for; or a command: for a server that runs, which is
//! [`client`]'s business, or without any, which is [`workbench`]'s; or `dev`, a daemon of its own kind.
//!
//! It checks no files and knows no settings; [`crate::config`] does, with these flags as one of its sources.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// The TorchServe release whose behaviour this server keeps to.
pub const TORCHSERVE_VERSION: &str = "0.12.0";

const USAGE: &str = "\
torchrelay --start [--foreground] --model-store DIR [--models MODEL...] [FLAGS]
       torchrelay --stop
       torchrelay COMMAND [OPTIONS]";

/// Serve PyTorch models: a native server for the archives, settings and clients of TorchServe.
///
/// With flags it is the daemon, and takes those of torchserve. With a command it asks a daemon that runs: the one that is
/// configured here, or the one at --address. `lint`, `graph`, `functions`, `schema` and `dev` are for whoever writes models
/// and workflows, and need none; nor does `run`, which answers for a folder of pictures. `torchrelay help COMMAND` tells more.
// Python's argparse, which TorchServe uses, takes any unambiguous beginning of a flag; so must we.
#[derive(Debug, Clone, Default, PartialEq, Eq, Parser)]
#[command(
    name = "torchrelay",
    infer_long_args = true,
    disable_version_flag = true,
    args_conflicts_with_subcommands = true,
    override_usage = USAGE,
    subcommand_help_heading = "Commands",
    next_help_heading = "Flags of the daemon"
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Print the version and exit
    #[arg(short = 'v', long, conflicts_with_all = ["start", "stop"])]
    pub version: bool,
    /// Start the server
    #[arg(long, conflicts_with = "stop")]
    pub start: bool,
    /// Stop the server
    #[arg(long)]
    pub stop: bool,
    /// Configuration file (the environment variable TS_CONFIG_FILE goes first)
    #[arg(long, value_name = "FILE")]
    pub ts_config: Option<String>,
    /// Folder of model archives; mandatory unless the configuration file has model_store
    #[arg(long, value_name = "DIR")]
    pub model_store: Option<String>,
    /// Folder of workflow archives and specs; the model store if left out
    #[arg(long, value_name = "DIR")]
    pub workflow_store: Option<String>,
    /// Models to load at start: `all`, or any of `name=url` and `url`
    #[arg(long, value_name = "MODEL", num_args = 1..)]
    pub models: Vec<String>,
    /// Workflows to load at start: `all`, or any of `name=url` and `url`
    #[arg(long, value_name = "WORKFLOW", num_args = 1..)]
    pub workflows: Vec<String>,
    /// Open the image segmenter of the Model Asset eXchange, at http://127.0.0.1:5000 if nothing else is said; in place of
    /// the configuration's fronts
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub max_front: Option<String>,
    /// Log settings of TorchServe: log4j2 XML, of which levels and files count
    #[arg(long, value_name = "FILE")]
    pub log_config: Option<String>,
    /// Log settings of TorchServe's C++ back end (accepted, without effect)
    #[arg(long, value_name = "FILE")]
    pub cpp_log_config: Option<String>,
    /// Stay attached to the terminal; with --stop, wait until the server has ended
    #[arg(long)]
    pub foreground: bool,
    /// Neither write nor read snapshots
    #[arg(
        long,
        alias = "ncs",
        help = "Neither write nor read snapshots [alias: --ncs]"
    )]
    pub no_config_snapshots: bool,
    /// Java plugins (accepted, without effect)
    #[arg(
        long,
        alias = "ppath",
        value_name = "PATHS",
        help = "Java plugins (accepted, without effect) [alias: --ppath]"
    )]
    pub plugins_path: Option<String>,
    /// Serve requests without a token
    #[arg(
        long,
        alias = "dt",
        help = "Serve requests without a token [alias: --dt]"
    )]
    pub disable_token_auth: bool,
    /// Let models be registered and unregistered over the network
    #[arg(long)]
    pub enable_model_api: bool,
    /// Refuse to start when anything in the configuration deserves a warning
    #[arg(long)]
    pub strict: bool,
    /// This is the background process that `--start` makes.
    #[arg(long, hide = true)]
    pub detached: bool,
    /// Read no configuration file but a named one, whatever lies in the working directory.
    #[arg(skip)]
    pub named_config_only: bool,
}

/// What the program does beside being the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    #[command(flatten)]
    Ask(client::Command),
    #[command(flatten)]
    Write(workbench::Command),
    /// Serve the models and workflows of a folder while they are being written
    ///
    /// Whatever is saved there is checked and takes over as soon as it is ready; what was there answers until then, and on
    /// if it is not. It listens on this machine alone and wants no keys, unless a named configuration file or --token-auth
    /// says otherwise. Ctrl-C ends it.
    Dev(Dev),
    /// Run a workflow on pictures and write its answers into a folder, without a server
    ///
    /// Each kind of answer becomes a file: `reef.jpg` gives `reef.json`, `reef.png` and so on, or what the workflow's `files:`
    /// says. A picture that cannot be answered is told at the end, and the exit code is then 1; the others are answered.
    Run(Run),
    /// Say what of a TorchServe installation runs here, and compare with a TorchServe that runs
    ///
    /// Nothing is started and no network is loaded; archives are unpacked into a temporary folder, one at a time. The exit code
    /// is 0 if everything runs and, with --compare, nothing differs; otherwise 1.
    Doctor(Box<Doctor>),
    /// One process of a model with `isolation: process`, which the daemon starts
    #[command(hide = true)]
    Worker {
        /// Its name in the log
        name: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Doctor {
    /// The installation: a folder, or a config.properties
    #[arg(required_unless_present = "compare")]
    pub path: Option<PathBuf>,
    /// Folder of model archives, in place of the configuration's
    #[arg(long, value_name = "DIR")]
    pub model_store: Option<PathBuf>,
    /// Folder of workflow archives and specs, in place of the configuration's
    #[arg(long, value_name = "DIR")]
    pub workflow_store: Option<PathBuf>,
    /// The interpreter for handlers in Python, in place of the configuration's: a name on the path, or a file
    #[arg(long, value_name = "FILE")]
    pub python: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compare: client::Compare,
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Run {
    /// The workflow: a spec (.yaml), an archive (.war) or a folder
    pub workflow: PathBuf,
    /// A picture, or a folder of pictures
    #[arg(long, value_name = "FILE|DIR")]
    pub image: PathBuf,
    /// Folder for the answers, made if absent
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// An input of the workflow beside the picture
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub params: Vec<(String, String)>,
    /// Folder of model archives; that of the workflow if left out
    #[arg(long, value_name = "DIR")]
    pub model_store: Option<PathBuf>,
    /// Write NAME.overlay.png too: the mask, or boxes and texts, over the picture. Boxes that lie in a picture of another size
    /// than the photo want it said: --overlay=1920x1080
    #[arg(long, value_name = "WIDTHxHEIGHT", num_args = 0..=1, require_equals = true, value_parser = size)]
    pub overlay: Option<Option<(u32, u32)>>,
    /// Configuration file; none is read unless it is named here
    #[arg(long, value_name = "FILE")]
    pub ts_config: Option<String>,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() {
        return Err("expected NAME=VALUE, found no name".into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let expected = "expected WIDTHxHEIGHT such as 1920x1080, each from 1 to 16384";
    let side = |side: &str| side.parse().ok().filter(|side| (1..=16384).contains(side));
    let (width, height) = text.split_once('x').ok_or(expected)?;
    Ok((side(width).ok_or(expected)?, side(height).ok_or(expected)?))
}

impl Run {
    /// The folder in which the workflow lies, and its name there.
    pub fn place(&self) -> (PathBuf, String) {
        let parent = self
            .workflow
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let name = self.workflow.file_name().unwrap_or_default();
        let parent = parent.map_or_else(|| PathBuf::from("."), PathBuf::from);
        (parent, name.to_string_lossy().into_owned())
    }

    /// The settings of a daemon that serves this workflow.
    pub fn daemon(&self) -> Args {
        let (folder, _) = self.place();
        let text = |path: &PathBuf| path.display().to_string();
        let store = match &self.model_store {
            Some(store) => store,
            None if self.workflow.is_dir() => &self.workflow,
            None => &folder,
        };
        Args {
            start: true,
            foreground: true,
            no_config_snapshots: true,
            named_config_only: true,
            ts_config: self.ts_config.clone(),
            model_store: Some(text(store)),
            workflow_store: Some(text(&folder)),
            ..Args::default()
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Dev {
    /// A model's folder, a workflow's folder, or a folder with several of them
    pub folder: PathBuf,
    /// Configuration file; none is read unless it is named here
    #[arg(long, value_name = "FILE")]
    pub ts_config: Option<String>,
    /// Folder where workflows find models that are not in their own; FOLDER if left out
    #[arg(long, value_name = "DIR")]
    pub model_store: Option<String>,
    /// Models to serve beside those of the folder, from the model store: `all`, or any of `name=url` and `url`
    #[arg(long, value_name = "MODEL", num_args = 1..)]
    pub models: Vec<String>,
    /// Log settings of TorchServe: log4j2 XML, of which levels and files count
    #[arg(long, value_name = "FILE")]
    pub log_config: Option<String>,
    /// Want keys, as the daemon does
    #[arg(long)]
    pub token_auth: bool,
    /// Let a debugger attach to the worker of the first model that runs in Python, on this port of 127.0.0.1. It takes debugpy
    /// in the model's interpreter. Every model has one worker then, and requests have no time limit
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub debugpy: Option<u16>,
}

impl Dev {
    /// The daemon that serves the folder.
    pub fn daemon(&self) -> Args {
        let folder = self.folder.display().to_string();
        Args {
            start: true,
            foreground: true,
            no_config_snapshots: true,
            named_config_only: true,
            ts_config: self.ts_config.clone(),
            model_store: Some(self.model_store.clone().unwrap_or_else(|| folder.clone())),
            workflow_store: Some(folder),
            models: self.models.clone(),
            log_config: self.log_config.clone(),
            disable_token_auth: !self.token_auth,
            enable_model_api: true,
            ..Args::default()
        }
    }
}

/// What a command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Help,
    Version,
    /// Make a background process that serves, and return.
    StartInBackground,
    /// Serve in this process. `detached`: it is that background process.
    Serve {
        detached: bool,
    },
    /// `wait`: until the process has ended.
    Stop {
        wait: bool,
    },
}

impl Args {
    pub fn task(&self) -> Task {
        if self.version {
            Task::Version
        } else if self.stop {
            Task::Stop {
                wait: self.foreground,
            }
        } else if !self.start {
            Task::Help
        } else if self.detached || self.foreground {
            Task::Serve {
                detached: self.detached,
            }
        } else {
            Task::StartInBackground
        }
    }
}

/// The line that `--version` prints.
pub fn version_line() -> String {
    format!(
        "Torchrelay Version is {} (TorchServe {TORCHSERVE_VERSION} compatible)",
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once("torchrelay").chain(line.split_whitespace()))
    }

    #[test]
    fn the_parser_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_command_line_asks_for_one_task() {
        let check = |line: &str, expected: Task| {
            let args = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(args.task(), expected, "{line}");
        };
        check("", Task::Help);
        check("--model-store m", Task::Help);
        check("-v", Task::Version);
        check("--version", Task::Version);
        check("--start --model-store m", Task::StartInBackground);
        check("--start --foreground", Task::Serve { detached: false });
        check("--start --detached", Task::Serve { detached: true });
        check("--stop", Task::Stop { wait: false });
        check("--stop --foreground", Task::Stop { wait: true });
    }

    #[test]
    fn flags_of_torchserve_are_taken() {
        let args = parse(
            "--start --ncs --ts-config c --model-store m --workflow-store w --models a.mar b=c.mar --workflows all --log-config l \
             --cpp-log-config p --ppath x --dt --enable-model-api --foreground",
        )
        .unwrap();
        let expected = Args {
            start: true,
            no_config_snapshots: true,
            ts_config: Some("c".to_owned()),
            model_store: Some("m".to_owned()),
            workflow_store: Some("w".to_owned()),
            models: vec!["a.mar".to_owned(), "b=c.mar".to_owned()],
            workflows: vec!["all".to_owned()],
            log_config: Some("l".to_owned()),
            cpp_log_config: Some("p".to_owned()),
            plugins_path: Some("x".to_owned()),
            disable_token_auth: true,
            enable_model_api: true,
            foreground: true,
            ..Args::default()
        };
        assert_eq!(args, expected);
    }

    #[test]
    fn a_flag_may_be_cut_short_while_one_is_meant() {
        assert!(
            parse("--start --no-config --disable-tok")
                .unwrap()
                .no_config_snapshots
        );
        assert!(
            parse("--start --model x").is_err(),
            "--models or --model-store"
        );
    }

    #[test]
    fn commands_and_flags_of_the_daemon_exclude_each_other() {
        let command = |line: &str| parse(line).map(|args| args.command);
        let list = command("list --json").unwrap();
        assert!(
            matches!(list, Some(Command::Ask(client::Command::List { .. }))),
            "{list:?}"
        );
        assert_eq!(command("--start --models list").unwrap(), None);
        for line in [
            "--start list",
            "list --start",
            "--model-store m list",
            "lists",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn dev_is_a_daemon_for_one_person() {
        let args = parse("dev flow --model-store m").unwrap();
        let Some(Command::Dev(dev)) = args.command else {
            panic!("{args:?}");
        };
        let daemon = dev.daemon();
        assert_eq!(daemon.model_store.as_deref(), Some("m"));
        assert_eq!(daemon.workflow_store.as_deref(), Some("flow"));
        assert!(daemon.disable_token_auth && daemon.named_config_only);
        assert_eq!(daemon.task(), Task::Serve { detached: false });
        assert!(parse("dev flow --debugpy 5678").is_ok());
        assert!(parse("dev flow --debugpy 0").is_err());
    }

    #[test]
    fn start_stop_and_version_exclude_each_other() {
        for line in ["--start --stop", "--start -v", "--stop --version"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_version_names_both() {
        let line = version_line();
        assert!(
            line.starts_with("Torchrelay Version is ") && line.contains("0.12.0"),
            "{line}"
        );
    }
}
