//! Times as dates and hours of UTC. No time zones: the log, the key file and the names of snapshots have none.

use std::time::{SystemTime, UNIX_EPOCH};

/// `2026-11-21T21:52:55` and the nanoseconds that follow. What lies before 1970 counts as its beginning.
pub(crate) fn to_the_second(time: SystemTime) -> (String, u32) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    (text, since.subsec_nanos())
}

/// Seconds since 1970 of year, month, day, hour, minute and second; `None` before 1970. What is out of range, the 31st of
/// February say, runs on into the next month: whoever cares writes the result again and compares.
pub(crate) fn seconds_of([year, month, day, hour, minute, second]: [u64; 6]) -> Option<u64> {
    let (year, month_from_march) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// The day of that time, counted from 1970.
pub(crate) fn day(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        / 86_400
}

/// A day counted from 1970 as `21-Nov`.
pub(crate) fn day_and_month(day: u64) -> String {
    let (_, month, day) = civil(day);
    let month = usize::try_from(month - 1).unwrap_or_default();
    format!("{day:02}-{}", MONTHS[month % MONTHS.len()])
}

pub(crate) const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Days since 1970 to a date of the Gregorian calendar, counted in years that start in March so that the leap day is last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // Days since 0000-03-01.
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (400 * era + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(millis: u64, text: &str, nanos: u32) {
        let time = UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(to_the_second(time), (text.to_owned(), nanos));
    }

    #[test]
    fn seconds_since_1970_become_dates() {
        check(0, "1970-01-01T00:00:00", 0);
        check(951_782_400_123, "2000-02-29T00:00:00", 123_000_000);
        check(1_795_297_975_324, "2026-11-21T21:52:55", 324_000_000);
        check(1_767_225_599_999, "2025-12-31T23:59:59", 999_000_000);
        check(253_402_300_799_000, "9999-12-31T23:59:59", 0);
    }

    #[test]
    fn dates_become_seconds_since_1970() {
        let check = |fields, seconds| assert_eq!(seconds_of(fields), seconds, "{fields:?}");
        check([1970, 1, 1, 0, 0, 0], Some(0));
        check([2000, 2, 29, 0, 0, 0], Some(951_782_400));
        check([2026, 11, 21, 21, 52, 55], Some(1_795_297_975));
        check([9999, 12, 31, 23, 59, 59], Some(253_402_300_799));
        check([2026, 2, 31, 0, 0, 0], seconds_of([2026, 3, 3, 0, 0, 0]));
        check([1969, 12, 31, 23, 59, 59], None);
        check([0, 0, 0, 0, 0, 0], None);
    }

    #[test]
    fn days_have_a_number_and_a_name() {
        let check = |seconds: u64, number: u64, name: &str| {
            let found = day(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!((found, day_and_month(found).as_str()), (number, name));
        };
        check(0, 0, "01-Jan");
        check(1_795_305_599, 20_778, "21-Nov");
        check(1_795_305_600, 20_779, "22-Nov");
        check(951_782_400, 11_016, "29-Feb");
    }
}
