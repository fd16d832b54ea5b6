//! All keys of a set that a text begins with, or ends with, by one binary search.

use std::cmp::Ordering;

use super::byte_set::ByteSet;

/// How many places of keys are remembered for a quick no.
const FILTERED: usize = 4;
/// No key.
const NONE: u32 = u32::MAX;

/// Which end of a text is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Its beginning.
    Start,
    /// Its end.
    Back,
}

/// Keys in the order of their bytes, read from the end that counts.
#[derive(Debug)]
pub(crate) struct Affixes<T> {
    end: End,
    /// Which bytes the keys have at their first places, as far as all have so many: most texts
    /// are told from all keys by them.
    first: Vec<ByteSet>,
    keys: Vec<Key<T>>,
}

#[derive(Debug)]
struct Key<T> {
    bytes: Box<[u8]>,
    /// The longest other key that this one begins with, read from the end that counts.
    within: u32,
    value: T,
}

impl<T> Affixes<T> {
    /// From different keys with their values.
    pub(crate) fn new(end: End, keys: impl Iterator<Item = (Box<[u8]>, T)>) -> Self {
        let mut keys: Vec<_> = keys
            .map(|(bytes, value)| Key {
                bytes,
                within: NONE,
                value,
            })
            .collect();
        keys.sort_by(|a, b| end.compare(&a.bytes, &b.bytes));
        let first = Vec::new();
        let mut affixes = Self { end, first, keys };
        for index in 1..affixes.keys.len() {
            let Some(bytes) = affixes.keys.get(index).map(|key| key.bytes.clone()) else {
                continue;
            };
            let within = affixes.longest(&bytes, index);
            if let Some(key) = affixes.keys.get_mut(index) {
                key.within = within;
            }
        }
        affixes.first = affixes.first_bytes();
        affixes
    }

    fn first_bytes(&self) -> Vec<ByteSet> {
        let lengths = self.keys.iter().map(|key| key.bytes.len());
        let places = lengths.min().unwrap_or_default().min(FILTERED);
        let mut first = vec![ByteSet::default(); places];
        for key in &self.keys {
            for (place, set) in first.iter_mut().enumerate() {
                set.insert(self.end.byte(&key.bytes, place).unwrap_or_default());
            }
        }
        first
    }

    /// Whether the first bytes of a text are such that it may have a key.
    fn may_have_key(&self, text: &[u8]) -> bool {
        self.first.iter().enumerate().all(|(place, set)| {
            let byte = self.end.byte(text, place);
            byte.is_some_and(|byte| set.contains(byte))
        })
    }

    /// Gives the value of each key that the text has at this end, longest first.
    pub(crate) fn find(&self, text: &[u8], mut found: impl FnMut(&T)) {
        if !self.may_have_key(text) {
            return;
        }
        let mut at = self.longest(text, self.keys.len());
        while let Some(key) = self.keys.get(at as usize) {
            found(&key.value);
            at = key.within;
        }
    }

    /// The longest of the first `count` keys that a text has at this end.
    ///
    /// Whatever lies between such a key and the text begins with the key too. So it is the
    /// greatest key that is not greater than the text, or one of those that this one begins with.
    fn longest(&self, text: &[u8], count: usize) -> u32 {
        let first = self.keys.get(..count).unwrap_or_default();
        let after = first.partition_point(|key| self.end.compare(&key.bytes, text).is_le());
        let mut at = (after as u32).wrapping_sub(1);
        while let Some(key) = self.keys.get(at as usize) {
            if self.end.has(text, &key.bytes) {
                return at;
            }
            at = key.within;
        }
        NONE
    }
}

impl End {
    /// The byte at a place, counted from this end.
    fn byte(self, text: &[u8], place: usize) -> Option<u8> {
        let place = match self {
            Self::Start => place,
            Self::Back => text.len().checked_sub(place + 1)?,
        };
        text.get(place).copied()
    }

    fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Self::Start => a.cmp(b),
            Self::Back => a.iter().rev().cmp(b.iter().rev()),
        }
    }

    fn has(self, text: &[u8], key: &[u8]) -> bool {
        match self {
            Self::Start => text.starts_with(key),
            Self::Back => text.ends_with(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(
            keys in prop::collection::btree_set("[ab/]{0,4}", 0..12),
            text in "[ab/]{0,6}",
        ) {
            for end in [End::Start, End::Back] {
                let with_values = keys.iter().map(|key| (key.as_bytes().into(), key.clone()));
                let affixes = Affixes::new(end, with_values);
                let mut found = Vec::new();
                affixes.find(text.as_bytes(), |key| found.push(key.clone()));
                found.sort();
                let expected: Vec<String> = keys
                    .iter()
                    .filter(|key| end.has(text.as_bytes(), key.as_bytes()))
                    .cloned()
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
