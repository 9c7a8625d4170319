use std::fs;

use serde_json::{Value, json};

use crate::harness::{Bench, FORMATS, MODEL};

#[test]
fn json_tells_everything() {
    for (format, file) in FORMATS {
        let bench = Bench::new();
        bench.succeed(&format!("model {MODEL} --archive-format {format}"));
        let printed = bench.succeed(&format!("inspect {file} --json"));
        let found: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(found["archive"], *file);
        assert_eq!(found["hasManifest"], true);
        assert_eq!(found["manifest"]["model"]["serializedFile"], "w.pt");
        assert_eq!(
            found["config"],
            json!({"minWorkers": 2, "handler": {"topk": 3}})
        );
        assert_eq!(found["configWarnings"], json!([]));
        let opened = bench.open(file);
        assert_eq!(found["sha256"].as_str(), opened.sha256(), "{format}");
        let weights = found["entries"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["name"] == "w.pt")
            .expect("the weights");
        let size = fs::metadata(bench.path("w.pt")).expect("the weights").len();
        assert_eq!(weights["size"], size);
        let packed = weights["packedSize"].as_u64();
        let expected = match format {
            "default" => packed.is_some_and(|packed| packed < size / 8),
            "zip-store" => packed == Some(size),
            _ => packed.is_none(),
        };
        assert!(expected, "{format}: {packed:?}");
    }
}

#[test]
fn the_table_is_aligned() {
    let bench = Bench::new();
    bench.write("config.yaml", b"minWorkers: 2\nbatchSize: many\n");
    bench.succeed(&format!("model {MODEL} --archive-format zip-store"));
    let printed = bench.succeed("inspect m.mar");
    let (head, rest) = printed.split_once("\nmanifest\n").expect("a manifest");
    assert!(
        head.starts_with("  archive  m.mar\n  format   zip\n  size     "),
        "{head}"
    );
    let (manifest, rest) = rest
        .split_once("\nconfiguration, config.yaml\n")
        .expect("a configuration");
    assert!(
        manifest.contains("\n  serializedFile   w.pt\n  handler          image_classifier\n"),
        "{manifest}"
    );
    let (config, entries) = rest.split_once("\nentries\n").expect("entries");
    let expected = "  minWorkers  2\n  batchSize   many\n  \
        warning: key batchSize ignored: expected a whole number, found \"many\"\n";
    assert_eq!(config, expected);
    let (_, entries) = entries.split_once('\n').expect("the manifest's own entry");
    let expected = "
         30 B        30 B  config.yaml
         12 B        12 B  index_to_name.json
          1 B         1 B  sub/y.txt
      8.1 KiB     8.1 KiB  w.pt
          1 B         1 B  x.txt
";
    assert!(entries.starts_with(&expected[1..]), "{entries}");
}

#[test]
fn what_is_no_archive_is_one_line() {
    let bench = Bench::new();
    bench.fail(
        "inspect mine.py",
        "mine.py: not a model archive: expected a zip (.mar) or a gzip-compressed tar (.tar.gz)",
    );
    bench.fail("inspect absent.mar", "absent.mar: no such archive");
}
