//! A libtorch that the user brings by setting LIBTORCH.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::wheels::VERSION;
use crate::workspace;

/// The value of LIBTORCH, unless it is our own folder: `.cargo/config.toml` sets that for every `cargo run`.
pub fn given_by_user() -> Option<PathBuf> {
    let given = PathBuf::from(env::var_os("LIBTORCH").filter(|value| !value.is_empty())?);
    (!is_ours(&given, &workspace::root())).then_some(given)
}

/// By name, not by what the name leads to: a user may well point LIBTORCH at our cache.
fn is_ours(given: &Path, root: &Path) -> bool {
    let whole = root.join(given);
    let resolved = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    whole.file_name().is_some_and(|name| name == "libtorch")
        && whole
            .parent()
            .is_some_and(|folder| resolved(folder) == resolved(&root.join("target")))
}

/// Whether `libtorch` can serve the build, said in one sentence if not.
pub fn check(libtorch: &Path) -> Result<()> {
    if !libtorch.join("lib/libtorch_cpu.so").exists() {
        bail!(
            "LIBTORCH is {}, but that folder holds no lib/libtorch_cpu.so",
            libtorch.display()
        );
    }
    match version(libtorch) {
        Some(found) if found == VERSION => Ok(()),
        Some(found) => {
            bail!(
                "LIBTORCH is {}, which is libtorch {found}, but {VERSION} is needed",
                libtorch.display()
            )
        }
        None => bail!(
            "LIBTORCH is {}, which does not tell its version, neither in build-version nor in version.py",
            libtorch.display()
        ),
    }
}

/// Without the `+cpu` or `+cu130` behind it. The zip of libtorch has one file for it, a Python installation another.
fn version(libtorch: &Path) -> Option<String> {
    let read = |name: &str| fs::read_to_string(libtorch.join(name)).ok();
    let text = match read("build-version") {
        Some(text) => text.trim().to_owned(),
        None => {
            let text = read("version.py")?;
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix("__version__ = "))?;
            value.trim().trim_matches(['\'', '"']).to_owned()
        }
    };
    Some(text.split('+').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_folder(files: &[(&str, &str)], expected: Result<(), &str>) {
        let temp = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(temp.path().join("lib")).expect("room on the disk");
        for (name, content) in files {
            fs::write(temp.path().join(name), content).expect("room on the disk");
        }
        let said = check(temp.path()).map_err(|error| {
            error
                .to_string()
                .replace(&temp.path().display().to_string(), "HERE")
        });
        assert_eq!(said, expected.map_err(str::to_owned), "{files:?}");
    }

    #[test]
    fn a_given_libtorch_is_checked() {
        let library = ("lib/libtorch_cpu.so", "");
        check_folder(&[library, ("build-version", "2.11.0+cu130\n")], Ok(()));
        check_folder(
            &[
                library,
                ("version.py", "x = 1\n__version__ = '2.11.0+cpu'\n"),
            ],
            Ok(()),
        );
        check_folder(
            &[],
            Err("LIBTORCH is HERE, but that folder holds no lib/libtorch_cpu.so"),
        );
        check_folder(
            &[library, ("build-version", "2.9.1")],
            Err("LIBTORCH is HERE, which is libtorch 2.9.1, but 2.11.0 is needed"),
        );
        check_folder(
            &[library],
            Err(
                "LIBTORCH is HERE, which does not tell its version, neither in build-version nor in version.py",
            ),
        );
    }

    #[test]
    fn what_the_cargo_configuration_sets_is_not_given_by_the_user() {
        let root = Path::new("/no/such/root");
        assert!(is_ours(Path::new("/no/such/root/target/libtorch"), root));
        assert!(is_ours(Path::new("target/libtorch"), root));
        assert!(!is_ours(Path::new("/opt/libtorch"), root));
    }
}
