//! Functions of a workflow's handler file: they run in one process of the workflow's own, and get and give what TorchServe's do;
//! in the typed form, values of any type.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::client::Request;
use crate::fixtures::{Model, own};
use crate::harness::{Bench, Daemon};
use crate::python_handlers::has_python;
use crate::war;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

const CLASSIC: &str = "models: {}
dag:
  start: [left, right]
  left: [join]
  right: [join]
";

const HANDLER: &str = "
import json
import os

def said(**what):
    return json.dumps(what).encode()

def start(data, context):
    if data is None:
        return None
    assert len(data) == 1
    name, value = next(iter(data[0].items()))
    value = value if isinstance(value, (dict, str)) else bytes(value).decode()
    if value == 'raise':
        raise ValueError('as asked')
    if value == 'nothing':
        return []
    if value == 'die':
        os.abort()
    context.set_response_status(400, idx=0)
    return [{'name': name, 'value': value, 'type': type(data[0][name]).__name__, 'pid': os.getpid(),
             'header': context.get_request_header(0, 'x-mine'),
             'inner': context.get_request_header(0, 'torchrelay-function')}]

def left(data, context):
    return None if data is None else [bytes(row['body']) for row in data]

def right(data, context):
    if data is None:
        return None
    return [said(keys=sorted(row), type=type(row['body']).__name__, pid=os.getpid()) for row in data]

def join(data, context):
    if data is None:
        return None
    return [{'type': sorted({type(value).__name__ for value in row.values()}),
             **{name: json.loads(bytes(value)) for name, value in row.items()}} for row in data]
";

/// Writes a workflow with a handler file to the store: a folder, as a `.war` unpacks to.
fn workflow(bench: &Bench, name: &str, spec: &str, handler: &str) {
    let entry = json!({ "workflowName": name, "specFile": "spec.yaml", "handler": "handler.py" });
    let manifest = json!({ "createdOn": "21/11/2026 21:23:23", "archiverVersion": "0.2.15", "workflow": entry });
    for (file, text) in [
        ("WAR-INF/MANIFEST.json", manifest.to_string().as_str()),
        ("spec.yaml", spec),
        ("handler.py", handler),
    ] {
        bench.write(&format!("store/{name}/{file}"), text.as_bytes());
    }
}

fn start(workflows: &[(&str, &str, &str)]) -> Daemon {
    let bench = Bench::new().config("model_store=store\nenable_model_api=true");
    for (name, spec, handler) in workflows {
        workflow(&bench, name, spec, handler);
    }
    bench.start_plain(&["--ncs"])
}

