//! GPUs as `nvidia-smi` tells them, where there is a driver that it could ask.

use std::collections::BTreeMap;
use std::path::Path;

use tracing::debug;

use super::{Sample, command};

/// The driver's device. Without it there is nothing to ask, and no process is started for it.
const DRIVER: &str = "/dev/nvidiactl";
const QUERY: [&str; 3] = [
    "nvidia-smi",
    "--query-gpu=index,utilization.gpu,memory.used,memory.total",
    "--format=csv,noheader,nounits",
];

pub(super) async fn samples() -> Vec<Sample> {
    if !Path::new(DRIVER).exists() {
        return Vec::new();
    }
    match command::output(&QUERY).await {
        Ok(output) => output.lines().flat_map(of_line).collect(),
        Err(error) => {
            debug!("GPUs are not measured: {error}");
            Vec::new()
        }
    }
}

const USAGE: [&str; 3] = [
    "nvidia-smi",
    "--query-gpu=index,utilization.gpu,utilization.memory,memory.used",
    "--format=csv,noheader",
];

/// What the management API says of each device, by its number; nothing where nobody can be asked.
pub(crate) async fn usage() -> BTreeMap<usize, String> {
    if !Path::new(DRIVER).exists() {
        return BTreeMap::new();
    }
    match command::output(&USAGE).await {
        Ok(output) => output.lines().filter_map(usage_of_line).collect(),
        Err(error) => {
            debug!("GPUs are not described: {error}");
            BTreeMap::new()
        }
    }
}

/// `0, 37 %, 12 %, 1024 MiB`, in TorchServe's words.
fn usage_of_line(line: &str) -> Option<(usize, String)> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [device, busy, memory, used] = fields[..] else {
        return None;
    };
    let text = format!(
        "gpuId::{device} utilization.gpu::{busy} utilization.memory::{memory} memory.used::{used}"
    );
    Some((device.parse().ok()?, text))
}

/// `0, 37, 1024, 4096`: number, percent, MiB in use, MiB in all. What a device does not tell reads `[N/A]`.
fn of_line(line: &str) -> Vec<Sample> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [device, busy, used, all] = fields[..] else {
        return Vec::new();
    };
    let number = |text: &str| text.parse::<f64>().ok();
    let mut samples = Vec::new();
    if let Some(busy) = number(busy) {
        samples.push(Sample::device("GPUUtilization", device, busy));
    }
    if let Some(used) = number(used) {
        samples.push(Sample::device("GPUMemoryUsed", device, used));
        if let Some(all) = number(all).filter(|all| *all > 0.0) {
            let percent = (1e3 * used / all).round() / 10.0;
            samples.push(Sample::device("GPUMemoryUtilization", device, percent));
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_told_in_torchserves_words() {
        let check = |line: &str, expected: Option<(usize, &str)>| {
            let found = usage_of_line(line);
            let found = found
                .as_ref()
                .map(|(device, text)| (*device, text.as_str()));
            assert_eq!(found, expected, "{line}");
        };
        let text = "gpuId::1 utilization.gpu::37 % utilization.memory::12 % memory.used::1024 MiB";
        check("1, 37 %, 12 %, 1024 MiB", Some((1, text)));
        check("No devices were found", None);
    }

    #[test]
    fn a_line_is_a_device() {
        let gpu = |name, value| Sample::device(name, "1", value);
        let expected = vec![
            gpu("GPUUtilization", 37.0),
            gpu("GPUMemoryUsed", 1024.0),
            gpu("GPUMemoryUtilization", 25.0),
        ];
        assert_eq!(of_line("1, 37, 1024, 4096"), expected);
        let expected = vec![
            gpu("GPUMemoryUsed", 1024.0),
            gpu("GPUMemoryUtilization", 25.0),
        ];
        assert_eq!(of_line("1, [N/A], 1024, 4096"), expected);
        assert_eq!(of_line("No devices were found"), []);
    }
}
