//! Disks that are full, and a model store that disappears: what fails says so, leaves nothing behind, and disturbs nothing
//! that works.
//!
//! Full disks are small ones in memory, mounted for one daemon alone; where mounting is not permitted, the tests say so.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use archive::ArchiveFormat;
use rustix::process::Signal;

use crate::fixtures::Model;
use crate::harness::{Bench, Daemon, files_below};

const CONFIG: &str =
    "model_store=store\nload_models=double.mar\nenable_model_api=true\ndefault_workers_per_model=1";

/// A daemon that has a small disk of its own at a folder of its bench.
struct OnSmallDisk {
    daemon: Daemon,
    /// That folder as the daemon sees it.
    disk: PathBuf,
}

impl OnSmallDisk {
    /// `None`: mounting is not permitted here, which it says. `size` is in KiB.
    fn start(bench: Bench, folder: &str, size: u32) -> Option<Self> {
        const MOUNT: &str = r#"mount -t tmpfs -o "size=$1k" tmpfs "$2" && shift 2 && exec "$@""#;
        let disk = bench.path(folder);
        fs::create_dir_all(&disk).expect("a folder");
        let flag = namespace(&disk)?;
        let plain = bench.command(&["--start", "--foreground"]);
        let mut command = Command::new("unshare");
        command
            .args([flag, "sh", "-c", MOUNT, "sh", &size.to_string()])
            .arg(&disk)
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(bench.path(""));
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let daemon = bench.start_command(command);
        let root = PathBuf::from(format!("/proc/{}/root", daemon.process.id()));
        let disk = root.join(disk.strip_prefix("/").expect("absolute"));
        Some(OnSmallDisk { daemon, disk })
    }

    /// Takes all the space that is left. Removing the file gives it back.
    fn fill(&self) -> PathBuf {
        let path = self.disk.join("filler");
        let mut file = File::create(&path).expect("a file");
        let full = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        path
    }
}

/// The flag with which `unshare` lets this user mount, if it does.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn namespace(folder: &Path) -> Option<&'static str> {
    let permitted = |flag: &&str| {
        let mut command = Command::new("unshare");
        command
            .args([flag, "mount", "-t", "tmpfs", "tmpfs"])
            .arg(folder);
        command.output().is_ok_and(|output| output.status.success())
    };
    let found = ["-m", "-rm"].into_iter().find(permitted);
    if found.is_none() {
        eprintln!("skipped: mounting a small disk is not permitted here");
    }
    found
}

#[test]
fn an_archive_that_does_not_fit_is_refused_and_leaves_nothing() {
    let bench = Bench::new().config(CONFIG).with(&Model::double());
    // What does not shrink, and is more than the disk holds.
    let noise: Vec<u8> = (0..3 << 20_u32)
        .map(|at: u32| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8)
        .collect();
    bench.write("noise.pt", &noise);
    let big =
        Model::new("big", bench.path("noise.pt"), "base_handler").packed(ArchiveFormat::ZipStore);
    let bench = bench.with(&big).with(&Model::mlp());
    let Some(OnSmallDisk { daemon, disk }) = OnSmallDisk::start(bench, "tmp", 2048) else {
        return;
    };
    let before = files_below(&disk);
    assert!(
        before.iter().any(|path| path.ends_with("double.pt")),
        "{before:?}"
    );
    for _ in 0..2 {
        let answer = daemon.manage("POST", "/models?url=big.mar");
        assert_eq!(answer.status, 400, "{}", answer.text());
        let message = answer.message();
        assert!(message.contains("No space left on device"), "{message}");
        assert_eq!(files_below(&disk), before);
    }
    assert_eq!(daemon.manage("GET", "/models/big").status, 404);
    let answer = daemon.manage("POST", "/models?url=mlp.mar");
    assert_eq!(answer.status, 200, "{}", answer.text());
    daemon.check_serves();
}

#[test]
fn a_snapshot_that_does_not_fit_leaves_the_last_one() {
    let bench = Bench::new().config(CONFIG).with(&Model::double());
    let Some(small) = OnSmallDisk::start(bench, "logs", 64) else {
        return;
    };
    let filler = small.fill();
    let OnSmallDisk { daemon, disk } = small;
    let snapshots = || {
        let mut files = files_below(&disk.join("config"));
        files.sort();
        files
    };
    let contents = || {
        snapshots()
            .iter()
            .map(|path| fs::read(path).expect("readable"))
            .collect::<Vec<_>>()
    };
    let (before, startup) = (snapshots(), contents());
    assert_eq!(before.len(), 1, "{before:?}");

    let scale = |workers: usize| {
        let path = format!("/models/double?min_worker={workers}&synchronous=true");
        let answer = daemon.manage("PUT", &path);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    scale(2);
    let line = daemon
        .log()
        .wait_for("cannot be written: No space left on device");
    assert!(
        line.contains("/logs/config/20") && line.contains("-snapshot.cfg"),
        "{line}"
    );
    assert_eq!((snapshots(), contents()), (before, startup));
    daemon.check_serves();

    fs::remove_file(filler).expect("removed");
    scale(1);
    let after = snapshots();
    assert!(
        after.len() == 2 && after[1].to_string_lossy().ends_with("-snapshot.cfg"),
        "{after:?}"
    );
    daemon.end(Signal::TERM);
}

#[test]
fn what_is_loaded_serves_on_without_its_store() {
    let daemon = Bench::new()
        .config(CONFIG)
        .with(&Model::double())
        .with(&Model::mlp())
        .start_plain(&[]);
    let bench = &daemon.bench;
    fs::rename(bench.path("store"), bench.path("away")).expect("renamed");
    daemon.check_serves();
    let answer = daemon.manage("POST", "/models?url=mlp.mar");
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (404, "Model not found at: mlp.mar")
    );
    let list = daemon.manage("GET", "/models").json();
    assert_eq!(list["models"][0]["modelName"], "double", "{list}");
    // A new worker reads what was unpacked.
    let answer = daemon.manage("PUT", "/models/double?min_worker=2&synchronous=true");
    assert_eq!(answer.status, 200, "{}", answer.text());
    daemon.check_serves();
    fs::rename(bench.path("away"), bench.path("store")).expect("renamed");
    assert_eq!(daemon.manage("POST", "/models?url=mlp.mar").status, 200);
}
