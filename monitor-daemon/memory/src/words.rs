//! Looking at an array of the kernel (`BPF_MAP_TYPE_ARRAY`) through memory that both share.
//!
//! A look by `bpf(2)` keeps programs at tracepoints from running on that CPU for its time. Where the
//! kernel may preempt the daemon within it, that is until it runs again.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use super::mapping::{Access, Mapping};

const WORD: usize = size_of::<u64>();

/// The first part of an array that was made with `BPF_F_MMAPABLE`, as words of 64 bits: whole ones,
/// as the kernel writes them.
#[derive(Debug)]
pub struct Words {
    mapping: Mapping,
}

impl Words {
    /// Maps at least `count` words, to be looked at only.
    ///
    /// # Errors
    /// What the kernel says: `EINVAL` where the array is shorter, `ENOTSUPP` (524) where it was not
    /// made for this.
    pub fn new(array: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        // None cannot be mapped.
        let len = count.max(1) * WORD;
        let mapping = Mapping::new(array, 0, len, Access::Read)?;
        Ok(Self { mapping })
    }

    /// What is there now.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u64> {
        if index >= self.mapping.len() / WORD {
            return None;
        }
        // SAFETY: within the mapping, which begins at a page; others write to it at any time, which
        // atomic loads are for.
        let word = unsafe { AtomicU64::from_ptr(self.mapping.start().cast().add(index).as_ptr()) };
        Some(word.load(Ordering::Relaxed))
    }

    /// Whether these bytes, whole words, are there from a word on.
    #[must_use]
    pub fn hold(&self, from: usize, bytes: &[u8]) -> bool {
        let (words, rest) = bytes.as_chunks::<WORD>();
        let mut words = (from..).zip(words);
        rest.is_empty() && words.all(|(at, word)| self.get(at) == Some(u64::from_ne_bytes(*word)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn what_is_written_meanwhile_is_there() {
        let mut file = tempfile::tempfile().unwrap();
        let written: Vec<u8> = [1u64, 2, 3]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
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
}
