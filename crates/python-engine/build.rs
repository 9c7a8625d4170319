//! Lists the files of `python/`, so that the crate can carry them: a Rust source with a name and the bytes of each.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What of `python/` a worker needs.
const CARRIED: [&str; 3] = ["launch.py", "torchrelay_worker", "ts"];

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets it"));
    let root = here.join("../../python").canonicalize()?;
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    for name in CARRIED {
        collect(&root.join(name), &mut files)?;
    }
    files.sort();
    let mut list = String::from("pub(crate) const FILES: &[(&str, &[u8])] = &[\n");
    for file in &files {
        let name = file.strip_prefix(&root).expect("found below it");
        let (name, file) = (name.display(), file.display());
        writeln!(
            list,
            "    ({:?}, include_bytes!({:?})),",
            format!("{name}"),
            format!("{file}")
        )
        .expect("memory");
    }
    list.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it"));
    fs::write(out.join("package.rs"), list)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for child in fs::read_dir(path)? {
        let child = child?.path();
        if child.is_dir() && child.file_name().is_some_and(|name| name != "__pycache__") {
            collect(&child, files)?;
        } else if child.extension().is_some_and(|extension| extension == "py") {
            files.push(child);
        }
    }
    Ok(())
}
