//! Models that are spread over several accelerators: which of them a worker sees, and what starts its processes.
//!
//! One process with several accelerators is a worker as any other. Several processes, a rank each, are started by torchrun;
//! all listen, and the first answers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use servable::Device;

/// How the workers of a model share what accelerators there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parallel {
    /// Accelerators of one worker, and its processes where there are [`Ranks`]. At least 1.
    pub level: u32,
    /// The accelerators that workers share out in turn; empty where there is none.
    pub devices: Vec<usize>,
    /// Set where each accelerator has a process of its own.
    pub ranks: Option<Ranks>,
}

/// How torchrun starts the processes of one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranks {
    /// Whether all of them hear of a batch, as it takes where they split tensors; else the first does.
    pub all_hear: bool,
    /// `--nnodes`.
    pub nodes: u32,
    /// `--rdzv-backend`.
    pub backend: String,
    /// `--rdzv-endpoint`.
    pub endpoint: Option<String>,
    /// Threads of OpenMP of each process.
    pub omp_threads: u32,
}

/// The program that starts ranks.
pub(crate) const TORCHRUN: &str = "torchrun";

impl Parallel {
    /// How many processes a worker has.
    pub(crate) fn processes(&self) -> u32 {
        self.ranks.as_ref().map_or(1, |_| self.level)
    }

    /// The accelerators of the worker that begins at `device`.
    pub(crate) fn visible(&self, device: Device) -> Vec<usize> {
        let Device::Cuda(first) = device else {
            return Vec::new();
        };
        let begin = self.devices.iter().position(|&index| index == first);
        let devices = self.devices.iter().cycle().skip(begin.unwrap_or(0));
        devices.take(self.level as usize).copied().collect()
    }

    /// What its processes find in their environment.
    pub(crate) fn variables(&self, device: Device) -> Vec<(&'static str, OsString)> {
        let mut variables = Vec::new();
        let visible: Vec<String> = self
            .visible(device)
            .iter()
            .map(ToString::to_string)
            .collect();
        if !visible.is_empty() {
            variables.push(("CUDA_VISIBLE_DEVICES", visible.join(",").into()));
        }
        if let Some(ranks) = &self.ranks {
            variables.push(("LOGLEVEL", "INFO".into()));
            variables.push(("OMP_NUM_THREADS", ranks.omp_threads.to_string().into()));
        }
        variables
    }

    /// torchrun's own arguments, for the worker of that number.
    pub(crate) fn torchrun(
        &self,
        ranks: &Ranks,
        model: &str,
        number: u32,
        logs: &Path,
    ) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![
            "--nnodes".into(),
            ranks.nodes.to_string().into(),
            "--nproc-per-node".into(),
            self.level.to_string().into(),
            "--log-dir".into(),
            logs.into(),
            "--rdzv-backend".into(),
            (&ranks.backend).into(),
        ];
        if let Some(endpoint) = &ranks.endpoint {
            words.extend(["--rdzv-endpoint".into(), endpoint.into()]);
        }
        words.extend(["--rdzv-id".into(), format!("{model}_{number}").into()]);
        words.extend(["--max-restarts".into(), "1".into()]);
        words
    }
}

/// Where torchrun is: beside the interpreter, if that is a file, or else on the path.
pub(crate) fn find_torchrun(interpreter: &Path) -> Option<PathBuf> {
    let beside = interpreter
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .map(Path::to_owned)
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(TORCHRUN))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parallel(level: u32, devices: &[usize], ranks: bool) -> Parallel {
        Parallel {
            level,
            devices: devices.to_vec(),
            ranks: ranks.then(|| Ranks {
                all_hear: true,
                nodes: 1,
                backend: "c10d".into(),
                endpoint: Some("localhost:7777".into()),
                omp_threads: 3,
            }),
        }
    }

    #[test]
    fn workers_see_accelerators_side_by_side() {
        let check = |devices: &[usize], device, expected: &[usize]| {
            assert_eq!(parallel(2, devices, false).visible(device), expected);
        };
        check(&[], Device::Cpu, &[]);
        check(&[0, 1, 2, 3], Device::Cuda(2), &[2, 3]);
        check(&[4, 6, 7], Device::Cuda(7), &[7, 4]);
        check(&[0, 1], Device::Cpu, &[]);
    }

    #[test]
    fn the_command_is_torchserves() {
        let parallel = parallel(4, &[0, 1, 2, 3], true);
        let ranks = parallel.ranks.as_ref().expect("set");
        let words = parallel.torchrun(ranks, "llama", 29500, Path::new("/logs/torchelastic_ts"));
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        assert_eq!(
            words.join(" "),
            "--nnodes 1 --nproc-per-node 4 --log-dir /logs/torchelastic_ts --rdzv-backend c10d \
             --rdzv-endpoint localhost:7777 --rdzv-id llama_29500 --max-restarts 1"
        );
        let variables = parallel.variables(Device::Cuda(0));
        let expected = [
            ("CUDA_VISIBLE_DEVICES", "0,1,2,3"),
            ("LOGLEVEL", "INFO"),
            ("OMP_NUM_THREADS", "3"),
        ];
        assert_eq!(
            variables,
            expected.map(|(name, value)| (name, value.into()))
        );
    }
}
