//! An empty `libtorch.so`.
//!
//! torch-sys links `torch`. In the wheel that library holds nothing but references to its CPU and CUDA halves, so
//! linking it would make every program need CUDA. The halves are linked by name instead, and this stands in.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A C compiler that was seen to start.
#[derive(Debug)]
pub struct Compiler(OsString);

pub fn compiler() -> Result<Compiler> {
    let named = env::var_os("CC").filter(|name| !name.is_empty());
    first_of(
        named
            .into_iter()
            .chain(["cc", "gcc", "clang"].map(OsString::from)),
    )
}

fn first_of(names: impl IntoIterator<Item = OsString>) -> Result<Compiler> {
    for name in names {
        let mut version = Command::new(&name);
        version
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if version.status().is_ok_and(|status| status.success()) {
            return Ok(Compiler(name));
        }
    }
    bail!(
        "no C compiler was found (tried CC, cc, gcc and clang): install one, and its C++ half, which the build needs"
    )
}

pub fn compile(Compiler(compiler): &Compiler, library: &Path) -> Result<()> {
    let output = Command::new(compiler)
        .args([
            "-shared",
            "-fPIC",
            "-nostdlib",
            "-Wl,-soname,libtorch.so",
            "-x",
            "c",
            "/dev/null",
            "-o",
        ])
        .arg(library)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} could not be started", compiler.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("without a message");
        bail!(
            "{} could not make {} ({last})",
            compiler.display(),
            library.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_compiler_is_told_so() {
        let error = first_of(["no-such-compiler".into()]).expect_err("it does not exist");
        assert!(
            error.to_string().starts_with("no C compiler was found"),
            "{error}"
        );
    }
}
