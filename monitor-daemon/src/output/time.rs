//! Times as text: the two forms of Falco's prefix, and RFC 3339.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// How the time in front of an alert's text looks.
#[derive(Clone, Debug)]
pub enum TimeFormat {
    /// `12:00:00.000000001`, in this zone.
    TimeOfDay(TimeZone),
    /// `2026-01-31T12:00:00.000000001+0000`, always UTC.
    Iso8601,
}

impl TimeFormat {
    /// Time of day as the host's clock on the wall shows it.
    pub fn local() -> Self {
        Self::TimeOfDay(TimeZone::system())
    }

    /// The prefix's time for `time`, ns since the epoch.
    pub fn format(&self, time: u64) -> String {
        match self {
            Self::TimeOfDay(zone) => {
                let timestamp = timestamp(time);
                time_of_day(zone.to_offset(timestamp).to_datetime(timestamp))
            }
            Self::Iso8601 => format!("{}+0000", date_time(utc(time))),
        }
    }

    /// The field that stands for the prefix's time in `output_fields`.
    pub fn field(&self) -> &'static str {
        match self {
            Self::TimeOfDay(_) => "evt.time",
            Self::Iso8601 => "evt.time.iso8601",
        }
    }
}

/// `2026-01-31T12:00:00.000000001Z` for `time`, ns since the epoch.
pub fn rfc3339(time: u64) -> String {
    format!("{}Z", date_time(utc(time)))
}

fn date_time(at: DateTime) -> String {
    format!(
        "{:04}-{:02}-{:02}T{}",
        at.year(),
        at.month(),
        at.day(),
        time_of_day(at)
    )
}

fn time_of_day(at: DateTime) -> String {
    let (hour, minute, second) = (at.hour(), at.minute(), at.second());
    format!(
        "{hour:02}:{minute:02}:{second:02}.{:09}",
        at.subsec_nanosecond()
    )
}

fn utc(time: u64) -> DateTime {
    Offset::UTC.to_datetime(timestamp(time))
}

/// All of `u64` is within jiff's years, so the fallback is never taken.
fn timestamp(time: u64) -> Timestamp {
    let nanos = i64::try_from(time).unwrap_or(i64::MAX);
    Timestamp::from_duration(SignedDuration::from_nanos(nanos)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::alert::tests::NOON;
    use super::*;

    #[test]
    fn prefix_forms() {
        let east = TimeZone::fixed(jiff::tz::offset(2));
        let cases = [
            (
                TimeFormat::TimeOfDay(TimeZone::UTC),
                NOON,
                "12:00:00.000000001",
            ),
            (TimeFormat::TimeOfDay(east), NOON, "14:00:00.000000001"),
            (
                TimeFormat::TimeOfDay(TimeZone::UTC),
                0,
                "00:00:00.000000000",
            ),
            (
                TimeFormat::Iso8601,
                NOON,
                "2026-01-31T12:00:00.000000001+0000",
            ),
        ];
        for (format, time, expected) in cases {
            assert_eq!(format.format(time), expected);
        }
    }

    #[test]
    fn rfc3339_always_has_nanoseconds() {
        assert_eq!(rfc3339(NOON), "2026-01-31T12:00:00.000000001Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(u64::MAX), "2262-04-11T23:47:16.854775807Z");
    }
}
