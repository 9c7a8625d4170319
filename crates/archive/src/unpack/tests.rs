use std::io::Write;

use crate::testing::{RawTar, RawZip, gzip, tree};

use super::*;

/// A folder with an archive of these bytes, and an empty folder to unpack into.
struct Place {
    root: TempDir,
    archive: PathBuf,
    into: PathBuf,
}

fn place(name: &str, bytes: &[u8]) -> Place {
    let root = tempfile::tempdir().expect("a temporary folder");
    let archive = root.path().join(name);
    fs::write(&archive, bytes).expect("an archive");
    let into = root.path().join("into");
    fs::create_dir(&into).expect("a folder");
    Place {
        root,
        archive,
        into,
    }
}

fn small() -> Limits {
    Limits {
        entries: 20,
        file_size: 30 << 20,
        total_size: 40 << 20,
        ratio: 100,
    }
}

/// Opening fails with this message (after the archive's path), and leaves the disk as it was.
fn check_refused(name: &str, bytes: &[u8], expected: &str) {
    let place = place(name, bytes);
    let error = open(&place.archive, &place.into, &small()).expect_err(expected);
    let text = error.to_string();
    let shown = format!("{}: ", place.archive.display());
    assert_eq!(text.strip_prefix(&shown), Some(expected), "{text}");
    let left: Vec<String> = tree(place.root.path()).into_keys().collect();
    assert_eq!(left, ["into/", name], "{expected}");
}

fn check_zip(zip: RawZip, expected: &str) {
    check_refused("m.mar", &zip.finish(), expected);
}

fn check_tar(tar: RawTar, expected: &str) {
    check_refused("m.tar.gz", &gzip(&tar.finish()), expected);
}

/// What unpacking gives, as names and contents.
fn check_unpacked(name: &str, bytes: &[u8], expected: &[(&str, &str)]) {
    let place = place(name, bytes);
    let unpacked = open(&place.archive, &place.into, &small()).expect(name);
    let found = tree(unpacked.dir());
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(name, data)| (name.as_str(), std::str::from_utf8(data).expect("text")))
        .collect();
    assert_eq!(found, expected, "{name}");
    drop(unpacked);
    assert!(
        tree(&place.into).is_empty(),
        "the folder outlives its owner"
    );
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (name, why) in [
        ("../evil", "the name leads to a parent folder"),
        ("a/../../evil", "the name leads to a parent folder"),
        ("/tmp/evil", "the name is absolute"),
        ("a\\..\\evil", "the name has a backslash"),
        ("C:evil", "the name starts with a drive letter"),
        ("a\u{1}b", "the name has a control character"),
    ] {
        let expected = format!("entry {name:?} refused: {why}");
        check_zip(RawZip::default().file(name, b"x"), &expected);
        check_tar(RawTar::default().file(name, b"x"), &expected);
    }
    check_zip(
        RawZip::default().file(b"a\0b", b"x"),
        "entry \"a\\0b\" refused: the name has a control character",
    );
    check_zip(
        RawZip::default().file(b"a\xff", b"x"),
        "entry \"a\u{fffd}\" refused: the name is not UTF-8",
    );
    check_tar(
        RawTar::default().file(b"m/a\xff", b"x"),
        "entry \"m/a\u{fffd}\" refused: the name is not UTF-8",
    );
}

#[test]
fn an_entry_before_a_bad_one_is_gone_too() {
    let zip = RawZip::default().file("good", b"x").file("../evil", b"x");
    check_zip(
        zip,
        "entry \"../evil\" refused: the name leads to a parent folder",
    );
    let tar = RawTar::default()
        .file("m/good", b"x")
        .file("m/../../evil", b"x");
    check_tar(
        tar,
        "entry \"m/../../evil\" refused: the name leads to a parent folder",
    );
}

#[test]
fn links_and_devices_are_refused() {
    let mut zip = RawZip::default().file("link", b"/etc/passwd");
    zip.last().attributes = 0o120_777 << 16;
    check_zip(zip, "entry \"link\" refused: it is a link");
    let mut zip = RawZip::default().file("pipe", b"");
    zip.last().attributes = 0o010_644 << 16;
    check_zip(
        zip,
        "entry \"pipe\" refused: it is neither a file nor a folder",
    );
    for (kind, why) in [
        (b'1', "it is a link"),
        (b'2', "it is a link"),
        (b'3', "it is neither a file nor a folder"),
        (b'4', "it is neither a file nor a folder"),
        (b'6', "it is neither a file nor a folder"),
    ] {
        let tar = RawTar::default().special("m/x", kind, "/etc/passwd");
        check_tar(tar, &format!("entry \"m/x\" refused: {why}"));
    }
}

