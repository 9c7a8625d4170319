use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::testing::tree;
use crate::{Format, Limits, MANIFEST, PackOptions, inspect, open};

use super::*;

const FORMATS: [ArchiveFormat; 4] = [
    ArchiveFormat::Zip,
    ArchiveFormat::ZipStore,
    ArchiveFormat::TarGz,
    ArchiveFormat::Folder,
];

/// A folder `in` with these files.
fn inputs(files: &BTreeMap<String, Vec<u8>>) -> TempDir {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = root.path().join("in");
    fs::create_dir(&folder).expect("a folder");
    for (name, data) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
        fs::write(path, data).expect("a file");
    }
    root
}

fn options(root: &TempDir, format: ArchiveFormat) -> PackOptions {
    PackOptions {
        model_name: "my-model".to_owned(),
        version: "2.0".to_owned(),
        handler: "image_classifier".to_owned(),
        extra_files: Some(root.path().join("in").display().to_string()),
        export_path: root.path().join("out"),
        created_at: Some(1_000_000_000),
        format,
        ..PackOptions::default()
    }
}

fn pack_all(options: PackOptions) -> Result<PathBuf, PackError> {
    let plan = Plan::check(options)?;
    let mut told = 0;
    let path = pack(&plan, &mut |bytes| told += bytes)?;
    assert_eq!(told, plan.size(), "the progress adds up");
    Ok(path)
}

/// Files only, and only those with a name that is no other's ignoring case, also as a folder.
fn distinct(files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let mut names = crate::name::Names::default();
    files
        .into_iter()
        .filter(|(name, _)| names.take(name, false).is_ok())
        .collect()
}

