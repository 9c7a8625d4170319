//! Running in the background: the process that `--start` makes, the pid file, and `--stop`. Linux only, for `/proc`.
//!
//! There is no double fork: the launcher runs its own executable again, with `--detached`, which makes that process the
//! leader of a session of its own, so that the terminal's end is not its end. Standard output and error stay those of
//! the launcher, because whoever starts TorchServe waits for the line `Model server started.` there.
//!
//! A number in a pid file proves little: the process may be gone and its number may have gone to another. So a pid is
//! believed, and signalled, only while it runs a program of our name.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, setsid};
use thiserror::Error;

use crate::auth::KEY_FILE;
use crate::config::Env;

/// How long `--stop --foreground` waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the launcher watches a background process that it has started.
const FIRST_MOMENTS: Duration = Duration::from_millis(400);

/// Lines for standard output, in the words that launchers of TorchServe know.
pub type Lines = Vec<&'static str>;

const ORPHAN: &str = "Removing orphan pid file.";

#[derive(Debug, Error)]
pub enum DaemonError {
    #[error("TorchServe is already running, please use torchserve --stop to stop TorchServe.")]
    AlreadyRunning,
    #[error("Invalid temp directory: {0}, please check TEMP environment variable.")]
    TempDirectory(String),
    #[error("pid file {}: cannot be used", path.display())]
    PidFile { path: PathBuf, source: io::Error },
    #[error("cannot start the background process")]
    Spawn(#[source] io::Error),
    #[error("cannot stop process {pid}")]
    Signal { pid: i32, source: io::Error },
    #[error("the background process ended at once ({0}); what it printed above says why")]
    EndedAtOnce(ExitStatus),
}

/// Where the pid file of this environment lies: `.model_server.pid` in the folder for temporary files.
pub fn pid_path(env: &Env<'_>) -> Result<PathBuf, DaemonError> {
    let set = |name: &str| env(name).filter(|folder| !folder.is_empty());
    if let Some(temp) = set("TEMP")
        && !Path::new(&temp).is_dir()
    {
        return Err(DaemonError::TempDirectory(temp));
    }
    let folder = ["TMPDIR", "TEMP", "TMP"]
        .into_iter()
        .filter_map(set)
        .map(PathBuf::from)
        .find(|folder| folder.is_dir())
        .unwrap_or_else(|| PathBuf::from("/tmp"));
    Ok(folder.join(".model_server.pid"))
}

/// The pid file of this process. Dropping it removes the file, unless another process has taken it over.
#[derive(Debug)]
#[must_use = "dropping it removes the pid file"]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes the pid of this process, unless the file holds that of a server that runs.
    pub fn claim(path: &Path) -> Result<(PidFile, Lines), DaemonError> {
        let mut lines = Lines::new();
        if let Some(found) = read(path) {
            if found.is_ok_and(is_server) {
                return Err(DaemonError::AlreadyRunning);
            }
            lines.push(ORPHAN);
            remove(path);
        }
        // A new file, not whatever a link in a folder that everybody may write to leads to.
        let file = match File::create_new(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(DaemonError::AlreadyRunning);
            }
            Err(error) => return Err(unusable(path, error)),
            Ok(file) => file,
        };
        let pid_file = PidFile {
            path: path.to_owned(),
        };
        write(file, std::process::id()).map_err(|error| unusable(path, error))?;
        Ok((pid_file, lines))
    }

    /// For the background process: the file that its launcher writes on its behalf.
    pub fn adopt(path: &Path) -> PidFile {
        PidFile {
            path: path.to_owned(),
        }
    }

    fn hand_over(self, pid: u32) -> Result<(), DaemonError> {
        File::create(&self.path)
            .and_then(|file| write(file, pid))
            .map_err(|error| unusable(&self.path, error))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(Ok(pid)) = read(&self.path)
            && pid == own_pid()
        {
            remove(&self.path);
        }
    }
}

/// Starts this program again in the background, with the same `arguments` (those behind the program's name), and
/// leaves its pid in the file. Returns soon, as `torchserve` does, and not when it serves, which the process says itself;
/// but a process that ends within the first moments, because a port is taken, say, is an error here.
pub fn start_in_background(
    arguments: impl IntoIterator<Item = OsString>,
    pid_path: &Path,
) -> Result<Lines, DaemonError> {
    let program = std::env::current_exe().map_err(DaemonError::Spawn)?;
    let (pid_file, lines) = PidFile::claim(pid_path)?;
    let mut child = Command::new(program)
        .arg("--detached")
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .map_err(DaemonError::Spawn)?;
    // Nobody waits for the child: the launcher ends now, and its parent inherits it.
    pid_file.hand_over(child.id())?;
    let end = Instant::now() + FIRST_MOMENTS;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().map_err(DaemonError::Spawn)? {
            remove(pid_path);
            return Err(DaemonError::EndedAtOnce(status));
        }
        sleep(Duration::from_millis(10));
    }
    Ok(lines)
}

