//! The two parts of the prepared folder: what every build needs, and what only CUDA needs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::progress::Progress;
use super::staging;
use super::stub::{self, Compiler};
use super::unpack::{self, Rule};
use super::wheels::{CUDA_CUPTI, CUDA_RUNTIME, TORCH, VERSION, Wheel};

/// A folder that is made as a whole from some entries of some wheels.
pub struct Part {
    pub name: &'static str,
    /// Relative to the prepared folder; empty for that folder itself.
    folder: &'static str,
    from: &'static [(&'static Wheel, &'static [Rule])],
    /// The space it takes while it is made and after, in bytes, the wheels aside.
    pub room: u64,
}

pub const CPU: Part = Part {
    name: "libtorch for the CPU",
    folder: "",
    from: &[
        (
            &TORCH,
            &[
                Rule("torch/include/", "include/"),
                Rule("torch/lib/libc10.so", "lib/libc10.so"),
                Rule("torch/lib/libgomp.so.1", "lib/libgomp.so.1"),
                Rule("torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
                Rule("torch-2.11.0.dist-info/licenses/", "licenses/torch/"),
            ],
        ),
        // libtorch_cpu.so of this build names both libraries as needed, and finds them beside itself.
        (
            &CUDA_RUNTIME,
            &[
                Rule("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13"),
                Rule(
                    "nvidia_cuda_runtime-13.0.96.dist-info/licenses/",
                    "licenses/cuda-runtime/",
                ),
            ],
        ),
        (
            &CUDA_CUPTI,
            &[
                Rule("nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13"),
                Rule(
                    "nvidia_cuda_cupti-13.0.85.dist-info/licenses/",
                    "licenses/cuda-cupti/",
                ),
            ],
        ),
    ],
    room: 1_050_000_000,
};

pub const CUDA: Part = Part {
    name: "libtorch's CUDA libraries",
    folder: "cuda",
    from: &[(
        &TORCH,
        &[
            Rule("torch/lib/libc10_cuda.so", "libc10_cuda.so"),
            Rule("torch/lib/libcaffe2_nvrtc.so", "libcaffe2_nvrtc.so"),
            Rule("torch/lib/libtorch_cuda.so", "libtorch_cuda.so"),
            Rule(
                "torch/lib/libtorch_cuda_linalg.so",
                "libtorch_cuda_linalg.so",
            ),
            Rule("torch/lib/libtorch_nvshmem.so", "libtorch_nvshmem.so"),
        ],
    )],
    room: 1_000_000_000,
};

/// Every wheel that some of `parts` is made from, once.
pub fn wheels_of(parts: &[&Part]) -> Vec<&'static Wheel> {
    let mut wheels: Vec<&'static Wheel> = Vec::new();
    for (wheel, _) in parts.iter().flat_map(|part| part.from) {
        if wheels.iter().all(|known| known.file != wheel.file) {
            wheels.push(wheel);
        }
    }
    wheels
}

impl Part {
    pub fn is_complete(&self, home: &Path) -> bool {
        staging::is_complete(&self.path(home), &self.identity())
    }

    /// Makes the folder from the wheels in `store`. Interrupted, it leaves the old state and a staging folder.
    pub fn make(&self, home: &Path, store: &Path, compiler: &Compiler) -> Result<()> {
        staging::build(&self.path(home), &self.identity(), |folder| {
            for (wheel, rules) in self.from {
                let progress = Progress::new(format!("unpacking {}", wheel.package));
                unpack::unpack(&store.join(wheel.file), rules, folder, progress)?;
            }
            if self.folder.is_empty() {
                finish_cpu(folder, compiler)?;
            }
            Ok(())
        })
        .with_context(|| format!("{} could not be unpacked", self.name))
    }

    fn path(&self, home: &Path) -> PathBuf {
        if self.folder.is_empty() {
            home.to_owned()
        } else {
            home.join(self.folder)
        }
    }

    /// The first lines of the stamp: another version, wheel or rule makes another folder.
    fn identity(&self) -> String {
        let mut text = format!("{} {VERSION}\n", self.name);
        for (wheel, rules) in self.from {
            text += &format!("{} sha256:{}\n", wheel.file, wheel.sha256);
            for Rule(entry, path) in *rules {
                text += &format!("  {entry} -> {path}\n");
            }
        }
        text
    }
}

/// What the build expects beside the unpacked files.
fn finish_cpu(folder: &Path, compiler: &Compiler) -> Result<()> {
    // torch-sys links `gomp`, which the linker looks for under the name without a version.
    symlink("libgomp.so.1", folder.join("lib/libgomp.so"))
        .with_context(|| format!("cannot link libgomp.so in {}", folder.display()))?;
    stub::compile(compiler, &folder.join("lib/libtorch.so"))?;
    let version = folder.join("build-version");
    fs::write(&version, format!("{VERSION}\n"))
        .with_context(|| format!("cannot write {}", version.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_that_two_parts_share_is_fetched_once() {
        let files = |parts: &[&Part]| {
            wheels_of(parts)
                .iter()
                .map(|wheel| wheel.package)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            files(&[&CPU, &CUDA]),
            ["torch", "nvidia-cuda-runtime", "nvidia-cuda-cupti"]
        );
        assert_eq!(files(&[&CUDA]), ["torch"]);
    }

    #[test]
    fn no_cuda_library_of_torch_lies_where_torch_sys_would_link_it() {
        for Rule(entry, path) in CPU.from.iter().flat_map(|(_, rules)| *rules) {
            assert!(!path.starts_with("lib/libtorch_cuda"), "{entry} -> {path}");
        }
    }
}
