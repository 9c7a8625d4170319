//! The words a worker is started with: its command line and its environment, which are TorchServe's.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process;

use servable::Device;
use worker_process::{Bounds, Group};

use crate::engine::{Shared, Sockets};
use crate::loader::Model;
use crate::parallel::{TORCHRUN, find_torchrun};
use crate::protocol::agreement;

/// What runs, after the launcher.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// The interpreter, if `None`.
    pub(crate) program: Option<PathBuf>,
    pub(crate) arguments: Vec<OsString>,
}

/// The command line of a worker that is to listen there. The error says what is missing.
pub(crate) fn line(
    shared: &Shared,
    model: &Model,
    sockets: &Sockets,
    debugger: Option<u16>,
) -> Result<Line, String> {
    let worker = worker(shared, model, &sockets.first);
    let ranks = model
        .parallel
        .as_ref()
        .and_then(|parallel| Some((parallel, parallel.ranks.as_ref()?)));
    let Some((parallel, ranks)) = ranks else {
        let mut arguments: Vec<OsString> = Vec::new();
        if let Some(port) = debugger {
            // Frozen modules are not seen by the debugger, which would say so at length.
            let listen = format!("127.0.0.1:{port}");
            let words = ["-Xfrozen_modules=off", "-m", "debugpy", "--listen", &listen];
            arguments.extend(words.map(OsString::from));
        }
        arguments.extend(worker);
        return Ok(Line {
            program: None,
            arguments,
        });
    };
    let program = find_torchrun(&model.interpreter).ok_or_else(|| {
        let interpreter = model.interpreter.display();
        format!(
            "its parallelType takes {TORCHRUN}, which is neither beside {interpreter} nor on the path"
        )
    })?;
    let logs = &shared.settings.torchrun_logs;
    let mut arguments = parallel.torchrun(ranks, &model.name, sockets.number, logs);
    arguments.extend(worker);
    Ok(Line {
        program: Some(program),
        arguments,
    })
}

/// The arguments of an interpreter that binds itself, and enters that group, before it becomes the program; or itself again, if
/// there is none.
pub(crate) fn launched(
    shared: &Shared,
    bounds: &Bounds,
    group: Option<&Group>,
    line: Line,
) -> Vec<OsString> {
    let before = [
        "-I".into(),
        "-S".into(),
        shared.package.launcher.clone().into(),
        process::id().to_string().into(),
        bounds.for_launcher(group.is_some()).into(),
        group.map(Group::entrance).unwrap_or_default().into(),
        line.program.unwrap_or_default().into(),
    ];
    before.into_iter().chain(line.arguments).collect()
}

/// The worker's file and its own arguments.
fn worker(shared: &Shared, model: &Model, socket: &Path) -> Vec<OsString> {
    let metrics = shared.settings.metrics_config.as_ref();
    let arguments: [&OsStr; 7] = [
        model.worker.file.as_os_str(),
        "--sock-type".as_ref(),
        "unix".as_ref(),
        "--sock-name".as_ref(),
        socket.as_os_str(),
        "--metrics-config".as_ref(),
        metrics.unwrap_or(&shared.package.metrics).as_os_str(),
    ];
    let mut arguments: Vec<OsString> = arguments.map(OsStr::to_owned).into();
    if model.asynchronous {
        arguments.push("--async".into());
    }
    arguments
}

/// The daemon's environment without what is withheld, and what workers are told.
pub(crate) fn environment(
    shared: &Shared,
    model: &Model,
    device: Device,
) -> Vec<(OsString, OsString)> {
    let mut inherited = None;
    let mut variables: Vec<(OsString, OsString)> = Vec::new();
    for (name, value) in std::env::vars_os() {
        if name == "PYTHONPATH" {
            inherited = Some(value);
        } else if !shared.withholds(&name) {
            variables.push((name, value));
        }
    }
    let inherited = inherited.filter(|_| !shared.withholds(OsStr::new("PYTHONPATH")));
    let mut told: Vec<(&str, OsString)> = vec![
        ("PYTHONPATH", search_path(model, inherited)),
        (
            "TS_DECODE_INPUT_REQUEST",
            shared.settings.decode_input.to_string().into(),
        ),
        ("TS_IPEX_ENABLE", "false".into()),
        ("TS_IPEX_GPU_ENABLE", "false".into()),
    ];
    // The ranks of a model hear the same messages, and only the first protocol is one for all of them.
    let is_spread = model.processes() > 1;
    if model.worker.is_own && shared.settings.protocol >= 2 && !is_spread {
        told.push((agreement::OFFER.0, agreement::OFFER.1.into()));
    }
    if let Some(environment) = &model.virtual_environment {
        told.push(("VIRTUAL_ENV", environment.into()));
    }
    if let Some(parallel) = &model.parallel {
        told.extend(parallel.variables(device));
    }
    variables.retain(|(name, _)| {
        name != agreement::OFFER.0 && !told.iter().any(|(known, _)| name == known)
    });
    variables.extend(told.into_iter().map(|(name, value)| (name.into(), value)));
    variables
}

/// Where modules are looked for: the handler's folder, what the daemon was given, the model's folder, its packages.
fn search_path(model: &Model, inherited: Option<OsString>) -> OsString {
    let inherited: Vec<PathBuf> = inherited
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    let folders = model
        .handler_folder
        .iter()
        .chain(&inherited)
        .chain([&model.dir])
        .chain(&model.packages)
        .filter(|folder| !folder.as_os_str().is_empty());
    // Fails for a folder with a colon in its name, which no such path can hold.
    std::env::join_paths(folders).unwrap_or_else(|_| model.dir.clone().into())
}
