use std::fs;

use crate::harness::{Bench, FORMATS, MODEL};

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
    let bench = Bench::new();
    bench.succeed(&format!("model --model-name m --version 1.0 {flags}"));
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
        "--handler mine.py --serialized-file w.pt",
        &[
            "error: m.mar: ",
            "mine.py",
            "Python handlers are not supported yet",
        ],
    );
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
