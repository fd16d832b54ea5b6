//! An array of the kernel (`BPF_MAP_TYPE_ARRAY`) through memory that both share.
//!
//! A look or a write by `bpf(2)` keeps programs at tracepoints from running on that CPU for its time.
//! Where the kernel may preempt the daemon within it, that is until it runs again.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::mapping::{Access, Mapping};

const WORD: usize = size_of::<u64>();

/// The first part of an array that was made with `BPF_F_MMAPABLE`, as words of 64 bits: whole ones,
/// as the kernel writes them.
#[derive(Debug)]
pub struct Words {
    mapping: Mapping,
    writable: bool,
}

impl Words {
    /// Maps at least `count` words, to be looked at only.
    ///
    /// # Errors
    /// What the kernel says: `EINVAL` where the array is shorter, `ENOTSUPP` (524) where it was not
    /// made for this.
    pub fn new(array: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        Self::map(array, count, Access::Read)
    }

    /// Maps at least `count` words, to be written to as well.
    ///
    /// # Errors
    /// As for [`Words::new`], and `EPERM` where the array is frozen.
    pub fn writable(array: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        Self::map(array, count, Access::Write)
    }

    fn map(array: BorrowedFd<'_>, count: usize, access: Access) -> io::Result<Self> {
        // None cannot be mapped.
        let len = count.max(1) * WORD;
        let mapping = Mapping::new(array, 0, len, access)?;
        let writable = matches!(access, Access::Write);
        Ok(Self { mapping, writable })
    }

    /// What is there now.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u64> {
        Some(self.word(index)?.load(Ordering::Relaxed))
    }

    /// Writes a word: it is there before what is written next, and before what is looked at next is
    /// looked at.
    ///
    /// # Errors
    /// `InvalidInput` where there is no such word, or it is only to be looked at.
    pub fn set(&self, index: usize, word: u64) -> io::Result<()> {
        let place = self.word(index).filter(|_| self.writable);
        let place = place.ok_or(io::ErrorKind::InvalidInput)?;
        place.store(word, Ordering::Release);
        fence(Ordering::SeqCst);
        Ok(())
    }

    /// Writes these bytes, whole words, from a word on, in order.
    ///
    /// # Errors
    /// As for [`Words::set`], for each word.
    pub fn put(&self, from: usize, bytes: &[u8]) -> io::Result<()> {
        let (words, rest) = bytes.as_chunks::<WORD>();
        if !rest.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut words = (from..).zip(words);
        words.try_for_each(|(at, word)| self.set(at, u64::from_ne_bytes(*word)))
    }

    /// Whether these bytes, whole words, are there from a word on.
    #[must_use]
    pub fn hold(&self, from: usize, bytes: &[u8]) -> bool {
        let (words, rest) = bytes.as_chunks::<WORD>();
        let mut words = (from..).zip(words);
        rest.is_empty() && words.all(|(at, word)| self.get(at) == Some(u64::from_ne_bytes(*word)))
    }

    fn word(&self, index: usize) -> Option<&AtomicU64> {
        if index >= self.mapping.len() / WORD {
            return None;
        }
        // SAFETY: within the mapping, which begins at a page and lives as long as what is given out.
        // Others write to it at any time, which atomic accesses are for; it is stored to only where
        // it was mapped to be written to.
        Some(unsafe { AtomicU64::from_ptr(self.mapping.start().cast().add(index).as_ptr()) })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn words_of(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn what_is_written_meanwhile_is_there() {
        let mut file = tempfile::tempfile().unwrap();
        let written = words_of(&[1, 2, 3]);
        file.set_len(24).unwrap();
        let words = Words::new(file.as_fd(), 3).unwrap();
        assert_eq!(words.get(1), Some(0));
        file.write_all(&written).unwrap();
        assert_eq!(
            [0, 1, 2, 3].map(|at| words.get(at)),
            [Some(1), Some(2), Some(3), None]
        );
        assert!(words.hold(0, &written) && words.hold(1, &written[8..]));
        assert!(!words.hold(1, &written));
        assert!(!words.hold(0, &written[..23]), "half a word");
    }
    #[test]
    fn what_is_written_is_there_for_others() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(24).unwrap();
        let words = Words::writable(file.as_fd(), 3).unwrap();
        words.set(2, 7).unwrap();
        words.put(0, words_of(&[5, 6]).as_slice()).unwrap();
        let mut found = [0; 24];
        file.read_exact_at(&mut found, 0).unwrap();
        assert_eq!(found.as_slice(), words_of(&[5, 6, 7]));
        for refused in [words.set(512, 1), words.put(0, &[0; 7])] {
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn what_is_to_be_looked_at_is_not_written() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8).unwrap();
        let words = Words::new(file.as_fd(), 1).unwrap();
        let refused = words.set(0, 1).unwrap_err().kind();
        assert_eq!(
            (refused, words.get(0)),
            (io::ErrorKind::InvalidInput, Some(0))
        );
    }
}
