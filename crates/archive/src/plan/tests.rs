use std::os::unix::fs::symlink;

use super::*;

/// A folder of small files, each holding its own name.
fn inputs(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        fs::write(path, name).expect("a file");
    }
    folder
}

fn options(folder: &Path) -> PackOptions {
    PackOptions {
        model_name: "m".to_owned(),
        version: "1.0".to_owned(),
        handler: "image_classifier".to_owned(),
        export_path: folder.join("out"),
        ..PackOptions::default()
    }
}

fn manifest(plan: &Plan) -> &Manifest {
    match &plan.manifest {
        PlannedManifest::Model(manifest) => manifest,
        PlannedManifest::Workflow(_) => panic!("a workflow"),
    }
}

/// The names in the archive for `--extra-files`, each `@` standing for the folder of inputs.
fn check_extra(names: &[&str], extra: &str, expected: Result<&[&str], &str>) {
    let folder = inputs(names);
    let shown = folder.path().display().to_string();
    let plan = Plan::check(PackOptions {
        extra_files: Some(extra.replace('@', &shown)),
        ..options(folder.path())
    });
    let found = plan
        .map(|plan| plan.files.into_keys().collect::<Vec<_>>())
        .map_err(|error| error.to_string().replace(&shown, "@"));
    let expected = expected
        .map(|names| names.iter().map(|name| (*name).to_owned()).collect())
        .map_err(str::to_owned);
    assert_eq!(found, expected, "{extra}");
}

#[test]
fn extra_files_are_flattened_and_folders_are_emptied_out() {
    check_extra(&["a/x.txt", "y"], "@/a/x.txt,@/y", Ok(&["x.txt", "y"]));
    check_extra(
        &["d/x", "d/sub/y", "d/sub/deep/z", "d/.hidden"],
        "@/d",
        Ok(&[".hidden", "sub/deep/z", "sub/y", "x"]),
    );
    check_extra(
        &["d/x", "d/.git/c", "d/s/__pycache__/p", "d/__MACOSX/q"],
        "@/d",
        Ok(&["x"]),
    );
    check_extra(
        &["a1.py", "a2.py", "b.py", ".a3.py", "a1.txt"],
        "@/a?.py",
        Ok(&["a1.py", "a2.py"]),
    );
    check_extra(&["a.py", ".b.py"], "@/*.py", Ok(&["a.py"]));
    check_extra(&["x[1].txt"], "@/x[1].txt", Ok(&["x[1].txt"]));
    check_extra(&["x"], "@/x, @/x ,", Ok(&["x"]));
}

#[test]
fn extra_files_that_cannot_be_are_errors() {
    check_extra(
        &["x"],
        "@/y",
        Err("--extra-files @/y: there is no such file"),
    );
    check_extra(
        &["x"],
        "@/*.py",
        Err("--extra-files @/*.py: there is no such file"),
    );
    check_extra(
        &["a/x", "b/x"],
        "@/a/x,@/b/x",
        Err("@/a/x and @/b/x: both would be \"x\" in the archive"),
    );
    check_extra(
        &["a/x", "b/X"],
        "@/a,@/b",
        Err("@/b/X: cannot be packed: the name is there twice (case ignored)"),
    );
    check_extra(
        &["d/MAR-INF/MANIFEST.json"],
        "@/d",
        Err(
            "the archiver's own manifest and @/d/MAR-INF/MANIFEST.json: \
             both would be \"MAR-INF/MANIFEST.json\" in the archive",
        ),
    );
    check_extra(
        &["d/a\\b"],
        "@/d",
        Err("@/d/a\\b: cannot be packed: the name has a backslash"),
    );
}

#[test]
fn a_link_in_a_circle_is_an_error_and_other_links_are_followed() {
    let folder = inputs(&["d/x", "e/y"]);
    let d = folder.path().join("d");
    symlink(folder.path().join("e"), d.join("e")).expect("a link");
    let extra = || PackOptions {
        extra_files: Some(d.display().to_string()),
        ..options(folder.path())
    };
    let plan = Plan::check(extra()).expect("no circle");
    assert_eq!(plan.files.keys().collect::<Vec<_>>(), ["e/y", "x"]);
    symlink(&d, d.join("again")).expect("a link");
    let error = Plan::check(extra()).expect_err("a circle").to_string();
    assert!(
        error.ends_with("d/again: a link leads back to it"),
        "{error}"
    );
}

