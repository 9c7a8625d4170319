//! GPUs as `nvidia-smi` tells them, where there is a driver that it could ask.

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