#[test]
fn names_are_used_once_whatever_their_case() {
    check_zip(
        RawZip::default().file("a", b"1").file("a", b"2"),
        "damaged archive: the zip directory has a name twice",
    );
    check_zip(
        RawZip::default().file("a", b"1").file("./a", b"2"),
        "entry \"a\" refused: the name is there twice (case ignored)",
    );
    check_zip(
        RawZip::default()
            .file("model.pt", b"1")
            .file("Model.PT", b"2"),
        "entry \"Model.PT\" refused: the name is there twice (case ignored)",
    );
    check_tar(
        RawTar::default().file("m/a", b"1").file("n/A", b"2"),
        "entry \"A\" refused: the name is there twice (case ignored)",
    );
    check_zip(
        RawZip::default().file("a", b"1").file("a/b", b"2"),
        "entry \"a/b\" refused: it is a file where another entry needs a folder",
    );
    check_tar(
        RawTar::default().file("m/a/b", b"1").file("m/a", b"2"),
        "entry \"a\" refused: it is a file where another entry needs a folder",
    );
}

#[test]
fn encrypted_and_damaged_entries_are_refused() {
    let mut zip = RawZip::default().file("a", b"secret");
    zip.last().flags |= 1;
    check_zip(zip, "entry \"a\" refused: it is encrypted");
    let mut zip = RawZip::default().file("a", b"content");
    zip.last().crc ^= 1;
    check_zip(zip, "damaged archive: entry \"a\": Invalid checksum");
    let mut zip = RawZip::default().file("a", b"content");
    zip.last().method = 98;
    check_zip(
        zip,
        "damaged archive: entry \"a\": compression method not supported: 98",
    );
    let tar = RawTar::default().file("m/a", &[b'x'; 600]).finish();
    check_refused(
        "m.tar.gz",
        &gzip(&tar[..1000]),
        "damaged archive: unexpected EOF during skip",
    );
    let zip = RawZip::default().file("a", &[b'x'; 600]).finish();
    for length in [4, zip.len() / 2, zip.len() - 10] {
        check_refused(
            "m.mar",
            &zip[..length],
            "damaged archive: cut short, or not a zip",
        );
    }
    let mut gz = gzip(&RawTar::default().file("m/a", b"content").finish());
    let crc = gz.len() - 8;
    gz[crc] ^= 1;
    check_refused(
        "m.tar.gz",
        &gz,
        "damaged archive: entry \"the end\": corrupt gzip stream does not have a matching checksum",
    );
}

#[test]
fn counts_and_sizes_are_bounded() {
    let many = (0..21).fold(RawZip::default(), |zip, i| zip.file(format!("{i}"), b""));
    check_zip(many, "more than 20 entries");
    let many = (0..21).fold(RawTar::default(), |tar, i| tar.file(format!("m/{i}"), b""));
    check_tar(many, "more than 20 entries");
    // Folders that are only implied count as well.
    check_zip(
        RawZip::default().file("a/".repeat(20) + "b", b""),
        "more than 20 entries",
    );
    check_tar(
        (0..30).fold(RawTar::default(), |tar, _| tar.special("./", b'5', "")),
        "more than 20 entries",
    );
}

#[test]
fn bombs_are_stopped_on_the_bytes_they_yield() {
    let zeros = vec![0; 31 << 20];
    check_zip(
        RawZip::default().deflated("a", &zeros),
        "unpacks to more than 100 times its size",
    );
    check_refused(
        "m.tar.gz",
        &gzip(&RawTar::default().file("m/a", &zeros).finish()),
        "unpacks to more than 100 times its size",
    );
    // Incompressible enough for the ratio, so that the other bounds show.
    let noise = crate::testing::noise(1 << 20);
    let mut half = noise;
    half.resize(31 << 20, 0);
    check_zip(
        RawZip::default().deflated("a", &half),
        "entry \"a\" has more than 31457280 bytes",
    );
    half.truncate(25 << 20);
    check_zip(
        RawZip::default().deflated("a", &half).deflated("b", &half),
        "unpacks to more than 41943040 bytes",
    );
    // A header's word is not taken: it says one byte. (The zip reader stops there and finds the checksum wrong.)
    let mut zip = RawZip::default().deflated("a", &zeros);
    zip.last().size = 1;
    let place = place("m.mar", &zip.finish());
    assert!(open(&place.archive, &place.into, &small()).is_err());
    assert!(tree(&place.into).is_empty());
}

