//! `cargo xtask libtorch`: prepares `target/libtorch`, the folder the build links to.
//!
//! The files come from the Python wheel of torch, the one build that serves CPU and CUDA alike, and lie in the
//! user's cache; `target/libtorch` is a link to them. So `cargo clean` or a second clone costs no second download.
//!
//! ```text
//! include/         headers of libtorch and AOTInductor
//! lib/             what the build links to and every start needs; an empty libtorch.so (see stub.rs)
//! cuda/            what the daemon opens at run time when a CUDA device is wanted
//! build-version    "2.11.0", which the build script of torch-sys compares
//! .complete        written last: what the folder was made of, and the sizes of its libraries
//! ```
//!
//! `cuda/` is not inside `lib/` because torch-sys links CUDA as soon as it sees `lib/libtorch_cuda.so`, and then
//! nothing starts on a machine without CUDA.

mod given;
mod machine;
mod parts;
mod pip;
mod place;
mod progress;
mod staging;
mod stub;
mod unpack;
mod wheels;

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace;
use parts::Part;

pub use given::given_by_user;

#[derive(Clone, Copy, Default)]
pub struct Options {
    /// Unpack the CUDA libraries even though no NVIDIA device is seen.
    pub cuda: bool,
    /// Leave the wheels in the cache.
    pub keep_wheels: bool,
}

/// Prepares `target/libtorch`; does nothing when it is whole already, or when the user brings a libtorch.
pub fn prepare(options: Options) -> Result<()> {
    if let Some(given) = given_by_user() {
        given::check(&given)?;
        println!("libtorch: {} (from LIBTORCH)", given.display());
        return Ok(());
    }
    machine::check_platform()?;

    let link = workspace::libtorch();
    let cuda = options.cuda || machine::has_nvidia_device();
    let mut wanted = vec![&parts::CPU];
    if cuda {
        wanted.push(&parts::CUDA);
    }

    let cache = place::choose(&link)?;
    let home = cache.join(format!("libtorch-{}", wheels::VERSION));
    if !all_complete(&wanted, &home) {
        make(&wanted, &cache, &home, options)?;
    }
    place::link(&home, &link)?;

    println!("libtorch: {} in {}", wheels::VERSION, home.display());
    if !cuda && !parts::CUDA.is_complete(&home) {
        println!(
            "libtorch: no NVIDIA device here, so the CPU serves; \
             `cargo xtask libtorch --cuda` adds the CUDA libraries"
        );
    }
    // Where the search path inside libtorch_cuda.so leads from `cuda/`.
    let nvidia = cache.join("nvidia");
    if cuda && !nvidia.exists() {
        println!(
            "libtorch: for CUDA the NVIDIA packages of torch {} (cuBLAS, cuDNN, NCCL and others, 2 GB) must be there \
             too, in {} or where the system's loader looks",
            wheels::VERSION,
            nvidia.display()
        );
    }
    Ok(())
}

fn all_complete(parts: &[&Part], home: &Path) -> bool {
    parts.iter().all(|part| part.is_complete(home))
}

/// Downloads and unpacks what is missing, one run at a time.
fn make(wanted: &[&Part], cache: &Path, home: &Path, options: Options) -> Result<()> {
    let _lock = lock(&cache.join("lock"))?;
    let missing: Vec<_> = wanted
        .iter()
        .filter(|part| !part.is_complete(home))
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(()); // the run we waited for made it
    }

    let store = cache.join("wheels");
    fs::create_dir_all(&store).with_context(|| format!("cannot create {}", store.display()))?;
    let mut absent = Vec::new();
    for wheel in parts::wheels_of(&missing) {
        if !wheel.is_whole_in(&store)? {
            absent.push(wheel);
        }
    }

    let compiler = stub::compiler()?;
    machine::check_room(cache, &missing, &absent)?;
    if !absent.is_empty() {
        let pip = pip::Pip::find()?;
        if absent
            .iter()
            .any(|wheel| wheel.package != wheels::TORCH.package)
        {
            println!(
                "libtorch: two small NVIDIA packages come with it even where only the CPU serves, because \
                 libtorch_cpu.so is linked against them"
            );
        }
        for wheel in absent {
            pip.download(wheel, &store)?;
        }
    }
    for part in missing {
        part.make(home, &store, &compiler)?;
    }
    if !options.keep_wheels {
        fs::remove_dir_all(&store).with_context(|| format!("cannot remove {}", store.display()))?;
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File> {
    let cannot = || format!("cannot lock {}", path.display());
    let file = File::create(path).with_context(cannot)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            println!("libtorch: another run is preparing it; waiting for that one");
            file.lock().with_context(cannot)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
    }
    Ok(file)
}
