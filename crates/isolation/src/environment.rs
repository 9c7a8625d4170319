//! What of the daemon's environment a child gets: what its libraries read, by name, and nothing else. Keys, tokens and
//! passwords have other names.

use std::ffi::OsString;

/// Whole names.
const NAMES: [&str; 11] = [
    "HOME",
    "LANG",
    "LD_LIBRARY_PATH",
    "PATH",
    "RUST_BACKTRACE",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
];

/// How names of libraries begin: those of threads, of libtorch and its kernels, of accelerators, of allocators, of the locale.
const BEGINNINGS: [&str; 18] = [
    "ATEN_",
    "CUBLAS_",
    "CUDA_",
    "CUDNN_",
    "DNNL_",
    "GOMP_",
    "KMP_",
    "LC_",
    "MALLOC_",
    "MIMALLOC_",
    "MKL_",
    "NCCL_",
    "NVIDIA_",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
    "PYTORCH_",
    "TORCH_",
];

/// The variables of a child, of those of the daemon.
pub(crate) fn of_child(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    variables
        .filter(|(name, _)| name.to_str().is_some_and(is_given))
        .collect()
}

fn is_given(name: &str) -> bool {
    NAMES.contains(&name)
        || BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_get_their_settings_and_nobody_gets_a_secret() {
        let check = |name: &str, expected: bool| {
            let variables = [(name.into(), "x".into())];
            let found = of_child(variables.into_iter());
            assert_eq!(found.len(), usize::from(expected), "{name}");
        };
        for name in [
            "OMP_WAIT_POLICY",
            "CUDA_VISIBLE_DEVICES",
            "TMPDIR",
            "LC_ALL",
        ] {
            check(name, true);
        }
        for name in [
            "AWS_SECRET_ACCESS_KEY",
            "TS_TOKEN_EXPIRATION_TIME_MIN",
            "TORCHRELAY_TOKEN",
            "TORCHRELAY_WORKER_ID",
            "HF_TOKEN",
            "PATHS",
            "omp_num_threads",
            "RUST_LOG",
        ] {
            check(name, false);
        }
    }
}
