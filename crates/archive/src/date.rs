//! Seconds since 1970 as the date a manifest carries. A few lines, rather than a calendar crate.

/// `dd/mm/yyyy HH:MM:SS` in UTC.
///
/// The calendar follows the days-to-civil algorithm of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"
/// (2014): years start on 1 March, so that the leap day is the last one, and 400 years are 146,097 days.
pub(crate) fn created_on(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{day:02}/{month:02}/{year:04} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: u64, expected: &str) {
        assert_eq!(created_on(seconds), expected);
    }

    #[test]
    fn dates_follow_the_calendar() {
        check(0, "01/01/1970 00:00:00");
        check(951_782_399, "28/02/2000 23:59:59");
        check(951_782_400, "29/02/2000 00:00:00");
        check(951_868_800, "01/03/2000 00:00:00");
        check(1_795_296_203, "21/11/2026 21:23:23");
        check(4_107_542_400, "01/03/2100 00:00:00");
    }
}