/// To be called first thing by the background process: makes it the leader of a session of its own.
pub fn detach() -> io::Result<()> {
    setsid()?;
    Ok(())
}

/// Asks the server of that pid file to end, and removes the file, and the keys in `cwd`. With `wait` it returns when
/// the process has ended, or after a minute, and then leaves the pid file for another attempt.
pub fn stop(pid_path: &Path, wait: bool, cwd: &Path) -> Result<Lines, DaemonError> {
    stop_within(pid_path, wait.then_some(PATIENCE), cwd)
}

fn stop_within(pid_path: &Path, wait: Option<Duration>, cwd: &Path) -> Result<Lines, DaemonError> {
    let mut lines = Lines::new();
    match read(pid_path) {
        None => lines.push("TorchServe is not currently running."),
        Some(Ok(pid)) if is_server(pid) => match (kill_process(pid, Signal::TERM), wait) {
            (Ok(()), None) => lines.push("TorchServe has stopped."),
            (Ok(()), Some(patience)) if ends_within(pid, patience) => {}
            (Ok(()), Some(_)) => return Ok(vec!["Stopping TorchServe took too long."]),
            (Err(rustix::io::Errno::SRCH), _) => lines.push("TorchServe already stopped."),
            (Err(error), _) => {
                let pid = pid.as_raw_pid();
                let source = error.into();
                return Err(DaemonError::Signal { pid, source });
            }
        },
        Some(_) => lines.extend([ORPHAN, "TorchServe is not currently running."]),
    }
    remove(pid_path);
    // Keys of a server that is gone.
    remove(&cwd.join(KEY_FILE));
    Ok(lines)
}

fn ends_within(pid: Pid, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while is_server(pid) {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(50));
    }
    true
}

/// Whether `pid` is alive and runs a program of the name of this one, and is not this very process: in a container
/// that starts anew, a pid file left behind easily holds the number that its reader now has.
fn is_server(pid: Pid) -> bool {
    if pid == own_pid() {
        return false;
    }
    let Some(own) = std::env::current_exe().ok().and_then(|exe| name(&exe)) else {
        return false;
    };
    match fs::read_link(format!("/proc/{}/exe", pid.as_raw_pid())) {
        Ok(exe) => name(&exe).is_some_and(|theirs| theirs == own),
        // Of another user; its name, cut at 15 bytes, is open to all.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let short = &own.as_bytes()[..own.len().min(15)];
            fs::read(format!("/proc/{}/comm", pid.as_raw_pid()))
                .is_ok_and(|theirs| theirs.strip_suffix(b"\n") == Some(short))
        }
        // Gone, or a zombie that waits to be reaped.
        Err(_) => false,
    }
}

/// The program's name. The kernel marks one whose file was replaced, by an update say.
fn name(exe: &Path) -> Option<String> {
    let name = exe.file_name().map(OsStr::to_string_lossy)?;
    Some(name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned())
}

/// The pid in the file; `None` if there is no file, an error if it holds none.
fn read(path: &Path) -> Option<Result<Pid, ()>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(_) => return Some(Err(())),
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    let number = text.trim().parse().ok().filter(|number| *number > 0);
    Some(number.and_then(Pid::from_raw).ok_or(()))
}

fn write(mut file: File, pid: u32) -> io::Result<()> {
    file.write_all(pid.to_string().as_bytes())
}

/// A file that is not there needs no removing; one that cannot be removed is found by whoever needs its place.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

fn own_pid() -> Pid {
    rustix::process::getpid()
}