/// A handler, the file it packs, and what the manifest calls it.
fn check_handler(handler: &str, runtime: Runtime, expected: Result<(&[&str], &str), &str>) {
    let folder = inputs(&["h.py", "sub/h2.py", "lib.so"]);
    let shown = folder.path().display().to_string();
    let plan = Plan::check(PackOptions {
        handler: handler.replace('@', &shown),
        runtime,
        ..options(folder.path())
    });
    let found = plan
        .map(|plan| {
            let handler = manifest(&plan).model.handler.clone().unwrap_or_default();
            let files: Vec<String> = plan.files.into_keys().collect();
            (files, handler)
        })
        .map_err(|error| error.to_string().replace(&shown, "@"));
    let expected = expected
        .map(|(files, name)| {
            let files = files.iter().map(|file| (*file).to_owned()).collect();
            (files, name.to_owned())
        })
        .map_err(str::to_owned);
    assert_eq!(found, expected, "{handler}");
}

#[test]
fn handlers_are_names_or_files() {
    let python = Runtime::Python;
    check_handler("base_handler", python, Ok((&[], "base_handler")));
    check_handler("@/h.py", python, Ok((&["h.py"], "h.py")));
    check_handler("@/sub/h2.py:go", python, Ok((&["h2.py"], "h2.py:go")));
    check_handler("@/h", python, Ok((&["h.py"], "h")));
    check_handler("@/h:go", Runtime::Python3, Ok((&["h.py"], "h:go")));
    check_handler(
        "TorchScriptHandler",
        Runtime::Lsp,
        Ok((&[], "TorchScriptHandler")),
    );
    check_handler(
        "@/lib:create",
        Runtime::Lsp,
        Ok((&["lib.so"], "lib:create")),
    );
    check_handler(
        "image_clasifier",
        python,
        Err(
            "handler \"image_clasifier\": neither a default handler's name nor a file: \
             image_clasifier.py is not there",
        ),
    );
    check_handler(
        "@/h.py:",
        python,
        Err("handler \"@/h.py:\": expected file or file:function"),
    );
}

#[test]
fn a_file_named_twice_is_packed_once() {
    let folder = inputs(&["model.py", "w.pt"]);
    let plan = Plan::check(PackOptions {
        model_file: Some(folder.path().join("model.py")),
        serialized_file: Some(folder.path().join("w.pt")),
        extra_files: Some(format!("{}/*.py", folder.path().display())),
        ..options(folder.path())
    })
    .expect("it is sound");
    assert_eq!(plan.files.keys().collect::<Vec<_>>(), ["model.py", "w.pt"]);
    assert_eq!(plan.size(), 12);
    assert_eq!(
        manifest(&plan).model.model_file.as_deref(),
        Some("model.py")
    );
    assert_eq!(
        manifest(&plan).model.serialized_file.as_deref(),
        Some("w.pt")
    );
}

fn check_name(name: &str, expected: bool) {
    assert_eq!(is_sound(name), expected, "{name:?}");
}

#[test]
fn model_names_are_checked() {
    for name in ["m", "9", "resnet-18_v1.5", "A."] {
        check_name(name, true);
    }
    for name in ["", "_m", "-m", ".m", "a/b", "a b", "größe", "..", "m\n"] {
        check_name(name, false);
    }
}

#[test]
fn created_on_is_given_or_the_newest_change() {
    let folder = inputs(&["a", "b"]);
    for (name, seconds) in [("a", 1_000), ("b", 951_782_400)] {
        let file = fs::File::options()
            .write(true)
            .open(folder.path().join(name))
            .expect("an input");
        file.set_modified(UNIX_EPOCH + std::time::Duration::from_secs(seconds))
            .expect("a time");
    }
    let created = |created_at| {
        let plan = Plan::check(PackOptions {
            extra_files: Some(format!("{}/*", folder.path().display())),
            created_at,
            ..options(folder.path())
        });
        let plan = plan.expect("it is sound");
        manifest(&plan).created_on.clone()
    };
    assert_eq!(created(None).as_deref(), Some("29/02/2000 00:00:00"));
    assert_eq!(created(Some(0)).as_deref(), Some("01/01/1970 00:00:00"));
    assert_eq!(source_date("1795296203\n"), Ok(1_795_296_203));
    assert!(source_date("yesterday").is_err());
}

fn check_options(change: impl FnOnce(&mut PackOptions), expected: &str) {
    let folder = inputs(&["d/x"]);
    let mut options = options(folder.path());
    change(&mut options);
    let error = Plan::check(options).expect_err(expected).to_string();
    assert_eq!(error, expected);
}

#[test]
fn option_errors_name_the_option() {
    check_options(
        |options| options.serialized_file = Some("absent.pt".into()),
        "--serialized-file absent.pt: No such file or directory (os error 2)",
    );
    check_options(
        |options| options.config_file = Some("/".into()),
        "--config-file /: expected a file",
    );
    check_options(
        |options| options.version = " ".to_owned(),
        "version: expected text, found nothing",
    );
}
