//! `torchrelay`: arguments, configuration, listeners, serve, exit code; or a command, which the crates `client` and
//! `workbench` carry out.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, ExitCode};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{CommandFactory, Parser};
use server::args::{Args, Command, Dev, Doctor, Run, Task, version_line};
use server::config::{Addresses, Config, Notice, Severity, process_env};
use server::daemonize::{self, PidFile};
use server::{listeners, serve, shutdown, telemetry, wiring};
use serving::Serving;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// A quarter of what an idle model's request costs was the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = Args::parse();
    let outcome = match args.command.take() {
        Some(Command::Ask(command)) => return ask(command),
        Some(Command::Write(command)) => return workbench::run(command, &process_env),
        Some(Command::Doctor(doctor)) => return examine(&doctor),
        Some(Command::Worker { .. }) => return work(),
        Some(Command::Dev(dev)) => develop(&dev),
        Some(Command::Run(run)) => run_once(&run),
        None => run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If anybody still reads it.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out a command for a server that runs.
fn ask(command: client::Command) -> ExitCode {
    client::run(command, client_context())
}

fn client_context() -> client::Context<'static> {
    client::Context {
        configured: &configured_addresses,
        program: Args::command(),
        env: &process_env,
        folder: std::env::current_dir().unwrap_or_default(),
    }
}

/// Looks at an installation, and at what runs beside us.
fn examine(doctor: &Doctor) -> ExitCode {
    match server::doctor::run(doctor, &client_context()) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::from(2)
        }
    }
}

/// Is a worker of a daemon, which reads all that is said.
fn work() -> ExitCode {
    /// As `python/launch.py` says that nothing runs unbound.
    const CANNOT: u8 = 124;
    telemetry::of_worker();
    match wiring::serve_isolated() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(CANNOT)
        }
    }
}

fn configured_addresses(file: Option<&Path>) -> Result<client::Configured, String> {
    if let Some(file) = file
        && !file.is_file()
    {
        return Err(format!("--config file not found: {}", file.display()));
    }
    let folder =
        std::env::current_dir().map_err(|error| format!("the working directory: {error}"))?;
    let addresses =
        Addresses::load(file, &process_env, &folder).map_err(|errors| errors.to_string())?;
    Ok(client::Configured {
        inference: addresses.inference_address.to_string(),
        management: addresses.management_address.to_string(),
        metrics: addresses.metrics_address.to_string(),
    })
}

fn run(args: &Args) -> anyhow::Result<()> {
    match args.task() {
        Task::Help => Ok(Args::command().print_help()?),
        Task::Version => {
            say(&version_line());
            Ok(())
        }
        Task::StartInBackground => {
            // Mistakes show here, where somebody looks, rather than in the daemon's log.
            load_config(args)?;
            let arguments = std::env::args_os().skip(1);
            print_lines(daemonize::start_in_background(
                arguments,
                &daemonize::pid_path(&process_env)?,
            )?);
            Ok(())
        }
        Task::Stop { wait } => {
            let folder = std::env::current_dir()?;
            print_lines(daemonize::stop(
                &daemonize::pid_path(&process_env)?,
                wait,
                &folder,
            )?);
            Ok(())
        }
        Task::Serve { detached } => serve_here(args, detached),
    }
}

fn print_lines(lines: daemonize::Lines) {
    lines.into_iter().for_each(say);
}

/// A line on standard output, if anybody still reads it.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn load_config(args: &Args) -> anyhow::Result<(Config, Vec<server::config::Notice>)> {
    let folder = std::env::current_dir().context("the working directory")?;
    Ok(Config::load(args, &process_env, &folder)?)
}

fn serve_here(args: &Args, detached: bool) -> anyhow::Result<()> {
    let (config, notices) = load_config(args)?;
    set_wait_policy()?;
    let pid_path = daemonize::pid_path(&process_env)?;
    let _pid_file = if detached {
        daemonize::detach().context("cannot leave the launcher's session")?;
        PidFile::adopt(&pid_path)
    } else {
        let (pid_file, lines) = PidFile::claim(&pid_path)?;
        print_lines(lines);
        pid_file
    };
    run_daemon(&config, notices, |_| {})
}

