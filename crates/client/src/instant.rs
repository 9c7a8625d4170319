//! Instants as key files and descriptions write them, `2026-11-21T21:52:55.324Z`, read and nothing else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An instant in UTC since 1970, fractions of a second dropped. `None` for anything else.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let time = time.split_once('.').map_or(time, |(time, _)| time);
    let [hour, minute, second] = numbers(time, ':')?;
    let sound = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let seconds =
        sound.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse().ok());
    let found = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(found)
}

/// Days from 1970 to a date, counted in years that start in March so that the leap day is last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let leaps = year / 4 - year / 100 + year / 400;
    year * 365 + leaps + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read() {
        let check = |text: &str, expected: Option<u64>| {
            let found = parse(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs());
            assert_eq!(found, expected, "{text}");
        };
        check("1970-01-01T00:00:00Z", Some(0));
        check("2000-02-29T00:00:00.123Z", Some(951_782_400));
        check("2026-11-21T21:52:55.324000000Z", Some(1_795_297_975));
        check("9999-12-31T23:59:59Z", Some(253_402_300_799));
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T21:52:55",
            "2026-13-21T21:52:55Z",
            "2026-11-21T21:52Z",
            "x-11-21T21:52:55Z",
        ] {
            check(text, None);
        }
    }
}
