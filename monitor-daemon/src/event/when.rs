//! Times as text, in the forms of `evt.time` and its relatives.

use jiff::fmt::strtime::format;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Time of day with ns, in the host's zone.
pub(super) fn time(epoch_ns: u64) -> String {
    local("%H:%M:%S.%9f", epoch_ns)
}

/// Time of day in whole seconds.
pub(super) fn seconds(epoch_ns: u64) -> String {
    local("%H:%M:%S", epoch_ns)
}

/// Date and time with ns.
pub(super) fn date(epoch_ns: u64) -> String {
    local("%Y-%m-%d %H:%M:%S.%9f", epoch_ns)
}

/// Date and time in whole seconds.
pub(super) fn date_seconds(epoch_ns: u64) -> String {
    local("%Y-%m-%d %H:%M:%S", epoch_ns)
}

/// UTC, ISO 8601 with ns.
pub(super) fn iso8601(epoch_ns: u64) -> String {
    written("%Y-%m-%dT%H:%M:%S.%9f%z", &zoned(epoch_ns, TimeZone::UTC))
}

fn local(form: &str, epoch_ns: u64) -> String {
    written(form, &zoned(epoch_ns, TimeZone::system()))
}

/// Every `u64` of ns lies within jiff's years, and the forms above are constant, so neither
/// fallback is ever taken.
fn zoned(epoch_ns: u64, zone: TimeZone) -> Zoned {
    let time = Timestamp::from_nanosecond(i128::from(epoch_ns)).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(zone)
}

fn written(form: &str, time: &Zoned) -> String {
    format(form, time).unwrap_or_default()
}
