//! Processors and memory as `/proc` tells them, the disk as the file system does.

use std::fs;
use std::time::Duration;

use rustix::fs::statvfs;
use tracing::warn;

use super::Sample;

/// How long the first measurement of the processors lasts; a later one lasts since the one before.
const FIRST_GLANCE: Duration = Duration::from_millis(200);
/// The disk whose filling is told, which is TorchServe's choice, too.
const DISK: &str = "/";

/// The name of this machine in its network.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// What the processors did since the last look.
#[derive(Default)]
pub(super) struct Processors {
    last: Option<Ticks>,
}

/// Sums over all processors since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    all: u64,
}

impl Processors {
    pub(super) async fn samples(&mut self) -> Vec<Sample> {
        let before = match self.last {
            Some(last) => Some(last),
            None => {
                let first = read_ticks();
                tokio::time::sleep(FIRST_GLANCE).await;
                first
            }
        };
        self.last = read_ticks();
        let (Some(before), Some(now)) = (before, self.last) else {
            return Vec::new();
        };
        vec![Sample::host("CPUUtilization", utilization(before, now))]
    }
}

fn read_ticks() -> Option<Ticks> {
    ticks(&read("/proc/stat")?)
}

/// From the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, and then the time of
/// guests, which user and nice contain already.
fn ticks(stat: &str) -> Option<Ticks> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields = line.split_whitespace().take(8).map(str::parse);
    let fields: Vec<u64> = fields.collect::<Result<_, _>>().ok()?;
    let idle = fields.get(3)? + fields.get(4).unwrap_or(&0);
    let all = fields.iter().sum();
    Some(Ticks {
        busy: all - idle,
        all,
    })
}

/// Percent.
fn utilization(before: Ticks, now: Ticks) -> f64 {
    percent(
        now.busy.saturating_sub(before.busy),
        now.all.saturating_sub(before.all),
    )
}

/// May wait for the disk.
pub(super) fn memory_and_disk() -> Vec<Sample> {
    let mut samples = Vec::new();
    if let Some(memory) = read("/proc/meminfo").and_then(|text| memory(&text)) {
        samples.extend(memory);
    }
    match statvfs(DISK) {
        Ok(disk) => samples.extend(filling(Filling {
            used: disk.f_blocks.saturating_sub(disk.f_bfree) * disk.f_frsize,
            // What ordinary users may still fill.
            available: disk.f_bavail * disk.f_frsize,
        })),
        Err(error) => warn!("{DISK}: the disk could not be measured: {error}"),
    }
    samples
}

/// From `/proc/meminfo`, which counts in units of 1024 bytes.
fn memory(meminfo: &str) -> Option<[Sample; 3]> {
    let field = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let (all, available) = (field("MemTotal:")?, field("MemAvailable:")?);
    let used = all.saturating_sub(available);
    let megabytes = |kilobytes: u64| kilobytes as f64 / 1024.0;
    Some([
        Sample::host("MemoryUsed", megabytes(used)),
        Sample::host("MemoryAvailable", megabytes(available)),
        Sample::host("MemoryUtilization", percent(used, all)),
    ])
}

/// Bytes.
struct Filling {
    used: u64,
    available: u64,
}

fn filling(Filling { used, available }: Filling) -> [Sample; 3] {
    let gigabytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    [
        Sample::host("DiskUsage", gigabytes(used)),
        Sample::host("DiskAvailable", gigabytes(available)),
        Sample::host("DiskUtilization", percent(used, used + available)),
    ]
}

/// To a tenth, as whoever reads it wants it.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (1e3 * part as f64 / whole as f64).round() / 10.0
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .inspect_err(|error| warn!("{path}: {error}"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_busy_when_they_are_not_idle() {
        let stat = |user: u64, idle: u64, guest: u64| {
            format!("cpu  {user} 0 10 {idle} 5 0 0 0 {guest} 0\ncpu0 1 2 3 4\n")
        };
        let check = |before: String, now: String, expected: f64| {
            let both = (ticks(&before), ticks(&now));
            let (Some(before), Some(now)) = both else {
                panic!("{both:?}");
            };
            assert_eq!(utilization(before, now), expected);
        };
        check(stat(100, 300, 0), stat(125, 375, 25), 25.0);
        check(stat(100, 300, 0), stat(100, 400, 0), 0.0);
        check(stat(100, 300, 0), stat(101, 302, 0), 33.3);
        check(stat(100, 300, 0), stat(100, 300, 0), 0.0);
        assert_eq!(ticks(""), None);
        assert_eq!(ticks("cpu  1 x 3 4 5"), None);
    }

    #[test]
    fn memory_in_use_is_what_nobody_could_have() {
        let text = "MemTotal:        4096 kB\nMemFree:  100 kB\nMemAvailable:    1024 kB\n";
        let expected = [
            Sample::host("MemoryUsed", 3.0),
            Sample::host("MemoryAvailable", 1.0),
            Sample::host("MemoryUtilization", 75.0),
        ];
        assert_eq!(memory(text), Some(expected));
        assert_eq!(memory("MemTotal: 4096 kB\n"), None);
    }

    #[test]
    fn a_disk_is_full_when_nothing_is_available() {
        let filled = |used, available| filling(Filling { used, available });
        let expected = [
            Sample::host("DiskUsage", 3.0),
            Sample::host("DiskAvailable", 1.0),
            Sample::host("DiskUtilization", 75.0),
        ];
        assert_eq!(filled(3 << 30, 1 << 30), expected);
        assert_eq!(filled(1 << 30, 0)[2].value, 100.0);
    }
}
