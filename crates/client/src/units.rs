//! Numbers as people read them.

use std::time::Duration;

/// Three digits or so with their unit: `850 µs`, `12.3 ms`, `1.25 s`, `2 min 5 s`, `3 h 4 min`, `2 d 3 h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {small_unit}"),
    };
    match seconds {
        0..60 => {
            let (number, unit) = below_a_minute(duration);
            format!("{number} {unit}")
        }
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

/// The same in six columns at most: `850µs`, `12.3ms`, `1.25s`, `2min`.
pub(crate) fn short_duration(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => {
            let (number, unit) = below_a_minute(duration);
            format!("{number}{unit}")
        }
        seconds @ 60..3600 => format!("{}min", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}

fn below_a_minute(duration: Duration) -> (String, &'static str) {
    let seconds = duration.as_secs_f64();
    if seconds == 0.0 {
        ("0".to_owned(), "s")
    } else if seconds < 999.5e-6 {
        (three_digits(seconds * 1e6), "µs")
    } else if seconds < 0.9995 {
        (three_digits(seconds * 1e3), "ms")
    } else {
        (three_digits(seconds), "s")
    }
}

/// Without the zeros that say nothing.
fn three_digits(number: f64) -> String {
    let text = if number < 9.995 {
        format!("{number:.2}")
    } else if number < 99.95 {
        format!("{number:.1}")
    } else {
        return format!("{number:.0}");
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `512 B`, `1.5 KiB`, `85.2 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut number = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if number < 999.5 {
            break;
        }
        number /= 1024.0;
        unit = next;
    }
    format!("{} {unit}", three_digits(number))
}

/// Events in a second, or requests in a batch: one digit behind the point where it says something.
pub(crate) fn rate(rate: f64) -> String {
    if rate == 0.0 {
        "0".to_owned()
    } else if rate < 99.95 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |micros: u64, long: &str, short: &str| {
            let found = Duration::from_micros(micros);
            assert_eq!(
                (duration(found).as_str(), short_duration(found).as_str()),
                (long, short)
            );
        };
        check(0, "0 s", "0s");
        check(7, "7 µs", "7µs");
        check(850, "850 µs", "850µs");
        check(1_200, "1.2 ms", "1.2ms");
        check(12_345, "12.3 ms", "12.3ms");
        check(999_400, "999 ms", "999ms");
        check(999_600, "1 s", "1s");
        check(1_254_000, "1.25 s", "1.25s");
        check(120_000_000, "2 min", "2min");
        check(125_000_000, "2 min 5 s", "2min");
        check(11_040_000_000, "3 h 4 min", "3h");
        check(183_600_000_000, "2 d 3 h", "51h");
    }

    #[test]
    fn sizes_and_rates() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (89_338_675, "85.2 MiB"),
            (1 << 30, "1 GiB"),
            (5 << 50, "5120 TiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        for (number, text) in [(0.0, "0"), (0.04, "0.0"), (12.34, "12.3"), (1234.5, "1234")] {
            assert_eq!(rate(number), text);
        }
    }
}
