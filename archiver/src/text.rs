//! Numbers and tables for people.

/// A number of bytes in the unit that leaves one to four digits before the point.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths of a unit, rounded down, so that no size looks larger than it is.
    let mut tenths = bytes as f64 * 10.0 / 1024.0;
    let mut unit = 0;
    while tenths >= 10_240.0 && unit + 1 < UNITS.len() {
        tenths /= 1024.0;
        unit += 1;
    }
    format!("{:.1} {}", tenths.floor() / 10.0, UNITS[unit])
}

/// Pairs under each other, indented, the second ones aligned. A value of several lines keeps them apart.
pub(crate) fn pairs<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let width = rows.iter().map(|(key, _)| key.chars().count()).max();
    let width = width.unwrap_or(0);
    rows.iter()
        .map(|(key, value)| format!("  {key:width$}  {value}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: u64, expected: &str) {
        assert_eq!(size(bytes), expected);
    }

    #[test]
    fn sizes_have_a_fitting_unit() {
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(1536, "1.5 KiB");
        check((1 << 20) - 1, "1023.9 KiB");
        check(1 << 20, "1.0 MiB");
        check(5 << 30, "5.0 GiB");
        check(u64::MAX, "16384.0 PiB");
    }

    #[test]
    fn pairs_are_aligned() {
        let text = pairs([("a", "1".to_owned()), ("long", "2".to_owned())]);
        assert_eq!(text, "  a     1\n  long  2\n");
    }
}