#[test]
fn bytes_between_files_are_bounded() {
    let long = vec![b'x'; 2 << 20];
    let tar = RawTar::default().special_with("././@LongLink", b'L', "", &long);
    check_tar(
        tar.file("m/a", b"x"),
        "damaged archive: too many bytes between files",
    );
    let mut bytes = RawTar::default().file("m/a", b"x").finish();
    bytes.resize(bytes.len() + (2 << 20), 0);
    check_refused(
        "m.tar.gz",
        &gzip(&bytes),
        "damaged archive: entry \"the end\": too many bytes between files",
    );
}

#[test]
fn a_directory_that_overlaps_is_refused() {
    let mut zip = RawZip::default()
        .file("a", b"content")
        .file("b", b"content");
    zip.last().shared_with_first = true;
    check_zip(zip, "damaged archive: entries overlap");
}

#[test]
fn what_is_no_archive_is_refused() {
    let expected = "not a model archive: expected a zip (.mar) or a gzip-compressed tar (.tar.gz)";
    check_refused("m.mar", b"", expected);
    check_refused("m.mar", b"corrupt", expected);
    check_refused(
        "m.tar",
        &RawTar::default().file("m/a", b"x").finish(),
        expected,
    );
    let whole = RawZip::default().file("a", b"content").finish();
    let place = place("m.mar", &whole[..whole.len() - 10]);
    let error = open(&place.archive, &place.into, &small()).expect_err("truncated");
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
    let absent = open(Path::new("/absent.mar"), &place.into, &small()).expect_err("absent");
    assert_eq!(absent.to_string(), "/absent.mar: no such archive");
}

#[test]
fn the_format_is_found_by_content() {
    let zip = RawZip::default()
        .file("a", b"1")
        .deflated("d/b", b"2")
        .finish();
    let files = [("a", "1"), ("d/", ""), ("d/b", "2")];
    check_unpacked("m.mar", &zip, &files);
    check_unpacked("zip.tar.gz", &zip, &files);
    let tar = gzip(
        &RawTar::default()
            .file("m/a", b"1")
            .file("m/d/b", b"2")
            .finish(),
    );
    check_unpacked("m.tar.gz", &tar, &files);
    check_unpacked("tar.mar", &tar, &files);
}

#[test]
fn a_tar_loses_its_first_segment() {
    let check = |names: &[&str], expected: &[(&str, &str)]| {
        let tar = names.iter().fold(RawTar::default(), |tar, name| {
            match name.strip_suffix('/') {
                Some(_) => tar.special(name, b'5', ""),
                None => tar.file(name, b"x"),
            }
        });
        check_unpacked("m.tar.gz", &gzip(&tar.finish()), expected);
    };
    check(
        &["m/", "m/a", "m/d/", "m/d/b"],
        &[("a", "x"), ("d/", ""), ("d/b", "x")],
    );
    check(&["./", "./a", "./b"], &[("a", "x"), ("b", "x")]);
    check(&["./m/a", "./m/b"], &[("a", "x"), ("b", "x")]);
    check(&["a", "b"], &[("a", "x"), ("b", "x")]);
    check(
        &["m//a", "m//d//b"],
        &[("a", "x"), ("d/", ""), ("d/b", "x")],
    );
    let global = RawTar::default().special_with("g", b'g', "", b"11 a=bcdef\n");
    check_unpacked(
        "m.tar.gz",
        &gzip(&global.file("m/a", b"x").finish()),
        &[("a", "x")],
    );
}

const MODEL: &[u8] = br#"{"model": {"modelName": "n", "configFile": "c.yaml"}}"#;

#[test]
fn manifest_and_configuration_are_read() {
    let zip = RawZip::default()
        .file("top/MAR-INF/MANIFEST.json", MODEL)
        .file("top/c.yaml", b"minWorkers: 3\nbatchSize: x\n");
    let place = place("some-model.mar", &zip.finish());
    let unpacked = open(&place.archive, &place.into, &small()).expect("it is sound");
    assert!(unpacked.has_manifest());
    assert_eq!(unpacked.manifest().model.model_name, "n");
    let config = unpacked.config().expect("one is named");
    assert_eq!((config.min_workers, config.warnings.len()), (Some(3), 1));
    let listing = crate::inspect(&place.archive, &small()).expect("it is sound");
    assert_eq!(&listing.manifest, unpacked.manifest());
    assert_eq!(listing.config.as_ref(), unpacked.config());
    assert_eq!(listing.sha256.as_deref(), unpacked.sha256());
    let names: Vec<&str> = listing.entries.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["MAR-INF/MANIFEST.json", "c.yaml"]);
}

