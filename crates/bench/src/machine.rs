//! The machine in words, for a report: what decides its speed, and nothing that names it.

use std::fs;

/// Cores and CPU model, such as `2 cores, AMD EPYC`.
pub fn description() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model_of(&info).unwrap_or("an unknown CPU");
    match cores() {
        1 => format!("1 core, {model}"),
        cores => format!("{cores} cores, {model}"),
    }
}

/// The cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn model_of(info: &str) -> Option<&str> {
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    let (_, model) = line.split_once(':')?;
    Some(model.trim())
}

#[cfg(test)]
mod tests {
    use super::model_of;

    #[test]
    fn the_model_is_read_from_cpuinfo() {
        let info = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC 7B13\n";
        assert_eq!(model_of(info), Some("AMD EPYC 7B13"));
        assert_eq!(model_of("processor\t: 0\n"), None);
    }
}
