//! Kafka's numbers of errors: what they are called and what is to be done.

use std::fmt;

/// An error that a broker gives as a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Code(pub(super) i16);

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Nothing: the broker has the records.
    Kept,
    /// Another broker may take them, or this one later.
    Later,
    /// The producer has to introduce itself anew.
    Introduce,
    /// It is these records.
    Refused,
}

impl Code {
    pub(super) fn verdict(self) -> Verdict {
        match self.0 {
            // The second: the broker had them.
            0 | 46 => Verdict::Kept,
            10 | 18 | 32 | 87 => Verdict::Refused,
            45 | 47 | 49 | 59 | 90 => Verdict::Introduce,
            _ => Verdict::Later,
        }
    }

    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            2 => "CORRUPT_MESSAGE",
            3 => "UNKNOWN_TOPIC_OR_PARTITION: there is no such topic",
            5 => "LEADER_NOT_AVAILABLE",
            6 => "NOT_LEADER_OR_FOLLOWER",
            7 => "REQUEST_TIMED_OUT",
            8 => "BROKER_NOT_AVAILABLE",
            10 => "MESSAGE_TOO_LARGE",
            17 => "INVALID_TOPIC_EXCEPTION",
            18 => "RECORD_LIST_TOO_LARGE",
            19 => "NOT_ENOUGH_REPLICAS",
            20 => "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
            29 => "TOPIC_AUTHORIZATION_FAILED: the user may not write to the topic",
            31 => "CLUSTER_AUTHORIZATION_FAILED: the user may not be an idempotent producer",
            32 => "INVALID_TIMESTAMP",
            45 => "OUT_OF_ORDER_SEQUENCE_NUMBER",
            47 => "INVALID_PRODUCER_EPOCH",
            49 => "INVALID_PRODUCER_ID_MAPPING",
            56 => "KAFKA_STORAGE_ERROR",
            59 => "UNKNOWN_PRODUCER_ID",
            87 => "INVALID_RECORD",
            89 => "THROTTLING_QUOTA_EXCEEDED",
            90 => "PRODUCER_FENCED",
            _ => return None,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "error {}", self.0),
        }
    }
}
