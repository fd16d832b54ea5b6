//! An alert with its place among all of this host's, and the row of the log it becomes.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use monitor_policy::Priority;
use serde_json::{Map, Value};

use crate::output::Alert;

/// Which log a number belongs to: two alerts with the same number but of different logs are
/// different alerts. 60 bits, made when the log is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LogId(u64);

/// There are 60 bits for the number of the log, 40 for that of the alert, and 22 for when it was: a
/// host that fails may forget the last alerts of its log, and give their numbers again.
const ID_BITS: u64 = (1 << 60) - 1;
const SEQUENCE_BITS: u64 = (1 << 40) - 1;
const TIME_BITS: u64 = (1 << 22) - 1;

impl LogId {
    /// One that no other log has, with great probability.
    pub fn random() -> Self {
        // Keys of the standard library's hasher come from the kernel's random numbers.
        Self(RandomState::new().hash_one("alert log") & ID_BITS)
    }

    pub(super) const fn from_number(number: u64) -> Self {
        Self(number & ID_BITS)
    }

    pub(super) const fn number(self) -> u64 {
        self.0
    }
}

/// An alert with its number.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number on this host, from 1.
    pub sequence: u64,
    /// Whose number it is.
    pub log: LogId,
    /// What happened.
    pub alert: Alert,
}

impl Entry {
    /// The alert's name for all time: a UUID (version 8) of the log's number, the alert's, and when
    /// it was.
    pub fn uuid(&self) -> Uuid {
        Uuid::of(self.log, self.sequence, self.alert.time)
    }
}

/// Printed as UUIDs are: `01234567-89ab-8def-8000-00000000002a`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Uuid {
    high: u64,
    low: u64,
}

impl Uuid {
    /// Of the alert with this number in a log, at `time`, ns.
    pub(crate) const fn of(log: LogId, sequence: u64, time: u64) -> Self {
        let log = log.number();
        let time = (time / 1000) & TIME_BITS;
        Self {
            high: log >> 12 << 16 | 8 << 12 | log & 0xfff,
            low: 2 << 62 | time << 40 | sequence & SEQUENCE_BITS,
        }
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { high, low } = self;
        write!(
            formatter,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

/// An entry as the log keeps it: lists and fields as JSON.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) sequence: u64,
    pub(super) time: u64,
    pub(super) priority: u8,
    pub(super) rule: String,
    pub(super) source: String,
    pub(super) tags: String,
    pub(super) hostname: String,
    pub(super) output: String,
    pub(super) fields: String,
}

impl Row {
    pub(super) fn of(entry: &Entry) -> Self {
        let alert = &entry.alert;
        let fields: Map<String, Value> = alert.fields.iter().cloned().collect();
        let tags: Vec<Value> = alert.tags.iter().map(|tag| tag.as_str().into()).collect();
        Self {
            sequence: entry.sequence,
            time: alert.time,
            priority: alert.priority as u8,
            rule: alert.rule.to_string(),
            source: alert.source.to_string(),
            tags: Value::from(tags).to_string(),
            hostname: alert.hostname.to_string(),
            output: alert.output.clone(),
            fields: Value::from(fields).to_string(),
        }
    }

    /// The entry again. What is not of our making (somebody wrote to the file) is left out.
    pub(super) fn entry(self, log: LogId) -> Entry {
        let tags: Vec<String> = serde_json::from_str(&self.tags).unwrap_or_default();
        let fields: Map<String, Value> = serde_json::from_str(&self.fields).unwrap_or_default();
        let priority = Priority::ALL.into_iter();
        let priority = priority.rev().find(|level| *level as u8 <= self.priority);
        Entry {
            sequence: self.sequence,
            log,
            alert: Alert {
                rule: self.rule.into(),
                priority: priority.unwrap_or(Priority::Emergency),
                source: self.source.into(),
                tags: Arc::from(tags),
                time: self.time,
                hostname: self.hostname.into(),
                output: self.output,
                fields: fields.into_iter().collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn a_uuid_is_of_version_8_and_ends_with_the_number() {
        let mut entry = Entry {
            sequence: 42,
            log: LogId::from_number(0x0123_4567_89ab_cdef),
            alert: sample(),
        };
        entry.alert.time = 0x0012_3456 * 1000;
        assert_eq!(
            entry.uuid().to_string(),
            "12345678-9abc-8def-9234-56000000002a"
        );
        let first = entry.uuid();
        entry.alert.time += 1000;
        assert_ne!(entry.uuid(), first, "another alert with the same number");
    }

    #[test]
    fn a_row_becomes_the_same_alert_again() {
        let entry = Entry {
            sequence: 7,
            log: LogId::random(),
            alert: sample(),
        };
        let again = Row::of(&entry).entry(entry.log);
        assert_eq!(format!("{again:?}"), format!("{entry:?}"));
    }
}
