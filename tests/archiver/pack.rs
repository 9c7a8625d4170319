use std::fs;

use crate::harness::{Bench, FORMATS, MODEL, files};

#[test]
fn each_format_holds_the_model() {
    for (format, file) in FORMATS {
        let bench = Bench::new();
        let printed = bench.succeed(&format!(
            "model {MODEL} --archive-format {format} --export-path new/out"
        ));
        assert!(
            printed.starts_with(&format!("packed into new/out/{file}")),
            "{printed}"
        );
        let opened = bench.open(&format!("new/out/{file}"));
        let names: Vec<String> = files(opened.dir()).into_keys().collect();
        let expected = [
            "config.yaml",
            "index_to_name.json",
            "sub/y.txt",
            "w.pt",
            "x.txt",
        ];
        assert_eq!(names, expected, "{format}");
        let model = &opened.manifest().model;
        assert_eq!(model.model_name, "m");
        assert_eq!(model.model_version, "1.0");
        assert_eq!(model.serialized_file.as_deref(), Some("w.pt"));
        assert_eq!(model.handler.as_deref(), Some("image_classifier"));
        assert_eq!(model.config_file.as_deref(), Some("config.yaml"));
        assert_eq!(
            opened.config().and_then(|config| config.min_workers),
            Some(2)
        );
    }
}

#[test]
fn two_runs_give_the_same_bytes() {
    let bench = Bench::new();
    for (format, file) in &FORMATS[..3] {
        let packed = ["one", "two"].map(|out| {
            bench.succeed(&format!(
                "model {MODEL} --archive-format {format} --export-path {out}-{format}"
            ));
            fs::read(bench.path(&format!("{out}-{format}/{file}"))).expect("an archive")
        });
        assert!(packed[0] == packed[1], "{format}");
    }
}

#[test]
fn an_archive_is_replaced_on_request_only() {
    let bench = Bench::new();
    for (format, file) in FORMATS {
        let pack = format!("model {MODEL} --archive-format {format} --export-path {format}");
        bench.succeed(&pack);
        bench.fail(
            &pack,
            &format!("{format}/{file}: already there (--force replaces it)"),
        );
        bench.succeed(&format!("{pack} --force"));
        bench.succeed(&format!("{pack} -f"));
    }
}

#[test]
fn short_flags_and_python_handlers_are_taken() {
    let bench = Bench::new();
    bench.write("reqs.txt", b"numpy\n");
    bench.succeed(
        "model --model-name m -v 2.0-rc1 --handler mine.py:handle -r reqs.txt -c config.yaml --runtime python3",
    );
    let opened = bench.open("m.mar");
    let names: Vec<String> = files(opened.dir()).into_keys().collect();
    assert_eq!(names, ["config.yaml", "mine.py", "reqs.txt"]);
    let manifest = opened.manifest();
    assert_eq!(manifest.runtime.as_str(), "python3");
    assert_eq!(manifest.model.model_version, "2.0-rc1");
    assert_eq!(manifest.model.handler.as_deref(), Some("mine.py:handle"));
    assert_eq!(
        manifest.model.requirements_file.as_deref(),
        Some("reqs.txt")
    );
}

#[test]
fn mistakes_are_one_line() {
    let bench = Bench::new();
    bench.fail(
        "model --model-name _m --version 1 --handler base_handler",
        "model name \"_m\": expected letters, digits, _, - and ., starting with a letter or digit",
    );
    bench.fail(
        "model --model-name m --version 1 --handler absent",
        "handler \"absent\": neither a default handler's name nor a file: absent.py is not there",
    );
    bench.fail(
        "model --model-name m --version 1 --handler base_handler --serialized-file absent.pt",
        "--serialized-file absent.pt: No such file or directory (os error 2)",
    );
    assert!(!bench.path("m.mar").exists());
}

#[test]
fn a_configuration_that_would_not_open_is_not_packed() {
    let bench = Bench::new();
    let check = |config: &[u8], expected: &str| {
        bench.write("config.yaml", config);
        let pack = format!("model {MODEL}");
        bench.fail(&pack, &format!("--config-file config.yaml: {expected}"));
        assert!(!bench.path("m.mar").exists());
    };
    check(b"- 1\n", "expected a mapping of keys, found a list");
    check(
        b"{",
        "did not find expected node content at line 2 column 1, while parsing a flow node",
    );
    bench.write("config.yaml", b"");
    bench.succeed(&format!("model {MODEL}"));
}

#[test]
fn what_the_daemon_could_not_load_is_packed_with_a_warning() {
    let bench = Bench::new();
    let check = |flags: &str, expected: &str| {
        bench.warn(
            &format!("model --model-name m --version 1 -f {flags}"),
            expected,
        );
        assert!(bench.path("m.mar").exists());
    };
    check(
        "--handler image_classifier --extra-files extra",
        "there is no --serialized-file, so image_classifier has no network to load",
    );
    check(
        "--handler base_handler --serialized-file extra/x.txt",
        "the daemon would not load this: extra/x.txt is no model file that is known here; \
         expected a TorchScript module",
    );
    check(
        "--handler vllm_handler",
        "no file is packed that could date the archive, so its createdOn is in 1970; \
         SOURCE_DATE_EPOCH sets it",
    );
    // What else loads such a file is its handler's to say.
    bench.succeed(
        "model --model-name m --version 1 -f --handler mine.py --serialized-file extra/x.txt",
    );
}

#[test]
fn help_names_the_handlers_that_are_served() {
    let help = Bench::new().succeed("model --help");
    let (_, handler) = help.split_once("--handler <HANDLER>").expect("the flag");
    let (native, foreign) = handler
        .split_once("For TorchServe alone:")
        .expect("the others");
    let (foreign, _) = foreign.split_once("--extra-files").expect("the next flag");
    for name in archive::DEFAULT_HANDLERS {
        let expected = if handlers::NAMES.contains(&name) {
            native
        } else {
            foreign
        };
        assert!(expected.contains(name), "{name}: {handler}");
    }
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    let bench = Bench::new();
    for arguments in [
        "",
        "model --model-name m --handler base_handler",
        "model --model-name m --version 1 --handler base_handler --runtime ruby",
        "inspect",
    ] {
        assert_eq!(bench.run(arguments).code, Some(2), "{arguments:?}");
    }
}
