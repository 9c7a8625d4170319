//! What can be typed: the subcommands and their options.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// One thing to do without a server.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Check specs of workflows, and say everything that is wrong with them
    Lint(Lint),
    /// Draw a workflow
    Graph(Graph),
    /// List the native functions of workflows, or describe one
    Functions {
        /// The function to describe
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of specs, with which editors complete and check them
    Schema,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Lint {
    /// Specs (.yaml), workflow archives (.war), and folders of either
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Folder of model archives, in which every model of a spec should be; that of the spec if left out and models lie there
    #[arg(long, value_name = "DIR")]
    pub model_store: Option<PathBuf>,
    /// Count warnings as errors
    // Not `strict`: that is a flag of the daemon.
    #[arg(long = "strict")]
    pub warnings_are_errors: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Graph {
    /// A spec (.yaml), a workflow archive (.war) or a workflow's folder
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What to make; told from the name of --out if left out, else svg
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Where to write it; standard output if left out
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What a graph is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Svg,
    Mermaid,
    Json,
}