#[track_caller]
fn register(daemon: &Daemon, name: &str) {
    let answer = daemon.manage("POST", &format!("/workflows?url={name}"));
    let words = format!("Workflow {name} has been registered and scaled successfully.");
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (200, &json!(words)),
        "{}",
        answer.text()
    );
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn runs(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn pid(value: &Value) -> i32 {
    let pid = value.as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.unwrap_or_else(|| panic!("no process: {value}"))
}

#[test]
fn functions_get_what_torchserve_hands_them() {
    if !has_python() {
        return;
    }
    let daemon = start(&[("w", CLASSIC, HANDLER)]);
    register(&daemon, "w");
    let check = |request: Request, name: &str, of: &str, value: Value| {
        let answer = daemon.send(
            &request
                .header("x-mine", "1")
                .header("torchrelay-function", "left"),
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let answer = answer.json();
        let pid = &answer["left"]["pid"];
        let started = json!({ "name": name, "value": value, "type": of, "pid": pid, "header": "1", "inner": null });
        let right = json!({ "keys": ["body"], "type": "bytearray", "pid": pid });
        let expected = json!({ "type": ["bytearray"], "left": started, "right": right });
        assert_eq!(answer, expected);
    };
    let post = |body: &str| Request::post("/wfpredict/w", body);
    check(post("hello"), "body", "bytearray", json!("hello"));
    let document = post("{\"a\": 1}").content_type("application/json");
    check(document, "body", "dict", json!({ "a": 1 }));
    let text = post("words").content_type("text/plain");
    check(text, "body", "str", json!("words"));
}

#[test]
fn models_and_functions_hand_each_other_bytes() {
    if !has_python() {
        return;
    }
    let handler = "
import json

def before(data, context):
    return None if data is None else [[1.5, 2.5] for _ in data]

def after(data, context):
    return None if data is None else ['%s %s' % (type(row['body']).__name__, json.loads(bytes(row['body']))) for row in data]
";
    let bench = Bench::new()
        .config("model_store=store")
        .with(&Model::double());
    let spec = "models: {m: {url: double.mar}}\ndag: {before: [m], m: [after]}\n";
    workflow(&bench, "w", spec, handler);
    let daemon = bench.start_plain(&["--ncs", "--workflows", "w=w"]);
    let answer = daemon.post("/wfpredict/w", b"x");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.text(), "bytearray [3.0, 5.0]");
}

#[test]
fn an_archive_of_torchserves_archiver_runs_and_goes_without_a_trace() {
    if !has_python() {
        return;
    }
    let bench = Bench::new().config("model_store=store");
    war::pack(&bench, "echo", "models: {}\ndag:\n  f:\n");
    let daemon = bench.start_plain(&["--ncs"]);
    let registered = daemon.manage("POST", "/workflows?url=echo.war");
    assert_eq!(registered.status, 200, "{}", registered.text());
    let document = json!({ "a": [1, null] });
    let request = Request::post("/wfpredict/echo", document.to_string());
    let answer = daemon.send(&request.content_type("application/json"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), json!({ "body": document }));
    assert_eq!(daemon.manage("DELETE", "/workflows/echo").status, 200);
    assert_eq!(daemon.get("/wfpredict/echo").status, 404);
}

#[test]
fn several_leaves_are_one_document() {
    if !has_python() {
        return;
    }
    let handler = "
def start(data, context):
    return data and [row['body'] for row in data]

def a(data, context):
    return data and ['{\"x\": [1, 2.5]}' for _ in data]

def b(data, context):
    return data and [bytes(row['body']) for row in data]
";
    let daemon = start(&[("w", "models: {}\ndag: {start: [a, b]}\n", handler)]);
    register(&daemon, "w");
    let answer = daemon.post("/wfpredict/w", b"{\"y\": null}");
    let expected = json!({ "a": { "x": [1, 2.5] }, "b": { "y": null } });
    assert_eq!((answer.status, answer.json()), (200, expected));
    let answer = daemon.post("/wfpredict/w", b"no document");
    let words = "the answer of `b` is no JSON, and there are several";
    assert_eq!((answer.status, &*answer.message()), (500, words));
}

#[test]
fn failures_name_the_node_and_the_log_has_the_traceback() {
    if !has_python() {
        return;
    }
    let spec = CLASSIC.replace("models: {}", "models: {retry-attempts: 0}");
    let daemon = start(&[("w", &spec, HANDLER)]);
    register(&daemon, "w");
    let check = |body: &str, status: u16, words: &str| {
        let answer = daemon.post("/wfpredict/w", body.as_bytes());
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        let message = answer.message();
        let expected = format!("Error executing start: {words}");
        assert!(message.starts_with(&expected), "{body}: {message}");
        assert_eq!(answer.json()["node"], "start");
    };
    check("raise", 503, "Prediction failed");
    daemon.log().wait_for("raise ValueError('as asked')");
    daemon.log().wait_for("ValueError: as asked");
    check("nothing", 503, "number of batch response mismatched");
    check("die", 500, "Worker died.");
    wait_until("the next worker answers", || {
        daemon.post("/wfpredict/w", b"again").status == 200
    });
}

#[test]
fn functions_share_a_process_that_comes_back_and_goes_with_the_workflow() {
    if !has_python() {
        return;
    }
    let daemon = start(&[("w", CLASSIC, HANDLER)]);
    register(&daemon, "w");
    let of_answer = || {
        let answer = daemon.post("/wfpredict/w", b"x");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        let (left, right) = (pid(&answer["left"]["pid"]), pid(&answer["right"]["pid"]));
        assert_eq!(left, right, "two functions, one process");
        left
    };
    let first = of_answer();
    assert_eq!(of_answer(), first);
    let process = Pid::from_raw(first).expect("a process");
    kill_process(process, Signal::KILL).expect("it runs");
    // The attempt that finds it dead is followed by another.
    let second = of_answer();
    assert_ne!(second, first);
    let gone = daemon.manage("DELETE", "/workflows/w");
    assert_eq!(gone.status, 200, "{}", gone.text());
    wait_until("the process has ended", || !runs(second));
    assert_eq!(daemon.manage("GET", "/models/w__join").status, 404);
}

#[test]
fn functions_are_described_and_scaled_as_models_that_no_list_has() {
    if !has_python() {
        return;
    }
    let daemon = start(&[("w", CLASSIC, HANDLER)]);
    register(&daemon, "w");
    assert_eq!(
        daemon.manage("GET", "/models").json(),
        json!({ "models": [] })
    );
    let described = daemon.manage("GET", "/models/w__join").json();
    let described = &described[0];
    let expected = json!(["w__join", "1.0", 1, 1, 1, 0, null]);
    let members = [
        "modelName",
        "modelVersion",
        "minWorkers",
        "maxWorkers",
        "batchSize",
        "maxBatchDelay",
        "modelUrl",
    ];
    assert_eq!(json!(members.map(|name| &described[name])), expected);
    assert_eq!(described["workers"].as_array().map(Vec::len), Some(1));
    let scaled = daemon.manage("PUT", "/models/w__start?min_worker=2&synchronous=true");
    assert_eq!(scaled.status, 200, "{}", scaled.text());
    let described = daemon.manage("GET", "/models/w__join").json();
    assert_eq!(described[0]["workers"].as_array().map(Vec::len), Some(2));
    let graph = daemon.manage("GET", "/workflows/w?format=json").json();
    let join = &graph["nodes"][3];
    let shown = json!([join["name"], join["kind"], join["function"], join["model"]]);
    assert_eq!(shown, json!(["join", "function", "join", "w__handler.py"]));
}

#[test]
fn what_cannot_run_is_refused_when_it_is_registered() {
    if !has_python() {
        return;
    }
    let one = "models: {}\ndag: {f: [g]}\n";
    let both = "def f(data, context): return data\ndef g(data, context): return data\n";
    let lost = format!("{both}del g\n");
    let daemon = start(&[
        ("absent", one, "def f(data, context): return data\n"),
        ("broken", one, &format!("import no_such_module\n{both}")),
        ("lost", one, &lost),
        (
            "choosy",
            one,
            &format!("{both}def g(data, context): return data[0]\n"),
        ),
    ]);
    let check = |name: &str, status: u16, words: &str| {
        let answer = daemon.manage("POST", &format!("/workflows?url={name}"));
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        let message = answer.message();
        assert!(message.contains(words), "{name}: {message}");
        assert_eq!(
            daemon.manage("GET", &format!("/workflows/{name}")).status,
            404
        );
    };
    check(
        "absent",
        400,
        "`g`: it is no model of `models`, no entry of `functions` and no native function",
    );
    check("absent", 400, "handler.py defines no function of that name");
    let import = "handler handler.py:f,g: ModuleNotFoundError: No module named 'no_such_module'";
    check("broken", 500, import);
    check("lost", 500, "ValueError: module handler has no function g");
    check(
        "choosy",
        500,
        "TypeError: 'NoneType' object is not subscriptable",
    );
}

/// Rows without numpy and torch, whatever the interpreter has: a tensor is what can be looked at as memory.
const TYPED_HANDLER: &str = "
import struct
from torchrelay_worker import Image, Tensor

def numbers(value):
    if isinstance(value, list):
        return value
    if hasattr(value, 'view') and hasattr(value, 'data') and not hasattr(value, 'tolist'):
        return value.view().tolist()
    return value.tolist()

def double(data, context):
    if data is None:
        return None
    return [Tensor('float32', [2], struct.pack('=2f', *(2 * x for x in numbers(row['x'])))) for row in data]

def look(data, context):
    if data is None:
        return None
    row, = data
    return [{name: [type(value).__name__, list(value.shape) if hasattr(value, 'shape') else value]
             for name, value in row.items()}]

def picture(data, context):
    if data is None:
        return None
    given, = (row['picture'] for row in data)
    assert isinstance(given, Image) and bytes(given.file[1:4]) == b'PNG', given
    return [Image(pixels=Tensor('uint8', [1, 2, 3], bytes([0, 0, 0, 255, 0, 255])))]

def add(data, context):
    return None if data is None else [row['body'] + 1 for row in data]
";

#[test]
fn values_of_any_type_pass_through_the_typed_form() {
    if !has_python() {
        return;
    }
    let typed = "
inputs: {x: 'tensor<f32>[2]', label: text, config: json, budget: {type: int, default: 3}}
nodes:
  double: {in: {x: x}}
  doubled: {function: double, in: {x: double}}
  look: {in: {x: doubled, label: label, config: config, budget: budget}}
  answer: {function: merge, in: {seen: look, numbers: doubled}}
output: answer
";
    let items = "
inputs: {list: json}
nodes:
  item: {foreach: list}
  more: {function: add, in: item}
  all: {gather: more}
output: all
";
    let pictures = "
inputs: {picture: image}
nodes:
  drawn: {function: picture, in: {picture: picture}}
  planes: {function: normalize, in: drawn, with: {mean: [0, 0, 0], std: [1, 1, 1]}}
  seen: {function: look, in: {x: planes}}
  answer: {function: merge, in: {seen: seen, planes: planes}}
output: answer
";
    let daemon = start(&[
        ("w", typed, TYPED_HANDLER),
        ("items", items, TYPED_HANDLER),
        ("pictures", pictures, TYPED_HANDLER),
    ]);
    for name in ["w", "items", "pictures"] {
        register(&daemon, name);
    }
    let body = json!({ "x": [1.5, 2.0], "label": "l", "config": { "deep": [1] } });
    let ask = |path: &str, body: &Value| {
        let request = Request::post(path, body.to_string()).content_type("application/json");
        let answer = daemon.send(&request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let answer = ask("/wfpredict/w", &body);
    assert_eq!(answer["numbers"], json!([6.0, 8.0]));
    let seen = &answer["seen"];
    assert_eq!(seen["x"][1], json!([2]), "{seen}");
    let rest = json!([seen["label"], seen["config"], seen["budget"]]);
    let expected = json!([["str", "l"], ["dict", { "deep": [1] }], ["int", 3]]);
    assert_eq!(rest, expected);
    // From a file to samples of Python's own, to a native function and, as a tensor, back to Python.
    let picture = fs::read(own("substrates/rock-2.png")).expect("a picture");
    let answer = daemon.post("/wfpredict/pictures", &picture);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(
        answer["planes"],
        json!([[[[0.0, 1.0]], [[0.0, 0.0]], [[0.0, 1.0]]]])
    );
    assert_eq!(answer["seen"]["x"][1], json!([1, 3, 1, 2]));
    let list = json!({ "list": [1, 2, 3] });
    assert_eq!(ask("/wfpredict/items", &list), json!([2, 3, 4]));
}
