use std::fs;
use std::process::Command;

use crate::harness::{Bench, FORMATS, MODEL, module};

#[test]
fn a_sound_archive_is_ok_in_every_format() {
    for (format, file) in FORMATS {
        let bench = Bench::new();
        bench.succeed(&format!("model {MODEL} --archive-format {format}"));
        let printed = bench.succeed(&format!("verify {file}"));
        assert_eq!(printed, format!("OK: {file}: m 1.0, image_classifier\n"));
    }
}

#[test]
fn warnings_of_the_configuration_are_told() {
    let bench = Bench::new();
    bench.write("config.yaml", b"deviceType: tpu\n");
    bench.succeed(&format!("model {MODEL}"));
    assert_eq!(
        bench.succeed("verify m.mar"),
        "OK: m.mar: m 1.0, image_classifier\n\
         warning: key deviceType ignored: expected cpu or gpu, found \"tpu\"\n"
    );
}

/// What packs but would not be served is refused with one line that has these words.
fn check_refused(flags: &str, expected: &[&str]) {
    check_weights_refused(&module("weights"), flags, expected);
}

/// The same, with these bytes for weights.
fn check_weights_refused(weights: &[u8], flags: &str, expected: &[&str]) {
    let bench = Bench::new();
    bench.write("w.pt", weights);
    let packed = bench.run(&format!("model --model-name m --version 1.0 {flags}"));
    assert_eq!(packed.code, Some(0), "{}", packed.stderr);
    let ran = bench.run("verify m.mar");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{flags}");
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    for words in expected {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
}

#[test]
fn what_would_not_be_served_is_refused() {
    check_refused(
        "--handler vllm_handler --serialized-file w.pt",
        &[
            "error: m.mar: ",
            "unknown handler",
            "vllm_handler",
            "image_classifier",
        ],
    );
    check_refused(
        "--handler base_handler",
        &["error: m.mar: the manifest names no serializedFile"],
    );
}

#[test]
fn weights_are_refused_for_what_they_are() {
    let module = module("weights");
    let native = "--handler base_handler --serialized-file w.pt";
    let unknown =
        ["error: m.mar: w.pt is no model file that is known here; expected a TorchScript module"];
    check_weights_refused(b"\x89PNG\r\n\x1a\n", native, &unknown);
    check_weights_refused(b"just text", native, &unknown);
    check_weights_refused(&module[..module.len() / 2], native, &unknown);
    check_weights_refused(b"", native, &["error: m.mar: w.pt is an empty file"]);
    check_weights_refused(
        b"\x80\x02}q\x00.",
        native,
        &["m.mar: w.pt is a bare pickle"],
    );
}

/// What packs with these flags is served in Python, for that reason.
fn check_python(flags: &str, expected: &str) {
    let bench = Bench::new();
    bench.write("net.py", b"class Net: pass\n");
    bench.write("reqs.txt", b"numpy\n");
    // Nothing that the daemon itself could load: these are the handler's business.
    bench.write("w.pt", b"just text");
    bench.succeed(&format!("model --model-name m --version 1.0 {flags}"));
    let printed = bench.succeed("verify m.mar");
    assert_eq!(
        printed,
        format!("OK: m.mar: m 1.0, {expected}\n"),
        "{flags}"
    );
}

#[test]
fn what_takes_python_is_said_to() {
    check_python(
        "--handler mine.py --serialized-file w.pt",
        "mine.py; takes a Python worker, because its handler is mine.py",
    );
    check_python(
        "--handler mine.py:handle -r reqs.txt",
        "mine.py:handle; takes a Python worker, because its handler is mine.py, and what reqs.txt asks for",
    );
    check_python(
        "--handler base_handler --model-file net.py --serialized-file w.pt",
        "base_handler; takes a Python worker, because its network is the source net.py",
    );
}

#[test]
fn a_tar_without_a_folder_is_told_apart_from_a_manifest_without_weights() {
    let bench = Bench::new();
    bench.succeed(&format!("model {MODEL} --archive-format no-archive"));
    let output = Command::new("tar")
        .args(["-czf", "flat.tar.gz", "-C", "m"])
        .args(["MAR-INF", "w.pt", "config.yaml"])
        .current_dir(bench.path("."))
        .output()
        .expect("tar starts");
    assert!(output.status.success(), "{output:?}");
    bench.fail(
        "verify flat.tar.gz",
        "flat.tar.gz: no MAR-INF/MANIFEST.json was found, so the archive names no serializedFile \
         (in a .tar.gz, everything is expected below one folder)",
    );
}

#[test]
fn a_damaged_archive_is_refused() {
    let bench = Bench::new();
    bench.succeed(&format!("model {MODEL} --archive-format zip-store"));
    let mut bytes = fs::read(bench.path("m.mar")).expect("an archive");
    let weights = bytes
        .windows(8)
        .position(|window| window == b"weights ")
        .expect("stored as they are");
    bytes[weights] = b'W';
    bench.write("m.mar", &bytes);
    bench.fail(
        "verify m.mar",
        "m.mar: damaged archive: entry \"w.pt\": Invalid checksum",
    );
    let cut = "m.mar: damaged archive: cut short, or not a zip";
    bench.write("m.mar", &bytes[..bytes.len() / 2]);
    bench.fail("verify m.mar", cut);
    bench.fail("inspect m.mar", cut);
}

#[test]
fn an_archive_that_lost_a_file_is_refused() {
    let bench = Bench::new();
    bench.succeed(&format!("model {MODEL} --archive-format no-archive"));
    fs::remove_file(bench.path("m/w.pt")).expect("packed");
    bench.fail(
        "verify m",
        "m: file \"w.pt\": there is no such file in the archive",
    );
}

#[test]
fn a_graph_that_is_wrong_is_not_packed_and_told_in_its_own_file() {
    let bench = Bench::new();
    bench.write("w.pt", &module("weights"));
    let graph = |rows: &str| {
        format!(
            "# Two lines of comment,\n# which count.\nhandler:\n  pipeline:\n    inputs: {{x: 'tensor<f32>[n, 2]'}}\n    \
             nodes:\n      rows: {{model: network, in: x}}\n      sums: {{function: merge, in: {{rows: {rows}}}}}\n    \
             output: sums\n"
        )
    };
    let pack = |config: &str| {
        bench.run(&format!(
            "model --model-name g --version 1.0 --handler pipeline --serialized-file w.pt --config-file {config} --force"
        ))
    };
    bench.write("graph.yaml", graph("row").as_bytes());
    let ran = pack("graph.yaml");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        ran.stderr,
        "error: graph.yaml:8:42: error: `sums`, field `in.rows`: no node or input is called `row`; nearest is `rows`\n"
    );
    assert!(!bench.path("g.mar").exists());
    bench.write("model-config.yaml", graph("rows").as_bytes());
    let ran = pack("model-config.yaml");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    bench.succeed("verify g.mar");
    // A graph in a file of its own, which is packed beside the configuration.
    bench.write("flow.yaml", b"nodes: {rows: {model: network, in: {x: request}}, sums: {function: merge, in: {a: row}}}\noutput: sums\n");
    bench.write("model-config.yaml", b"handler: {pipeline: flow.yaml}\n");
    let ran = bench.run(
        "model --model-name g --version 1.0 --handler pipeline --serialized-file w.pt --config-file model-config.yaml \
         --extra-files flow.yaml --force",
    );
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.starts_with("error: flow.yaml:1:"),
        "{}",
        ran.stderr
    );
}
