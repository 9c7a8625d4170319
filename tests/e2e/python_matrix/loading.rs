//! Handlers that cannot be loaded, and what is said of them when they are registered.

use archive::{PackOptions, Plan};

use super::check_all;
use crate::fixtures::zip;
use crate::harness::Bench;
use crate::torchserve::{Serving, Who, interpreter, settings};

/// A handler, the status of its registration, and what the message says with our worker and with TorchServe's.
struct Failure {
    name: &'static str,
    code: &'static str,
    status: u16,
    ours: &'static str,
    theirs: &'static str,
}

const FAILURES: [Failure; 12] = [
    Failure {
        name: "no_import",
        code: "import nothing_like_that\n",
        status: 500,
        ours: "ModuleNotFoundError: No module named 'nothing_like_that'",
        theirs: "ModuleNotFoundError: No module named",
    },
    Failure {
        name: "no_syntax",
        code: "def handle(:\n",
        status: 500,
        ours: "SyntaxError: ",
        theirs: "SyntaxError: ",
    },
    Failure {
        name: "no_function",
        code: "x = 1\n",
        status: 500,
        ours: "ValueError: module no_function has no function handle, and no class",
        theirs: "ValueError: Expected only one class in custom service code or a function entry point",
    },
    Failure {
        name: "two_classes",
        code: "class A:\n  pass\nclass B:\n  pass\n",
        status: 500,
        ours: "ValueError: module two_classes has no function handle, and 2 classes",
        theirs: "ValueError: Expected only one class in custom service code or a function entry point",
    },
    Failure {
        name: "no_initialize",
        code: "class A:\n  def handle(self, data, context):\n    return data\n",
        status: 500,
        ours: "has no method initialize",
        theirs: "AttributeError: 'A' object has no attribute 'initialize'",
    },
    Failure {
        name: "value_error",
        code: "class A:\n  def initialize(self, context):\n    raise ValueError('as asked')\n  def handle(self, data, context):\n    \
               return data\n",
        status: 500,
        ours: "ValueError: as asked",
        theirs: "ValueError: as asked",
    },
    Failure {
        name: "runtime_error",
        code: "def handle(data, context):\n  raise RuntimeError('as asked')\n",
        status: 500,
        ours: "RuntimeError: as asked",
        theirs: "Unknown exception",
    },
    Failure {
        name: "no_memory",
        code: "def handle(data, context):\n  raise MemoryError('as asked')\n",
        status: 507,
        ours: "System out of memory",
        theirs: "System out of memory",
    },
    Failure {
        name: "no_device",
        code: "def handle(data, context):\n  raise RuntimeError('CUDA out of memory')\n",
        status: 507,
        ours: "System out of memory",
        theirs: "System out of memory",
    },
    Failure {
        name: "exits",
        code: "import sys\nsys.exit(3)\n",
        status: 500,
        ours: "its worker ended while it loaded (exit code 3)",
        theirs: "its worker ended while it loaded (exit code 3)",
    },
    Failure {
        name: "aborts",
        code: "import os\nos.abort()\n",
        status: 500,
        ours: "its worker ended while it loaded (signal 6, SIGABRT)",
        theirs: "its worker ended while it loaded (signal 6, SIGABRT)",
    },
    Failure {
        name: "no_file",
        code: "",
        // Of ours: seen before a worker is started.
        status: 400,
        ours: "the archive has no file nothing_like_that.py",
        theirs: "the archive has no file nothing_like_that.py",
    },
];

#[test]
fn our_worker_says_why_it_did_not_load() {
    check(Who::Ours);
}

#[test]
fn of_their_worker_it_is_said_why_it_did_not_load() {
    check(Who::TheirWorker);
}

#[test]
fn their_server_refuses_the_same() {
    check(Who::TheirServer);
}

fn pack(bench: &Bench, failure: &Failure) {
    let file = format!("stage/{}.py", failure.name);
    bench.write(&file, failure.code.as_bytes());
    let handler = match failure.code {
        "" => "nothing_like_that".to_owned(),
        _ => bench.path(&file).display().to_string(),
    };
    if failure.code.is_empty() {
        // No archiver packs it.
        let model = format!(
            r#"{{"modelName": "{}", "modelVersion": "1.0", "handler": "{handler}.py"}}"#,
            failure.name
        );
        let manifest = format!(r#"{{"runtime": "python", "model": {model}}}"#);
        let archive = zip(&[("MAR-INF/MANIFEST.json", manifest.as_bytes())]);
        return bench.write(&format!("store/{}.mar", failure.name), &archive);
    }
    let plan = Plan::check(PackOptions {
        model_name: failure.name.to_owned(),
        version: "1.0".to_owned(),
        handler,
        export_path: bench.path("store"),
        ..PackOptions::default()
    });
    let plan = plan.unwrap_or_else(|error| panic!("{}: {error}", failure.name));
    archive::pack(&plan, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
}

fn check(who: Who) {
    let Some(interpreter) = interpreter() else {
        return;
    };
    let bench = Bench::new().config(&settings(who, &interpreter));
    for failure in &FAILURES {
        pack(&bench, failure);
    }
    let serving = if who == Who::TheirServer {
        Serving::theirs(&interpreter, &bench.path("."), &[])
    } else {
        Some(Serving::daemon(
            who,
            bench.start_with(&["--model-store", "store"]),
        ))
    };
    let Some(serving) = serving else { return };
    let mut mistakes = Vec::new();
    for failure in &FAILURES {
        let path = format!(
            "/models?url={}.mar&initial_workers=1&synchronous=true",
            failure.name
        );
        let answer = serving.manage("POST", &path);
        let message = answer.json()["message"].to_string();
        let says = match who {
            Who::Ours => failure.ours,
            Who::TheirWorker => failure.theirs,
            Who::TheirServer => "",
        };
        // It starts a worker for whatever it is given.
        let status = match failure.status {
            400 if who == Who::TheirServer => 500,
            status => status,
        };
        if answer.status != status || !message.contains(says) {
            mistakes.push(format!(
                "{who:?}, {}: {} {message}, expected {} {says}",
                failure.name, answer.status, status
            ));
        }
    }
    check_all(mistakes);
}