fn file_trees() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let segment = "[a-zA-Z0-9_ äß漢-][a-zA-Z0-9_.é-]{0,8}|[a-z]{101,120}";
    let name = vec(segment, 1..4).prop_map(|segments| segments.join("/"));
    btree_map(name, vec(any::<u8>(), 0..400), 0..8).prop_map(distinct)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn unpack_undoes_pack(files in file_trees()) {
        let root = inputs(&files);
        for format in FORMATS {
            let path = pack_all(PackOptions { force: true, ..options(&root, format) }).expect("packed");
            let into = root.path().join("into");
            let unpacked = open(&path, &into, &Limits::default()).expect("opened");
            let mut found = tree(unpacked.dir());
            found.retain(|name, _| !name.ends_with('/'));
            let manifest = found.remove(MANIFEST).expect("a manifest");
            prop_assert_eq!(&found, &files);
            let text = unpacked.manifest().to_json();
            prop_assert_eq!(manifest, text.into_bytes());
            prop_assert_eq!(unpacked.manifest().model.model_version.as_str(), "2.0");

            let listing = inspect(&path, &Limits::default()).expect("listed");
            let mut listed: Vec<(&str, u64)> = listing
                .entries
                .iter()
                .filter(|entry| !entry.folder && entry.name != MANIFEST)
                .map(|entry| (entry.name.as_str(), entry.size))
                .collect();
            listed.sort_unstable();
            let expected: Vec<(&str, u64)> = files
                .iter()
                .map(|(name, data)| (name.as_str(), data.len() as u64))
                .collect();
            prop_assert_eq!(listed, expected);
            prop_assert_eq!(&listing.manifest, unpacked.manifest());

            let was_folder = unpacked.format() == Format::Folder;
            drop(unpacked);
            prop_assert_eq!(path.exists(), true);
            prop_assert!(was_folder || tree(&into).is_empty());
            if was_folder {
                fs::remove_dir_all(&path).expect("removable");
            }
        }
    }

    /// Whatever happens to an archive's bytes: no panic, nothing left behind, nothing outside.
    #[test]
    fn mutated_archives_leave_nothing_behind(
        files in file_trees(),
        format in prop::sample::select(FORMATS[..3].to_vec()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let root = inputs(&files);
        let path = pack_all(options(&root, format)).expect("packed");
        let mut bytes = fs::read(&path).expect("readable");
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(&path, bytes).expect("writable");
        let before = tree(root.path());
        let limits = Limits { total_size: 1 << 20, ..Limits::default() };
        let _ = inspect(&path, &limits);
        let into = root.path().join("into");
        match open(&path, &into, &limits) {
            Ok(unpacked) => prop_assert!(unpacked.dir().starts_with(&into)),
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
        let mut after = tree(root.path());
        after.remove("into/");
        prop_assert_eq!(after, before);
    }
}

fn two_files() -> TempDir {
    let files = [("a.txt", "aaaa"), ("sub/b.txt", "bb")];
    inputs(
        &files
            .map(|(name, data)| (name.to_owned(), data.as_bytes().to_vec()))
            .into(),
    )
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for format in &FORMATS[..3] {
        // The inputs' own times do not reach the archive.
        let [one, two] = [0, 100_000_000].map(|age| {
            let root = two_files();
            let file = fs::File::options()
                .write(true)
                .open(root.path().join("in/a.txt"))
                .expect("an input");
            let then = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
            file.set_modified(then).expect("a time");
            fs::read(pack_all(options(&root, *format)).expect("packed")).expect("readable")
        });
        assert!(one == two, "{format:?}");
    }
}

#[test]
fn each_format_has_its_file_name() {
    let root = two_files();
    for (format, expected) in FORMATS.into_iter().zip([
        "out/my-model.mar",
        "out/my-model.mar",
        "out/my-model.tar.gz",
        "out/my-model",
    ]) {
        let options = PackOptions {
            force: true,
            ..options(&root, format)
        };
        assert_eq!(
            pack_all(options).expect("packed"),
            root.path().join(expected)
        );
    }
    let mut names: Vec<_> = fs::read_dir(root.path().join("out"))
        .expect("a folder")
        .map(|child| child.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["my-model", "my-model.mar", "my-model.tar.gz"]);
}

#[test]
fn only_force_replaces() {
    for format in FORMATS {
        let root = two_files();
        let path = pack_all(options(&root, format)).expect("packed");
        let error = pack_all(options(&root, format)).expect_err("it is there");
        let expected = format!("{}: already there (--force replaces it)", path.display());
        assert_eq!(error.to_string(), expected);
        fs::write(root.path().join("in/new.txt"), "new").expect("a file");
        let options = PackOptions {
            force: true,
            ..options(&root, format)
        };
        pack_all(options).expect("replaced");
        let unpacked = open(&path, &root.path().join("into"), &Limits::default()).expect("opened");
        assert!(unpacked.file("new.txt").is_ok(), "{format:?}");
    }
}

#[test]
fn force_spares_folders_that_are_no_model() {
    let root = two_files();
    let precious = root.path().join("out/my-model/precious.txt");
    fs::create_dir_all(precious.parent().expect("below the root")).expect("a folder");
    fs::write(&precious, "x").expect("a file");
    let options = PackOptions {
        force: true,
        ..options(&root, ArchiveFormat::Folder)
    };
    let error = pack_all(options).expect_err("spared");
    assert!(matches!(error, PackError::ForeignFolder { .. }), "{error}");
    assert!(precious.exists());
}

#[test]
fn a_file_that_changes_meanwhile_is_an_error() {
    for format in FORMATS {
        let root = two_files();
        let plan = Plan::check(options(&root, format)).expect("it is sound");
        for data in ["longer than it was", ""] {
            let changed = root.path().join("in/a.txt");
            fs::write(&changed, data).expect("a file");
            let error = pack(&plan, &mut |_| ()).expect_err("changed").to_string();
            let expected = format!("{}: changed while it was packed", changed.display());
            assert_eq!(error, expected, "{format:?} {data:?}");
            assert!(tree(&root.path().join("out")).is_empty());
        }
    }
}
