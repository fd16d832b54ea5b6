//! Reading both rings as one stream.
//!
//! Records come out in the order of their time, so that an exec is seen before what the new
//! program does. A record is handed out only after the other ring was looked at later: whatever
//! led to it was written before it, and so was seen by then.

use std::cmp::Ordering;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{MapData, RingBuf};
use monitor_common::Header;
use zerocopy::FromBytes;

/// The rings of the kernel programs.
pub struct Rings {
    lifecycle: Source,
    bulk: Source,
}

struct Source {
    ring: RingBuf<MapData>,
    /// The oldest record of the ring, if `time` is some. Its memory is used again.
    record: Vec<u8>,
    time: Option<u64>,
}

impl Rings {
    pub(super) fn new(lifecycle: RingBuf<MapData>, bulk: RingBuf<MapData>) -> Self {
        Self {
            lifecycle: Source::new(lifecycle),
            bulk: Source::new(bulk),
        }
    }

    /// The oldest record; `None` when both rings are empty. Until then no wake-up is due on the
    /// descriptors: call it until it gives `None` before waiting on them.
    #[expect(
        clippy::should_implement_trait,
        reason = "the record borrows from the rings"
    )]
    pub fn next(&mut self) -> Option<&[u8]> {
        self.lifecycle.look();
        self.bulk.look();
        // What was looked at first may have got its record in between.
        self.lifecycle.look();
        match order(self.lifecycle.time, self.bulk.time)? {
            Ordering::Greater => self.bulk.take(),
            _ => self.lifecycle.take(),
        }
    }

    /// Descriptors that become readable when a ring gets records: lifecycle, bulk.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.lifecycle.ring.as_fd(), self.bulk.ring.as_fd()]
    }
}

impl Source {
    fn new(ring: RingBuf<MapData>) -> Self {
        Self {
            ring,
            record: Vec::new(),
            time: None,
        }
    }

    /// Makes sure the oldest record is at hand, if there is one.
    fn look(&mut self) {
        if self.time.is_some() {
            return;
        }
        if let Some(item) = self.ring.next() {
            self.record.clear();
            self.record.extend_from_slice(&item);
            self.time = Some(time(&self.record));
        }
    }

    fn take(&mut self) -> Option<&[u8]> {
        self.time.take().map(|_| self.record.as_slice())
    }
}

/// Time in the header; a record too short for one is the oldest, so that its reader refuses it.
fn time(record: &[u8]) -> u64 {
    Header::read_from_prefix(record).map_or(0, |(header, _)| header.time)
}

/// Which of two heads goes first, `None` for none.
fn order(lifecycle: Option<u64>, bulk: Option<u64>) -> Option<Ordering> {
    match (lifecycle, bulk) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(lifecycle), Some(bulk)) => Some(lifecycle.cmp(&bulk)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_head_goes_first() {
        let cases = [
            (None, None, None),
            (Some(5), None, Some(Ordering::Less)),
            (None, Some(5), Some(Ordering::Greater)),
            (Some(5), Some(6), Some(Ordering::Less)),
            (Some(6), Some(5), Some(Ordering::Greater)),
        ];
        for (lifecycle, bulk, expected) in cases {
            assert_eq!(order(lifecycle, bulk), expected);
        }
    }
}
