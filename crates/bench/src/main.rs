//! `bench`: reads the arguments, runs what they say, and puts the results where they belong.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its reader"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench::args::{Cli, Command, Compare, Soak};
use bench::plan::Plan;
use bench::report::{Findings, of_model, of_shares, page, with_section};
use bench::subject::{NAMES, Subject};
use bench::{
    against, bare, machine, memory, plot, profile, python, soak, versus, wires, workflows,
};
use clap::Parser;

/// What is weighed, and what is profiled.
const HEAVY: &str = "resnet18";
const IDLE: &str = "echo";
/// Connections of the profile.
const BUSY: usize = 32;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Compare(options) => compare(&options),
        Command::Soak(options) => soak(&options),
        Command::Bare { subject, folder } => serve_bare(&subject, &folder),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Compare) -> Result<()> {
    let folder = folder()?;
    demo::torch::save_bench_models(&folder)?;
    let plan = if options.quick {
        Plan::QUICK
    } else {
        Plan::FULL
    };
    if options.profile {
        return show_profile(&folder, plan);
    }
    if options.workflows {
        let found = workflows::measure(&folder, plan, &mut |line| println!("{line}"))?;
        return tell(&found.section(), options.quick);
    }
    if options.python {
        let environment = std::path::absolute(&options.torchserve)?;
        let found = python::measure(&folder, &environment, plan, &mut |line| println!("{line}"))?;
        return tell(&found.section(), options.quick);
    }
    if let Some(other) = &options.against {
        let other = other
            .canonicalize()
            .with_context(|| format!("cannot use {}", other.display()))?;
        for subject in subjects(&options.only, &[IDLE], &folder)? {
            let table = if options.grpc {
                wires::table(&subject, &folder, &other, plan)
            } else {
                against::table(&subject, &folder, &other, plan)
            };
            println!("{}", table?);
        }
        return Ok(());
    }
    if options.grpc {
        let subjects = subjects(&options.only, &wires::SMALL, &folder)?;
        let found = wires::measure(&subjects, &folder, plan, &mut |line| println!("{line}"))?;
        return tell(&found.section(), options.quick || !options.only.is_empty());
    }
    let subjects = subjects(&options.only, &NAMES, &folder)?;
    let mut findings = Findings {
        machine: machine::description(),
        ..Findings::default()
    };
    for subject in &subjects {
        let model = versus::measure(subject, &folder, plan, &mut |line| println!("{line}"))?;
        println!("\n{}", of_model(&model));
        findings.models.push(model);
    }
    if let Some(subject) = subjects.iter().find(|subject| subject.name == HEAVY) {
        println!("{HEAVY}: what workers weigh");
        findings.weights = memory::weigh(subject, &folder, plan.slice)?;
        findings.weighed = subject.title.into();
    }
    if let Some(subject) = subjects.iter().find(|subject| subject.name == IDLE) {
        println!("{IDLE}: where the rest goes");
        let time = 2 * plan.slice;
        findings.shares = Some(profile::by_thread(subject, &folder, BUSY, time)?);
    }
    if options.only.is_empty() {
        let found = workflows::measure(&folder, plan, &mut |line| println!("{line}"))?;
        println!("\n{}", found.section());
        findings.workflows = Some(found);
        let subjects = self::subjects(&[], &wires::SMALL, &folder)?;
        let found = wires::measure(&subjects, &folder, plan, &mut |line| println!("{line}"))?;
        println!("\n{}", found.section());
        findings.wires = Some(found);
        let environment = std::path::absolute(&options.torchserve)?;
        let found = python::measure(&folder, &environment, plan, &mut |line| println!("{line}"))?;
        println!("\n{}", found.section());
        findings.python = Some(found);
    }
    let kept = !options.quick && options.only.is_empty();
    let docs = if kept {
        workspace().join("docs")
    } else {
        folder
    };
    write(&docs, &findings)
}

/// The models that were asked for, or these.
fn subjects(asked: &[String], all: &[&str], folder: &Path) -> Result<Vec<Subject>> {
    let asked = asked.iter().map(String::as_str);
    let all = all.iter().copied().filter(|_| asked.len() == 0);
    asked
        .clone()
        .chain(all)
        .map(|name| Subject::new(name, folder))
        .collect()
}

/// Writes the page and its picture.
fn write(folder: &Path, findings: &Findings) -> Result<()> {
    const PLOT: &str = "images/benchmarks.svg";
    let files = [
        ("benchmarks.md", page(findings, PLOT)),
        (PLOT, plot::svg(&findings.models)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        let parent = path.parent().context("a file in a folder")?;
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// One section alone. Of the page, only that is written anew.
fn tell(section: &str, is_trial: bool) -> Result<()> {
    println!("\n{section}");
    if is_trial {
        return Ok(());
    }
    let path = workspace().join("docs/benchmarks.md");
    let page =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    fs::write(&path, with_section(&page, section))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote a section of {}", path.display());
    Ok(())
}

fn show_profile(folder: &Path, plan: Plan) -> Result<()> {
    let subject = Subject::new(IDLE, folder)?;
    let shares = profile::by_thread(&subject, folder, BUSY, 2 * plan.slice)?;
    println!("{}", of_shares(&shares));
    let time = (2 * plan.slice).max(Duration::from_secs(3));
    match profile::by_function(&subject, folder, BUSY, time)? {
        Some(functions) => println!("By function, as perf sees it:\n\n{functions}"),
        None => println!("perf is not there or not allowed here, so functions are not told apart."),
    }
    Ok(())
}

fn soak(options: &Soak) -> Result<()> {
    let outcome = soak::run(&folder()?, options.minutes, &mut |line| println!("{line}"))?;
    println!("{}", outcome.text());
    if !outcome.is_good() {
        bail!("the soak found violations");
    }
    Ok(())
}

fn serve_bare(subject: &str, folder: &Path) -> Result<()> {
    let subject = Subject::new(subject, folder)?;
    bare::serve(&subject, io::stdin().lock(), io::stdout().lock())
}

/// The folder of everything that is made here, beside the programs: `target/bench`.
fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("the path of this program")?;
    let target = program.parent().and_then(Path::parent);
    let folder = target
        .context("a program in a folder of builds")?
        .join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
