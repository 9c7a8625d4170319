//! What can be typed: the subcommands and their options.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

/// One thing to ask a running server for.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// List the models with their versions, workers and queues
    List {
        #[command(flatten)]
        options: Options,
    },
    /// Describe a model: its settings, its workers, its queue
    Describe(Describe),
    /// Register a model of the model store
    Register(Register),
    /// Set how many workers a model has
    Scale(Scale),
    /// Unregister a model
    Unregister {
        /// The model's name
        model: String,
        /// The default version if left out
        version: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Choose the version that answers where a request names none
    SetDefault {
        /// The model's name
        model: String,
        /// The version, which must be registered
        version: String,
        #[command(flatten)]
        options: Options,
    },
    /// List, describe, register and unregister workflows
    #[command(subcommand)]
    Workflows(WorkflowCommand),
    /// Ask a model for a prediction
    Predict(Predict),
    /// Say whether the server lives, is ready and is healthy
    Health {
        #[command(flatten)]
        options: Options,
    },
    /// Watch models, workers, queues, rates and latencies
    Top {
        /// Print one table, measured over a second, and end
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Have a new key made in place of one that has expired
    ///
    /// The server writes the new key to its key file, and the old one opens nothing from then on. It takes the API key,
    /// from the key file or as --token.
    RenewKey {
        #[arg(value_enum)]
        key: KeyName,
        #[command(flatten)]
        options: Options,
    },
    /// Print a script that completes this program's command line in a shell
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
}

impl Command {
    /// The options of all commands that ask a server.
    pub(crate) fn options(&self) -> Option<&Options> {
        match self {
            Command::List { options }
            | Command::Unregister { options, .. }
            | Command::SetDefault { options, .. }
            | Command::Health { options }
            | Command::Top { options, .. }
            | Command::RenewKey { options, .. } => Some(options),
            Command::Describe(args) => Some(&args.options),
            Command::Register(args) => Some(&args.options),
            Command::Scale(args) => Some(&args.options),
            Command::Predict(args) => Some(&args.options),
            Command::Workflows(command) => Some(command.options()),
            Command::Completions { .. } => None,
        }
    }
}

/// What can be asked of workflows.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum WorkflowCommand {
    /// List the workflows
    List {
        #[command(flatten)]
        options: Options,
    },
    /// Describe a workflow: its nodes and what they have done so far
    Describe {
        /// The workflow's name
        workflow: String,
        /// The default version if left out
        version: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Register a workflow of the workflow store, or one from a file here
    Register(RegisterWorkflow),
    /// Unregister a workflow and its models
    Unregister {
        /// The workflow's name
        workflow: String,
        /// The default version if left out
        version: Option<String>,
        #[command(flatten)]
        options: Options,
    },
}

impl WorkflowCommand {
    fn options(&self) -> &Options {
        match self {
            WorkflowCommand::List { options }
            | WorkflowCommand::Describe { options, .. }
            | WorkflowCommand::Unregister { options, .. } => options,
            WorkflowCommand::Register(args) => &args.options,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RegisterWorkflow {
    /// The archive or spec: a name in the workflow store
    #[arg(required_unless_present = "spec", conflicts_with = "spec")]
    pub url: Option<String>,
    /// A spec on this machine, which is sent as it is
    #[arg(long, value_name = "FILE")]
    pub spec: Option<PathBuf>,
    /// The workflow's name; its own if left out
    #[arg(long)]
    pub name: Option<String>,
    /// The workflow's version; its own if left out
    #[arg(long)]
    pub version: Option<String>,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Describe {
    /// The model's name
    pub model: String,
    /// The default version if left out
    #[arg(conflicts_with = "all")]
    pub version: Option<String>,
    /// Every version
    #[arg(long)]
    pub all: bool,
    /// With what the model's handler says of itself
    #[arg(long, conflicts_with = "all")]
    pub customized: bool,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Register {
    /// The archive: a name in the model store
    pub url: String,
    /// The model's name; the archive's own if left out
    #[arg(long)]
    pub name: Option<String>,
    /// The handler, in place of the archive's own
    #[arg(long)]
    pub handler: Option<String>,
    /// The most requests in a batch
    #[arg(long, value_name = "N")]
    pub batch_size: Option<u32>,
    /// How long a request may wait for company, in milliseconds
    #[arg(long, value_name = "MILLISECONDS")]
    pub max_batch_delay: Option<u64>,
    /// Workers to start with; the server's setting if left out
    #[arg(long, value_name = "N")]
    pub initial_workers: Option<u32>,
    /// How long a prediction may take
    #[arg(long, value_name = "SECONDS")]
    pub response_timeout: Option<u64>,
    /// How long a worker may take to load
    #[arg(long, value_name = "SECONDS")]
    pub startup_timeout: Option<u64>,
    /// Do not wait until the workers have loaded
    #[arg(long)]
    pub asynchronous: bool,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Scale {
    /// The model's name
    pub model: String,
    /// The default version if left out
    pub version: Option<String>,
    /// The least workers
    #[arg(long, value_name = "N")]
    pub min: u32,
    /// The most workers; as many as the least if left out
    #[arg(long, value_name = "N")]
    pub max: Option<u32>,
    /// Wait until the workers have loaded
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(override_usage = "torchrelay predict [OPTIONS] <MODEL> [VERSION] [FILE|-]")]
pub struct Predict {
    /// The model's name
    pub model: String,
    /// The version, the default one if left out; and the file to send, or - for standard input
    ///
    /// Of one argument alone: what begins like a number and is no file is a version, anything else is the file.
    #[arg(num_args = 0..=2, value_names = ["VERSION", "FILE|-"])]
    pub rest: Vec<String>,
    /// What the file is; told from its name if left out
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// A field of a form, sent in place of a file
    #[arg(long, value_name = "NAME=VALUE|NAME=@FILE")]
    pub form: Vec<String>,
    /// Where the answer goes
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub options: Options,
}

/// How to reach the server, and how to print.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Options of all commands")]
pub struct Options {
    /// The machine (box, https://box), or one address for all APIs (http://box:8080, unix:/path)
    ///
    /// Without a port the usual ones are meant: 8080, 8081 and 8082, with https 8443, 8444 and 8445. Left out, the
    /// addresses are those of the configuration: of --config, of ./config.properties, or the shipped ones.
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
    /// The address of the inference API, in place of the one found otherwise
    #[arg(long, value_name = "ADDRESS")]
    pub inference: Option<String>,
    /// The same of the management API
    #[arg(long, value_name = "ADDRESS")]
    pub management: Option<String>,
    /// The same of the metrics API
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<String>,
    /// The daemon's configuration file, which says where it listens
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The daemon's key file; key_file.json if it is here and the server on this machine
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The key to send, in place of a key file's
    // Keys may begin with a hyphen.
    #[arg(
        long,
        value_name = "KEY",
        conflicts_with = "key_file",
        allow_hyphen_values = true
    )]
    pub token: Option<Secret>,
    /// Certificates in PEM form to trust in https, in place of the system's
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// Talk https with whoever answers, whatever its certificate
    #[arg(long)]
    pub insecure: bool,
    /// How long to wait for an answer
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
    /// Print the server's JSON
    #[arg(long)]
    pub json: bool,
}

/// A key, which no message and no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sound = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        sound
            .then(|| Secret(text.to_owned()))
            .ok_or_else(|| "a key is letters and digits without blanks".to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyName {
    Management,
    Inference,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}
