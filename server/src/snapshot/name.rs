//! Names of snapshot files: `yyyyMMddHHmmssSSS-kind.cfg`, in UTC. Their order is that of time, and it is what a start goes
//! by, so a name is never given twice and never one that is older than another.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::utc;

/// The name of one snapshot. A greater one is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    /// Since 1970.
    millis: u64,
    kind: Kind,
}

/// When a snapshot was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Startup,
    /// When something changed.
    Snapshot,
    Shutdown,
}

const KINDS: [Kind; 3] = [Kind::Startup, Kind::Snapshot, Kind::Shutdown];

/// The year 9999: what is called after it or later is not from any clock.
const END: u64 = 253_370_764_800_000;

impl Name {
    /// The name of a file written `now`, or as soon after `last` as there is a name, if the clock is not past that.
    pub(crate) fn next(kind: Kind, now: SystemTime, last: Option<Name>) -> Name {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let free = last.map_or(0, |last| last.millis + 1);
        Name {
            millis: now.max(free),
            kind,
        }
    }

    /// `None` for the name of any other file.
    pub(crate) fn parse(text: &str) -> Option<Name> {
        let (stamp, kind) = text.strip_suffix(".cfg")?.split_once('-')?;
        if stamp.len() != 17 || !stamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let field = |from: usize, to: usize| stamp[from..to].parse::<u64>().ok();
        let seconds = utc::seconds_of([
            field(0, 4)?,
            field(4, 6)?,
            field(6, 8)?,
            field(8, 10)?,
            field(10, 12)?,
            field(12, 14)?,
        ])?;
        let name = Name {
            millis: seconds * 1000 + field(14, 17)?,
            kind: KINDS.into_iter().find(|known| known.text() == kind)?,
        };
        // A 31st of February would be read as another day.
        (name.millis < END && name.to_string() == text).then_some(name)
    }
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Kind::Startup => "startup",
            Kind::Snapshot => "snapshot",
            Kind::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (second, nanos) = utc::to_the_second(UNIX_EPOCH + Duration::from_millis(self.millis));
        let digits = second.replace(['-', 'T', ':'], "");
        write!(
            f,
            "{digits}{:03}-{}.cfg",
            nanos / 1_000_000,
            self.kind.text()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn a_name_is_a_time_and_a_kind() {
        let check = |millis, kind, text: &str| {
            let name = Name { millis, kind };
            assert_eq!(
                (name.to_string(), Name::parse(text)),
                (text.to_owned(), Some(name))
            );
        };
        check(0, Kind::Startup, "19700101000000000-startup.cfg");
        check(
            1_795_297_975_324,
            Kind::Shutdown,
            "20261121215255324-shutdown.cfg",
        );
        check(
            951_868_799_999,
            Kind::Snapshot,
            "20000229235959999-snapshot.cfg",
        );
        check(END - 1, Kind::Snapshot, "99981231235959999-snapshot.cfg");
    }

    #[test]
    fn other_names_are_no_snapshots() {
        for text in [
            "",
            "config.properties",
            ".20261121215255324-snapshot.cfg",
            ".20261121215255324-snapshot.cfg.new",
            "20261121215255324-snapshot.cfg~",
            "20261121215255324-backup.cfg",
            "2026112121525532-snapshot.cfg",
            "20260231000000000-snapshot.cfg",
            "20260101250000000-snapshot.cfg",
            "20260001000000000-snapshot.cfg",
            "99990101000000000-snapshot.cfg",
            "+2026112121525532-snapshot.cfg",
            "2026112121525532é-snapshot.cfg",
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_increase_whatever_the_clock_does() {
        let mut last = None;
        let mut given = Vec::new();
        // Twice within one millisecond, an hour back, and on again.
        for (millis, kind) in [
            (5_000, Kind::Startup),
            (5_000, Kind::Shutdown),
            (5_000, Kind::Startup),
            (1_000, Kind::Snapshot),
            (9_000, Kind::Snapshot),
        ] {
            let name = Name::next(kind, at(millis), last);
            assert!(Some(name) > last, "{name}");
            given.push(name.to_string());
            last = Some(name);
        }
        assert_eq!(
            given,
            [
                "19700101000005000-startup.cfg",
                "19700101000005001-shutdown.cfg",
                "19700101000005002-startup.cfg",
                "19700101000005003-snapshot.cfg",
                "19700101000009000-snapshot.cfg",
            ]
        );
    }
}
