//! Reading a ring of the kernel (`BPF_MAP_TYPE_RINGBUF`) through memory that both share.
//!
//! The kernel shows a ring's pages twice, one copy behind the other, so that a record that begins
//! at the ring's end goes on behind it. Of the second copy only what the longest record reaches is
//! mapped here: each page counts as the process's memory for each time that it is mapped.
//!
//! The kernel wakes the reader for a record when all before it were read, which is an interrupt, and
//! costs more than the record. Who is awake and will look again by itself needs none: so the kernel
//! is told of a record that was read only when the next one is there, or when the reader is about to
//! wait ([`Ring::arm`]).

use std::io;
use std::os::fd::BorrowedFd;
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use super::mapping::{self, Access, Mapping};

/// In the first word of a record: it is being written (`include/uapi/linux/bpf.h`).
const BUSY: u32 = 1 << 31;
/// There, too: it is not to be read.
const DISCARDED: u32 = 1 << 30;
/// What is in front of a record, bytes: the first word, which has its length, and one of the
/// kernel's.
const HEAD: usize = 8;
/// Records larger than this part of the ring are not kept from the kernel.
const LARGE: usize = 16;

/// A ring, read by this process alone.
#[derive(Debug)]
pub struct Ring {
    /// How far was read: a page that the kernel only reads.
    position: Mapping,
    /// How far was written, a page, and the records behind it.
    records: Mapping,
    page: usize,
    /// Of records without the second copy, bytes: a power of two.
    size: usize,
    /// How far was read, bytes since the ring was made.
    read: u64,
    /// How far the kernel knows it to be read.
    shown: u64,
    /// How far was written when that was looked at last.
    written: u64,
}

impl Ring {
    /// Maps a ring of `size` bytes whose records have `longest` bytes at most; of longer ones the
    /// end is left out.
    ///
    /// # Errors
    /// What the kernel says, or `EINVAL` for a size that no ring has.
    pub fn new(ring: BorrowedFd<'_>, size: usize, longest: usize) -> io::Result<Self> {
        let page = mapping::page_size();
        if !size.is_power_of_two() || size < page {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let again = (HEAD + longest).next_multiple_of(page).min(size);
        let position = Mapping::new(ring, 0, page, Access::Write)?;
        let records = Mapping::new(ring, page, page + size + again, Access::Read)?;
        let mut ring = Self {
            position,
            records,
            page,
            size,
            read: 0,
            shown: 0,
            written: 0,
        };
        ring.read = ring.position().load(Ordering::Acquire);
        (ring.shown, ring.written) = (ring.read, ring.read);
        Ok(ring)
    }

    /// Hands out the oldest record, if there is one. It is only there until `take` returns.
    pub fn next<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let (at, len) = self.complete()?;
        let taken = take(self.record(at, len));
        self.pass(len);
        Some(taken)
    }

    /// From here on the kernel wakes who waits on the ring's descriptor for the next record; whether
    /// there is one already, for which it may not have.
    pub fn arm(&mut self) -> bool {
        self.show();
        // Either what follows sees a record, or the kernel sees what was shown when it is complete.
        fence(Ordering::SeqCst);
        self.written = self.read;
        self.oldest().is_some_and(|(_, word)| word & BUSY == 0)
    }

    /// Where the oldest record is that can be read, and its length.
    fn complete(&mut self) -> Option<(usize, usize)> {
        loop {
            let (at, word) = self.oldest()?;
            if word & BUSY != 0 {
                return None;
            }
            self.show();
            let len = (word & !DISCARDED) as usize;
            if word & DISCARDED == 0 {
                return Some((at + HEAD, len));
            }
            self.pass(len);
        }
    }

    /// Goes on behind a record.
    fn pass(&mut self, len: usize) {
        self.read += (HEAD + len).next_multiple_of(8) as u64;
        if len > self.size / LARGE {
            self.show();
        }
    }

    /// Where the oldest record is that was not read, and its first word.
    fn oldest(&mut self) -> Option<(usize, u32)> {
        if self.read == self.written {
            self.written = self.end().load(Ordering::Acquire);
            if self.read == self.written {
                return None;
            }
        }
        let at = self.page + (self.read as usize & (self.size - 1));
        // The kernel sets it last, so that the record is there once it is not busy.
        let word = self.head(at)?.load(Ordering::Acquire);
        Some((at, word))
    }

    /// Shows the kernel how far was read: its memory is used again.
    fn show(&mut self) {
        if self.shown != self.read {
            self.position().store(self.read, Ordering::Release);
            self.shown = self.read;
        }
    }

    /// How far was read.
    fn position(&self) -> &AtomicU64 {
        // SAFETY: the first word of a mapped page, which nobody takes for anything else; all of
        // this machine's words of 64 bits may be shared so.
        unsafe { self.position.start().cast::<AtomicU64>().as_ref() }
    }

    /// How far was written.
    fn end(&self) -> &AtomicU64 {
        // SAFETY: as above; it is never stored to.
        unsafe { self.records.start().cast::<AtomicU64>().as_ref() }
    }

    /// The first word of the record at a place within the mapping, if that has it.
    fn head(&self, at: usize) -> Option<&AtomicU32> {
        let aligned = at.is_multiple_of(align_of::<AtomicU32>());
        let inside = at.checked_add(HEAD)? <= self.records.len();
        // SAFETY: inside of the mapping and aligned; it is never stored to.
        (aligned && inside).then(|| unsafe { self.records.start().add(at).cast().as_ref() })
    }

