//! CUDA at run time: the daemon links only libtorch's CPU side, and loads the CUDA side when a device is wanted and its
//! libraries are there.
#![allow(unsafe_code)]

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

/// Why no CUDA device can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaError {
    /// No NVIDIA driver answers on this machine.
    NoDriver,
    /// A library is not where it should be, or cannot be loaded.
    Library { path: PathBuf, reason: String },
    /// The libraries are loaded, but libtorch sees no device.
    NoDevice,
}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CudaError::NoDriver => f.write_str("no NVIDIA driver: /dev/nvidiactl is missing"),
            CudaError::Library { path, reason } => write!(f, "{}: {reason}", path.display()),
            CudaError::NoDevice => {
                f.write_str("the CUDA libraries are there, but no device is visible")
            }
        }
    }
}

impl std::error::Error for CudaError {}

/// How many CUDA devices there are. The first call loads the libraries, which takes seconds; later ones remember.
pub fn devices() -> Result<usize, CudaError> {
    static DEVICES: OnceLock<Result<usize, CudaError>> = OnceLock::new();
    DEVICES.get_or_init(find_devices).clone()
}

fn find_devices() -> Result<usize, CudaError> {
    if !Path::new("/dev/nvidiactl").exists() {
        return Err(CudaError::NoDriver);
    }
    let folder = cuda_folder();
    // In the order of their dependence.
    for name in ["libc10_cuda.so", "libtorch_cuda.so"] {
        let path = folder.join(name);
        if !path.is_file() {
            return Err(CudaError::Library {
                path,
                reason: "the file is missing".into(),
            });
        }
        // SAFETY: running the initialisers of libtorch's own libraries, of the version this program was linked with.
        let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) };
        match library {
            // Never unloaded: libtorch has registered its kernels by now.
            Ok(library) => std::mem::forget(library),
            Err(error) => {
                return Err(CudaError::Library {
                    path,
                    reason: error.to_string(),
                });
            }
        }
    }
    let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    if count == 0 {
        Err(CudaError::NoDevice)
    } else {
        Ok(count)
    }
}

/// Beside the CPU side: `lib/libtorch_cpu.so` goes with `cuda/libtorch_cuda.so`, and a libtorch of the user's own keeps
/// both in `lib`.
fn cuda_folder() -> PathBuf {
    let lib = Path::new(env!("TORCHRELAY_LIBTORCH_LIB"));
    let beside = lib.with_file_name("cuda");
    if beside.is_dir() {
        beside
    } else {
        lib.to_owned()
    }
}