#[test]
fn without_a_manifest_the_file_names_the_model() {
    let place = place(
        "some-model.mar",
        &RawZip::default().file("a", b"x").finish(),
    );
    let unpacked = open(&place.archive, &place.into, &small()).expect("it is sound");
    assert!(!unpacked.has_manifest());
    assert_eq!(
        *unpacked.manifest(),
        Manifest::absent("some_model".to_owned())
    );
    assert!(unpacked.config().is_none());
}

#[test]
fn a_wrong_manifest_or_configuration_is_refused() {
    let manifest = |text: &[u8]| RawZip::default().file(MANIFEST, text);
    check_zip(
        manifest(b"{}"),
        "MAR-INF/MANIFEST.json: member \"model\" is missing",
    );
    check_zip(
        manifest(MODEL),
        "file \"c.yaml\": there is no such file in the archive",
    );
    check_zip(
        manifest(br#"{"model": {"configFile": "../../m.mar"}}"#),
        "file \"../../m.mar\": the name leads outside the archive",
    );
    check_zip(
        manifest(MODEL).file("c.yaml", b"[1]"),
        "model configuration \"c.yaml\": expected a mapping of keys, found a list",
    );
}

#[test]
fn a_folder_is_served_in_place() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let model = root.path().join("my-model");
    fs::create_dir_all(model.join("only/MAR-INF")).expect("a folder");
    fs::write(model.join("only").join(MANIFEST), br#"{"model": {}}"#).expect("a file");
    let mut file = fs::File::create(model.join("only/w.pt")).expect("a file");
    file.write_all(b"weights").expect("a write");
    let before = tree(root.path());
    let unpacked = open(&model, &root.path().join("into"), &small()).expect("it is sound");
    assert_eq!(unpacked.format(), Format::Folder);
    assert_eq!(unpacked.sha256(), None);
    assert_eq!(unpacked.manifest().model.model_name, "my_model");
    let weights = unpacked.file("w.pt").expect("it is there");
    assert_eq!(fs::read(weights).expect("readable"), b"weights");
    for (name, why) in [
        ("../only/w.pt", "the name leads outside the archive"),
        ("/etc/passwd", "the name leads outside the archive"),
        ("MAR-INF", "there is no such file in the archive"),
        ("x", "there is no such file in the archive"),
    ] {
        let error = unpacked.file(name).expect_err(name).to_string();
        assert!(error.ends_with(&format!("file {name:?}: {why}")), "{error}");
    }
    drop(unpacked);
    assert_eq!(tree(root.path()), before);
}

/// Not a test: writes what fuzzing starts from (see `fuzz/README.md`).
#[test]
#[ignore = "writes into the source tree"]
fn write_fuzz_seeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/open_archive");
    fs::create_dir_all(&folder).expect("a folder");
    let mut link = RawZip::default().file("link", b"/etc/passwd");
    link.last().attributes = 0o120_777 << 16;
    let mut encrypted = RawZip::default().file("a", b"secret");
    encrypted.last().flags |= 1;
    let model = || {
        RawZip::default()
            .file(MANIFEST, MODEL)
            .file("c.yaml", b"minWorkers: 2")
    };
    let seeds = [
        ("empty.zip", RawZip::default().finish()),
        ("model.zip", model().deflated("w.pt", b"weights").finish()),
        ("slip.zip", RawZip::default().file("../evil", b"x").finish()),
        (
            "wrapped.zip",
            RawZip::default()
                .file("m/d/a", b"1")
                .file("m/b", b"2")
                .finish(),
        ),
        ("link.zip", link.finish()),
        ("encrypted.zip", encrypted.finish()),
        (
            "model.tar.gz",
            gzip(
                &RawTar::default()
                    .file(format!("m/{MANIFEST}"), MODEL)
                    .file("m/c.yaml", b"a: 1")
                    .finish(),
            ),
        ),
        (
            "slip.tar.gz",
            gzip(&RawTar::default().file("m/../../evil", b"x").finish()),
        ),
        (
            "link.tar.gz",
            gzip(
                &RawTar::default()
                    .special("m/l", b'2', "/etc/passwd")
                    .finish(),
            ),
        ),
        (
            "long.tar.gz",
            gzip(
                &RawTar::default()
                    .special_with("././@LongLink", b'L', "", &[b'x'; 200])
                    .file("m/a", b"x")
                    .finish(),
            ),
        ),
    ];
    for (name, bytes) in seeds {
        fs::write(folder.join(name), bytes).expect("a seed");
    }
}