fn unusable(path: &Path, source: io::Error) -> DaemonError {
    DaemonError::PidFile {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::process::Child;

    use super::*;

    /// Not a test: what the other tests start in order to have a process of this program.
    #[test]
    #[ignore = "waits until its standard input ends"]
    fn stand_in() {
        let _ = io::stdin().read_to_end(&mut Vec::new());
    }

    /// A process that ends with the test.
    struct Running(Child);

    impl Running {
        fn of_ours() -> Self {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--ignored", "--exact", "daemonize::tests::stand_in"]);
            Self::spawn(command)
        }

        fn of_others() -> Self {
            let mut command = Command::new("sleep");
            command.arg("60");
            Self::spawn(command)
        }

        fn spawn(mut command: Command) -> Self {
            let command = command.stdin(Stdio::piped()).stdout(Stdio::null());
            Running(command.spawn().unwrap())
        }

        fn is_running(&mut self) -> bool {
            self.0.try_wait().unwrap().is_none()
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".model_server.pid");
        (folder, path)
    }

    #[test]
    fn the_pid_file_lies_in_the_folder_for_temporary_files() {
        let (folder, _) = folder();
        let here = folder.path().to_str().unwrap();
        let check = |variables: &[(&str, &str)], expected: &str| {
            let env = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let found = match pid_path(&env) {
                Ok(path) => path.display().to_string(),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{variables:?}");
        };
        let ours = format!("{here}/.model_server.pid");
        check(&[], "/tmp/.model_server.pid");
        check(&[("TEMP", here)], &ours);
        check(&[("TMPDIR", here), ("TEMP", "/")], &ours);
        check(&[("TMPDIR", "/nowhere"), ("TEMP", here)], &ours);
        check(
            &[("TEMP", "/nowhere")],
            "Invalid temp directory: /nowhere, please check TEMP environment variable.",
        );
    }

    #[test]
    fn a_claimed_file_holds_our_pid_and_goes_with_its_guard() {
        let (_folder, path) = folder();
        let (pid_file, lines) = PidFile::claim(&path).unwrap();
        assert_eq!(lines, Lines::new());
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            std::process::id().to_string()
        );
        drop(pid_file);
        assert!(!path.exists());
    }

    #[test]
    fn a_guard_leaves_the_file_of_another() {
        let (_folder, path) = folder();
        fs::write(&path, "1").unwrap();
        drop(PidFile::adopt(&path));
        assert!(path.exists());
        fs::write(&path, std::process::id().to_string()).unwrap();
        drop(PidFile::adopt(&path));
        assert!(!path.exists());
    }

    #[test]
    fn the_pid_of_a_running_server_refuses_another() {
        let (_folder, path) = folder();
        let server = Running::of_ours();
        fs::write(&path, server.0.id().to_string()).unwrap();
        let error = PidFile::claim(&path).unwrap_err();
        assert_eq!(
            error.to_string(),
            "TorchServe is already running, please use torchserve --stop to stop TorchServe."
        );
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            server.0.id().to_string()
        );
    }

    #[test]
    fn any_other_pid_is_an_orphan() {
        let stranger = Running::of_others();
        let strangers = stranger.0.id().to_string();
        let own = std::process::id().to_string();
        for content in ["", "nonsense", "-1", "0", "99999999", &strangers, &own] {
            let (_folder, path) = folder();
            fs::write(&path, content).unwrap();
            let (_pid_file, lines) = PidFile::claim(&path).unwrap();
            assert_eq!(lines, ["Removing orphan pid file."], "{content}");
        }
    }

    #[test]
    fn stop_ends_the_server_and_removes_its_files() {
        let (folder, path) = folder();
        let mut server = Running::of_ours();
        fs::write(&path, server.0.id().to_string()).unwrap();
        let keys = folder.path().join("key_file.json");
        fs::write(&keys, "{}").unwrap();
        assert_eq!(
            stop(&path, false, folder.path()).unwrap(),
            ["TorchServe has stopped."]
        );
        assert!(!path.exists() && !keys.exists());
        assert!(!server.0.wait().unwrap().success());
        assert_eq!(
            stop(&path, false, folder.path()).unwrap(),
            ["TorchServe is not currently running."]
        );
    }

    #[test]
    fn stop_in_the_foreground_waits_and_says_nothing() {
        let (folder, path) = folder();
        let mut server = Running::of_ours();
        fs::write(&path, server.0.id().to_string()).unwrap();
        assert_eq!(stop(&path, true, folder.path()).unwrap(), Lines::new());
        assert!(!server.is_running());
        assert!(!path.exists());
    }

    #[test]
    fn a_server_that_does_not_end_in_time_keeps_its_pid_file() {
        let (folder, path) = folder();
        let server = Running::of_ours();
        // A process that was stopped cannot act on the signal to end.
        let pid = Pid::from_child(&server.0);
        kill_process(pid, Signal::STOP).unwrap();
        while !is_stopped(server.0.id()) {
            std::thread::yield_now();
        }
        fs::write(&path, server.0.id().to_string()).unwrap();
        let patience = Some(Duration::from_millis(120));
        assert_eq!(
            stop_within(&path, patience, folder.path()).unwrap(),
            ["Stopping TorchServe took too long."]
        );
        assert!(path.exists());
    }

    /// Until then a signal to end, which has the lower number, would be taken first.
    fn is_stopped(pid: u32) -> bool {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().any(|line| line.starts_with("State:\tT"))
    }

    #[test]
    fn stop_never_touches_a_stranger() {
        let (folder, path) = folder();
        let mut stranger = Running::of_others();
        fs::write(&path, stranger.0.id().to_string()).unwrap();
        assert_eq!(
            stop(&path, true, folder.path()).unwrap(),
            [
                "Removing orphan pid file.",
                "TorchServe is not currently running."
            ]
        );
        assert!(stranger.is_running());
        assert!(!path.exists());
    }
}