    /// The bytes of a record: those that are mapped, should it be longer than any may be.
    fn record(&self, at: usize, len: usize) -> &[u8] {
        let at = at.min(self.records.len());
        let len = len.min(self.records.len() - at);
        // SAFETY: inside of the mapping. The kernel does not write there again until it is told
        // that the record was read, which takes `&mut self`.
        unsafe { slice::from_raw_parts(self.records.start().add(at).as_ptr(), len) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    /// A file as large as a ring of one page with its second copy, and what the kernel does to it.
    struct Kernel {
        file: File,
        page: usize,
        written: u64,
    }

    impl Kernel {
        fn new() -> io::Result<(Self, Ring)> {
            let page = mapping::page_size();
            let file = tempfile::tempfile()?;
            file.set_len(page as u64 * 4)?;
            let ring = Ring::new(file.as_fd(), page, 100)?;
            let written = 0;
            let kernel = Self {
                file,
                page,
                written,
            };
            Ok((kernel, ring))
        }

        /// Puts down bytes, in both copies.
        fn put(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
            let page = self.page as u64;
            for (at, byte) in (at % page..).zip(bytes) {
                self.file.write_at(&[*byte], 2 * page + at)?;
                self.file
                    .write_at(&[*byte], 2 * page + (at + page) % (2 * page))?;
            }
            Ok(())
        }

        fn set_head(&self, at: u64, len: usize, bits: u32) -> io::Result<()> {
            self.put(at, &(len as u32 | bits).to_ne_bytes())
        }

        /// Begins a record; where it is.
        fn reserve(&mut self, len: usize) -> io::Result<u64> {
            let at = self.written;
            self.set_head(at, len, BUSY)?;
            self.written += (HEAD + len).next_multiple_of(8) as u64;
            self.file
                .write_at(&self.written.to_ne_bytes(), self.page as u64)?;
            Ok(at)
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            let at = self.reserve(bytes.len())?;
            self.put(at + HEAD as u64, bytes)?;
            self.set_head(at, bytes.len(), 0)
        }

        /// How far it believes the ring to be read.
        fn seen(&self) -> io::Result<u64> {
            let mut bytes = [0; 8];
            self.file.read_exact_at(&mut bytes, 0)?;
            Ok(u64::from_ne_bytes(bytes))
        }
    }

    fn next(ring: &mut Ring) -> Option<Vec<u8>> {
        ring.next(<[u8]>::to_vec)
    }

    #[test]
    fn records_come_in_order_and_whole_round_after_round() -> io::Result<()> {
        let (mut kernel, mut ring) = Kernel::new()?;
        assert_eq!(next(&mut ring), None);
        // Of lengths with which one begins at each place of the ring, also across its end.
        for number in 0..300_u32 {
            let record = |number: u32| vec![number as u8; 4 + number as usize % 90];
            kernel.write(&record(number))?;
            kernel.write(&record(number + 7))?;
            assert_eq!(next(&mut ring), Some(record(number)));
            assert_eq!(next(&mut ring), Some(record(number + 7)));
            assert_eq!(next(&mut ring), None);
        }
        Ok(())
    }

    #[test]
    fn what_is_being_written_is_waited_for_and_what_is_discarded_is_not() -> io::Result<()> {
        let (mut kernel, mut ring) = Kernel::new()?;
        let busy = kernel.reserve(3)?;
        kernel.write(b"later")?;
        assert_eq!(next(&mut ring), None);
        assert!(!ring.arm(), "the kernel wakes when it is complete");
        kernel.set_head(busy, 3, DISCARDED)?;
        assert!(ring.arm());
        assert_eq!(next(&mut ring), Some(b"later".to_vec()));
        Ok(())
    }

    #[test]
    fn the_kernel_is_told_when_the_reader_waits_or_goes_on() -> io::Result<()> {
        let (mut kernel, mut ring) = Kernel::new()?;
        kernel.write(b"first")?;
        let behind_first = kernel.written;
        assert_eq!(next(&mut ring), Some(b"first".to_vec()));
        assert_eq!(next(&mut ring), None);
        assert_eq!(kernel.seen()?, 0, "it would wake a reader that is awake");
        kernel.write(b"second")?;
        assert_eq!(next(&mut ring), Some(b"second".to_vec()));
        assert_eq!(kernel.seen()?, behind_first);
        assert!(!ring.arm());
        assert_eq!(kernel.seen()?, kernel.written);
        kernel.write(b"third")?;
        assert!(ring.arm(), "it came before the reader waits");
        assert_eq!(next(&mut ring), Some(b"third".to_vec()));
        // Much of the ring, which others need.
        let large = vec![1; kernel.page / 4];
        kernel.write(&large)?;
        assert_eq!(next(&mut ring), Some(large));
        assert_eq!(kernel.seen()?, kernel.written);
        Ok(())
    }

    #[test]
    fn a_length_that_no_record_has_ends_with_what_is_mapped() -> io::Result<()> {
        let (kernel, mut ring) = Kernel::new()?;
        kernel.set_head(0, 0x00ff_ffff, 0)?;
        kernel.file.write_at(&[255; 4], kernel.page as u64)?;
        let record = next(&mut ring).map(|record| record.len());
        assert_eq!(record, Some(2 * kernel.page - HEAD));
        Ok(())
    }

    #[test]
    fn no_ring_is_smaller_than_a_page_or_of_another_size() -> io::Result<()> {
        let file = tempfile::tempfile()?;
        for size in [0, 1024, mapping::page_size() * 3] {
            let refused = Ring::new(file.as_fd(), size, 100).map_err(|error| error.kind());
            assert_eq!(refused.err(), Some(io::ErrorKind::InvalidInput));
        }
        Ok(())
    }
}
