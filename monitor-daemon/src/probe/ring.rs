//! Reading all rings as one stream.
//!
//! Records come out in the order of their time, so that an exec is seen before what the new
//! program does. A record is handed out only after each ring that seems empty was looked at later:
//! whatever led to it was written before it, and so was seen by then.
//!
//! The order makes the records of processes wait for all bulk that is older. So that their rings
//! do not fill up meanwhile, they are moved into memory, within a budget.

mod backlog;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use aya::maps::MapData;
use monitor_common::{Header, RECORD_MAX};
use monitor_memory::Ring;
use zerocopy::FromBytes;

use backlog::Backlog;

/// Records handed out between two looks at what piles up: 64 take about a millisecond, in which no
/// machine writes a ring full.
const TURN: u32 = 64;

/// The rings of the kernel programs.
pub struct Rings {
    sources: [Source; 3],
    turn: u32,
}

struct Source {
    map: MapData,
    ring: Ring,
    /// Older than what is in the ring.
    backlog: Backlog,
    /// The oldest record of the ring, if `time` is some. Its memory is used again.
    record: Vec<u8>,
    time: Option<u64>,
}

impl Rings {
    /// The rings with their sizes, bytes. Of records with the same time, those of an earlier ring go
    /// first.
    pub(super) fn new([lifecycle, control, bulk]: [(MapData, u32); 3]) -> io::Result<Self> {
        let sources = [
            Source::new(lifecycle)?,
            Source::new(control)?,
            Source::new(bulk)?,
        ];
        Ok(Self { sources, turn: 0 })
    }

    /// The oldest record; `None` when all rings are empty. The kernel does not wake who waits on the
    /// descriptors then, before [`Self::arm`].
    #[expect(
        clippy::should_implement_trait,
        reason = "the record borrows from the rings"
    )]
    pub fn next(&mut self) -> Option<&[u8]> {
        self.turn = (self.turn + 1) % TURN;
        if self.turn == 0 {
            self.relieve();
        }
        // A record found in one ring may have been written after another was looked at.
        while self.sources.iter_mut().any(Source::look) {}
        let oldest = oldest(self.sources.each_ref().map(|source| source.time))?;
        self.sources.get_mut(oldest)?.take()
    }

    /// To be called when there was no record, before waiting on the descriptors: from here on they
    /// become readable with the next record. Whether one came meanwhile, so that it is to be read
    /// first.
    pub fn arm(&mut self) -> bool {
        let armed = self.sources.each_mut().map(|source| source.ring.arm());
        armed.contains(&true)
    }

    /// Makes room in the rings that must not lose anything: all but that of the bulk.
    fn relieve(&mut self) {
        let [lifecycle, control, _bulk] = &mut self.sources;
        lifecycle.relieve();
        control.relieve();
    }

    /// Descriptors that become readable when a ring gets records, once it is [armed](Self::arm).
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 3] {
        self.sources
            .each_ref()
            .map(|source| source.map.fd().as_fd())
    }
}

impl Source {
    fn new((map, bytes): (MapData, u32)) -> io::Result<Self> {
        let ring = Ring::new(map.fd().as_fd(), bytes as usize, RECORD_MAX)?;
        Ok(Self {
            map,
            ring,
            backlog: Backlog::default(),
            record: Vec::new(),
            time: None,
        })
    }

    /// Makes sure the oldest record is at hand, if there is one; whether it was not before.
    fn look(&mut self) -> bool {
        if self.time.is_some() {
            return false;
        }
        self.record.clear();
        if let Some(record) = self.backlog.pop() {
            self.record.extend_from_slice(&record);
        } else {
            let keep = |record: &[u8]| self.record.extend_from_slice(record);
            if self.ring.next(keep).is_none() {
                return false;
            }
        }
        self.time = Some(time(&self.record));
        true
    }

    fn relieve(&mut self) {
        while self.backlog.has_room() {
            let backlog = &mut self.backlog;
            if self.ring.next(|record| backlog.push(record)).is_none() {
                break;
            }
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

/// Which of the heads goes first, `None` where no ring has one.
fn oldest(heads: [Option<u64>; 3]) -> Option<usize> {
    let heads = heads.into_iter().enumerate();
    let times = heads.filter_map(|(ring, time)| Some((time?, ring)));
    times.min().map(|(_, ring)| ring)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_head_goes_first() {
        let cases = [
            ([None, None, None], None),
            ([Some(5), None, None], Some(0)),
            ([None, Some(5), Some(6)], Some(1)),
            ([Some(7), Some(6), Some(5)], Some(2)),
            ([Some(5), Some(5), Some(5)], Some(0)),
        ];
        for (heads, expected) in cases {
            assert_eq!(oldest(heads), expected);
        }
    }
}
