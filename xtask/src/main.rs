//! `cargo xtask`: the chores of this repository, in Rust, so that they run wherever Cargo does.
//!
//! It is not part of what ships. One file holds one command; this one only reads the arguments and dispatches.
//! People call it, and so does `.ci/run`.

// A command-line program speaks through its standard output; the lint is for the libraries.
#![allow(clippy::print_stdout, clippy::print_stderr)]
// Nothing outside can reach into a program: here `pub` means "out of this module".
#![allow(unreachable_pub)]

mod args;
mod bench;
mod demo;
mod docs;
mod fixtures;
mod libtorch;
mod python;
mod run;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::args::Args;

const HELP: &str = "\
cargo xtask <command>

  libtorch    prepare target/libtorch, which the build links to (fetches 530 MB, once per user)
                --cuda         add the CUDA libraries even though no NVIDIA device is seen here
                --keep-wheels  keep the downloaded wheels after unpacking
  python      prepare target/python, in which the tests run clients in Python, and target/torchserve, which has
              TorchServe itself and torch (fetches 700 MB)
  test        set up libtorch and Python, then check formatting, lints, tests and documentation
                --fast         leave out the build without the engine and the documentation
  demo        build everything, serve the shipped workflows, ask one about a picture, leave the daemon running
                --once         stop the daemon after the answer
                --port N       serve on port N rather than 8080
  bench       measure the daemon beside libtorch alone, write docs/benchmarks.md (about 15 minutes)
                --quick        in 2 minutes, to try it out; writes into target/bench
                --only MODEL   one of classifier, echo, mlp, resnet18; may be given again; writes into target/bench
                --workflows    workflows alone, in 2 minutes; writes their section of docs/benchmarks.md
                --grpc         gRPC beside REST alone, in 7 minutes; writes its section of docs/benchmarks.md
                --python       handlers in Python beside TorchServe's alone, in 3 minutes; writes its section of docs/benchmarks.md
                --torchserve F the environment that has TorchServe, rather than target/torchserve
                --profile      say where the time of the model that does nothing goes, and write nothing
                --against P    set this build beside another build's program P, and write nothing
  soak        keep the daemon under full load while models come and go; fails if anything is lost, crossed or grows
                --minutes N    for N minutes rather than 10
  docs        write docs/configuration.md from the table of keys
  fixtures    train the demo model anew and write it and its pictures into tests/fixtures
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    match dispatch(command.as_deref(), Args::new(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Option<&str>, mut args: Args) -> Result<()> {
    match command {
        None | Some("help" | "-h" | "--help") => {
            print!("{HELP}");
            Ok(())
        }
        Some("libtorch") => {
            let options = libtorch::Options {
                cuda: args.flag("--cuda"),
                keep_wheels: args.flag("--keep-wheels"),
            };
            args.finish()?;
            libtorch::prepare(options)
        }
        Some("python") => {
            args.finish()?;
            python::prepare()
        }
        Some("test") => {
            let fast = args.flag("--fast");
            args.finish()?;
            test::test(fast)
        }
        Some("demo") => {
            let options = demo::Options {
                once: args.flag("--once"),
                port: args.value("--port")?,
            };
            args.finish()?;
            demo::demo(&options)
        }
        Some("bench") => bench::bench("compare", args.rest()),
        Some("soak") => bench::bench("soak", args.rest()),
        Some("docs") => {
            args.finish()?;
            docs::docs()
        }
        Some("fixtures") => {
            args.finish()?;
            fixtures::fixtures()
        }
        Some(other) => bail!("there is no command {other:?}: `cargo xtask` lists them"),
    }
}