/// Serves a folder while its models and workflows are being written.
fn develop(dev: &Dev) -> anyhow::Result<()> {
    let folder = &dev.folder;
    if !folder.is_dir() {
        bail!("{}: no such folder", folder.display());
    }
    // First: it starts the program over, and nobody would remove the folder below.
    set_wait_policy()?;
    let cwd = std::env::current_dir().context("the working directory")?;
    // Whoever writes a model wants its folder, not the working directory, full of files of its own making.
    let logs = tempfile::tempdir().context("a folder for log files")?;
    let env = |name: &str| {
        let value = process_env(name);
        let is_place = ["LOG_LOCATION", "METRICS_LOCATION"].contains(&name);
        value.or_else(|| is_place.then(|| logs.path().display().to_string()))
    };
    let (mut config, notices) = Config::load(&dev.daemon(), &env, &cwd)?;
    if dev.log_config.is_none() {
        config.logs.levels = server::dev::LEVELS.to_owned();
    }
    config.debugger = dev.debugpy;
    let folder = folder
        .canonicalize()
        .with_context(|| folder.display().to_string())?;
    let colour = workbench::wants_colour(std::io::stdout().is_terminal(), &process_env);
    run_daemon(&config, notices, |started| {
        let house = server::dev::House {
            serving: Arc::clone(started.serving),
            folder,
            shown: dev.folder.clone(),
            address: started.address,
            debugger: dev.debugpy,
            colour,
            say: Box::new(say),
        };
        tokio::spawn(house.run(started.stop));
    })
}

/// Answers for pictures, and ends.
fn run_once(run: &Run) -> anyhow::Result<()> {
    // First: it starts the program over, and nobody would remove the folder below.
    set_wait_policy()?;
    let cwd = std::env::current_dir().context("the working directory")?;
    // It writes answers and no logs.
    let logs = tempfile::tempdir().context("a folder for log files")?;
    let env = |name: &str| {
        let is_place = ["LOG_LOCATION", "METRICS_LOCATION"].contains(&name);
        if is_place {
            return Some(logs.path().display().to_string());
        }
        process_env(name)
    };
    let (config, _) = Config::load(&run.daemon(), &env, &cwd)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("torchrelay")
        .build()?;
    let outcome = runtime.block_on(server::run::run(run, &config));
    runtime.shutdown_background();
    let report = outcome?;
    for note in &report.notes {
        // If anybody reads it.
        let _ = writeln!(std::io::stderr(), "{note}");
    }
    if !report.all {
        bail!(report.line);
    }
    say(&report.line);
    Ok(())
}

/// A daemon that takes requests.
struct Started<'a> {
    serving: &'a Arc<Serving>,
    /// Of the inference API.
    address: String,
    stop: CancellationToken,
}

/// Serves until a signal; calls `started` as soon as requests are taken.
fn run_daemon(
    config: &Config,
    notices: Vec<Notice>,
    started: impl FnOnce(Started<'_>),
) -> anyhow::Result<()> {
    let telemetry = telemetry::init(&config.logs);
    info!("{}", version_line());
    for notice in notices {
        match notice.severity {
            Severity::Info => info!("{notice}"),
            Severity::Warning => warn!("{notice}"),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("torchrelay")
        .build()?;
    let outcome = runtime.block_on(async {
        let stop = shutdown::on_signal(telemetry.flush())?;
        let listeners = listeners::bind(config).await?;
        let address = listeners.inference.address();
        let engine = wiring::engine(config);
        let flush = telemetry.flush();
        // Launchers wait for this very line; what was said before it, such as addresses, stands before it.
        serve(config, engine, listeners, stop.clone(), |serving| {
            flush();
            say("Model server started.");
            started(Started {
                serving,
                address,
                stop,
            });
        })
        .await
    });
    // A worker that hangs in a model must not keep the process: its thread ends with it.
    runtime.shutdown_background();
    if let Err(error) = &outcome {
        // In the background nobody may see what is printed.
        error!("{error:#}");
    }
    outcome
}

/// Threads of libtorch that wait for work must sleep: spinning, they take the cores that other workers need. OpenMP reads
/// the setting once, when its library is loaded before `main`, so a start without it starts over with it.
fn set_wait_policy() -> anyhow::Result<()> {
    const KEY: &str = "OMP_WAIT_POLICY";
    if cfg!(feature = "torch-engine") && std::env::var_os(KEY).is_none() {
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let program = std::env::current_exe().context("the path of this program")?;
        let error = process::Command::new(program)
            .args(arguments)
            .env(KEY, "passive")
            .exec();
        bail!("cannot start over with {KEY} set: {error}");
    }
    Ok(())
}
