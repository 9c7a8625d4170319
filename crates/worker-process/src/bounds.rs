//! How much one worker may take: the `limits` of a model's configuration.

use std::time::Duration;

use serde_yaml::Value;

/// What a worker may take; without a bound, what the machine has. A worker that takes more fails or is killed, and the
/// daemon starts another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Bytes of memory, of the worker and all that it starts together, where it is in a group that bounds them; else of address
    /// space, which is more than the worker can ever use of memory, and with an accelerator much more.
    pub memory: Option<u64>,
    /// Seconds of processor time in the worker's whole life.
    pub cpu: Option<u64>,
    /// Open files, sockets among them.
    pub files: Option<u64>,
    /// The time that one batch may take.
    pub time: Option<Duration>,
}

/// The least that a worker needs to start at all.
const LEAST_MEMORY: u64 = 64 << 20;
const LEAST_FILES: u64 = 32;

/// Units of bytes, longest first.
const UNITS: [(&str, u32); 7] = [
    ("KiB", 10),
    ("MiB", 20),
    ("GiB", 30),
    ("TiB", 40),
    ("K", 10),
    ("M", 20),
    ("G", 30),
];

impl Bounds {
    /// Reads the `limits` section of model-config.yaml: `memory` in bytes or with a unit (`2GiB`), `cpu_seconds`,
    /// `open_files`, `request_seconds`. The error names the key.
    pub fn from_yaml(section: &Value) -> Result<Self, String> {
        if section.is_null() {
            return Ok(Bounds::default());
        }
        let Value::Mapping(members) = section else {
            return Err("limits: expected a mapping of keys".into());
        };
        let mut bounds = Bounds::default();
        for (key, value) in members {
            match key.as_str() {
                Some("memory") => bounds.memory = Some(bytes(value)?),
                Some("cpu_seconds") => bounds.cpu = Some(count("cpu_seconds", value, 1)?),
                Some("open_files") => bounds.files = Some(count("open_files", value, LEAST_FILES)?),
                Some("request_seconds") => bounds.time = Some(seconds(value)?),
                _ => {
                    let key = key.as_str().unwrap_or("a key that is no text");
                    return Err(format!(
                        "limits: unknown key {key}, expected memory, cpu_seconds, open_files or request_seconds"
                    ));
                }
            }
        }
        Ok(bounds)
    }

    /// As the launcher takes them; without memory, where a group bounds that.
    pub fn for_launcher(&self, in_group: bool) -> String {
        let bounds = [
            ("as", self.memory.filter(|_| !in_group)),
            ("cpu", self.cpu),
            ("nofile", self.files),
        ];
        let named = bounds
            .into_iter()
            .filter_map(|(name, bound)| Some(format!("{name}={}", bound?)));
        named.collect::<Vec<_>>().join(",")
    }
}

fn bytes(value: &Value) -> Result<u64, String> {
    let wrong = || {
        format!(
            "limits.memory: expected a whole number of bytes or a text like 2GiB, {} MiB at least, found {}",
            LEAST_MEMORY >> 20,
            shown(value)
        )
    };
    let parse = |text: &str| {
        let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit));
        let (number, shift) = unit.map_or((text, 0), |(unit, shift)| {
            (&text[..text.len() - unit.len()], *shift)
        });
        number.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
    };
    let found = value.as_u64().or_else(|| parse(value.as_str()?.trim()));
    found
        .filter(|&bytes| bytes >= LEAST_MEMORY)
        .ok_or_else(wrong)
}

fn count(key: &str, value: &Value, least: u64) -> Result<u64, String> {
    let found = value.as_u64().filter(|&count| count >= least);
    found.ok_or_else(|| {
        format!(
            "limits.{key}: expected a whole number from {least} on, found {}",
            shown(value)
        )
    })
}

fn seconds(value: &Value) -> Result<Duration, String> {
    let found = value.as_f64().filter(|&seconds| seconds > 0.0);
    found
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| {
            format!(
                "limits.request_seconds: expected a number above 0, found {}",
                shown(value)
            )
        })
}

fn shown(value: &Value) -> String {
    let text = serde_yaml::to_string(value).unwrap_or_default();
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(40)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Bounds, &str>) {
        let section = serde_yaml::from_str(text).expect("YAML");
        assert_eq!(
            Bounds::from_yaml(&section),
            expected.map_err(str::to_owned),
            "{text}"
        );
    }

    #[test]
    fn limits_are_read_or_named() {
        check(
            "{memory: 2GiB, cpu_seconds: 60, open_files: 256, request_seconds: 1.5}",
            Ok(Bounds {
                memory: Some(2 << 30),
                cpu: Some(60),
                files: Some(256),
                time: Some(Duration::from_millis(1500)),
            }),
        );
        let memory = |bytes| Bounds {
            memory: Some(bytes),
            ..Bounds::default()
        };
        check("{memory: 134217728}", Ok(memory(128 << 20)));
        check("{memory: 512 M}", Ok(memory(512 << 20)));
        check("{}", Ok(Bounds::default()));
        let memory = |found| {
            format!(
                "limits.memory: expected a whole number of bytes or a text like 2GiB, 64 MiB at least, found {found}"
            )
        };
        check("{memory: 12}", Err(&memory("12")));
        check("{memory: much}", Err(&memory("much")));
        check(
            "{memory: 99999999999999999999G}",
            Err(&memory("99999999999999999999G")),
        );
        check(
            "{cpu_seconds: 0}",
            Err("limits.cpu_seconds: expected a whole number from 1 on, found 0"),
        );
        check(
            "{open_files: 3}",
            Err("limits.open_files: expected a whole number from 32 on, found 3"),
        );
        check(
            "{request_seconds: -1}",
            Err("limits.request_seconds: expected a number above 0, found -1"),
        );
        check(
            "{ram: 1}",
            Err(
                "limits: unknown key ram, expected memory, cpu_seconds, open_files or request_seconds",
            ),
        );
        check("12", Err("limits: expected a mapping of keys"));
    }

    #[test]
    fn the_launcher_is_told_what_is_bounded() {
        let bounds = Bounds {
            memory: Some(100),
            files: Some(64),
            ..Bounds::default()
        };
        assert_eq!(bounds.for_launcher(false), "as=100,nofile=64");
        assert_eq!(bounds.for_launcher(true), "nofile=64");
        assert_eq!(Bounds::default().for_launcher(false), "");
    }
}
