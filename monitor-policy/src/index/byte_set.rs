//! A set of byte values.

/// Different bytes that most texts are made of.
const ALPHABET: f64 = 32.0;

/// Some of the 256 bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    /// Every byte.
    pub(super) const ALL: Self = Self([u64::MAX; 4]);

    /// Adds a byte.
    pub(super) fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte / 64)) {
            *word |= 1 << (byte % 64);
        }
    }

    /// Whether a byte is in it.
    pub(super) fn contains(&self, byte: u8) -> bool {
        let word = self.0.get(usize::from(byte / 64)).copied();
        word.unwrap_or_default() >> (byte % 64) & 1 == 1
    }

    /// The bytes of both.
    pub(super) fn with(&self, other: &Self) -> Self {
        let mut both = *self;
        for (word, more) in both.0.iter_mut().zip(other.0) {
            *word |= more;
        }
        both
    }

    /// How likely a byte of a text is in it; an estimate.
    pub(super) fn likelihood(&self) -> f64 {
        let len: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        (f64::from(len) / ALPHABET).min(1.0)
    }
}
