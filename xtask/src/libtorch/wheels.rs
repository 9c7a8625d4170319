//! The wheels libtorch is taken from. The versions and hashes stand here and nowhere else.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The libtorch that `tch` in the root Cargo.toml is made for.
pub const VERSION: &str = "2.11.0";

/// One file of the Python package index.
pub struct Wheel {
    pub package: &'static str,
    pub version: &'static str,
    pub file: &'static str,
    pub sha256: &'static str,
    /// In bytes.
    pub size: u64,
}

pub const TORCH: Wheel = Wheel {
    package: "torch",
    version: VERSION,
    file: "torch-2.11.0-cp312-cp312-manylinux_2_28_x86_64.whl",
    sha256: "0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756",
    size: 530_712_279,
};

pub const CUDA_RUNTIME: Wheel = Wheel {
    package: "nvidia-cuda-runtime",
    version: "13.0.96",
    file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    size: 2_243_632,
};

pub const CUDA_CUPTI: Wheel = Wheel {
    package: "nvidia-cuda-cupti",
    version: "13.0.85",
    file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
    sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
    size: 10_715_597,
};

impl Wheel {
    /// Whether `store` holds this very file. A truncated or altered one does not count and is fetched again.
    pub fn is_whole_in(&self, store: &Path) -> Result<bool> {
        let path = store.join(self.file);
        match File::open(&path) {
            Ok(file) => {
                let size = file.metadata().map(|metadata| metadata.len());
                Ok(size.is_ok_and(|size| size == self.size)
                    && sha256(file).with_context(|| format!("cannot read {}", path.display()))?
                        == self.sha256)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot open {}", path.display())),
        }
    }
}

/// The hash of all that `reader` yields, in lower-case hexadecimal.
fn sha256(mut reader: impl Read) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-2, appendix B.1.
    const ABC: Wheel = Wheel {
        package: "abc",
        version: "1",
        file: "abc.whl",
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        size: 3,
    };

    fn check(content: Option<&str>, whole: bool) {
        let store = tempfile::tempdir().expect("a temporary folder");
        if let Some(content) = content {
            std::fs::write(store.path().join(ABC.file), content).expect("a small file");
        }
        assert_eq!(
            ABC.is_whole_in(store.path()).expect("readable"),
            whole,
            "{content:?}"
        );
    }

    #[test]
    fn only_the_very_file_counts_as_downloaded() {
        check(Some("abc"), true);
        check(Some("abd"), false);
        check(Some("ab"), false);
        check(None, false);
    }
}
