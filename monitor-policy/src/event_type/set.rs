//! A set of event types, as a bit vector.

use std::fmt;

use super::EventType;

const WORDS: usize = 8;

/// A set of event types.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct EventSet([u64; WORDS]);

impl EventSet {
    /// No type.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Every type.
    pub fn full() -> Self {
        // Asked for often while rules are compiled: by the word.
        let mut left = EventType::count();
        Self([(); WORDS].map(|()| {
            let bits = left.min(64);
            left -= bits;
            u64::MAX.checked_shr(64 - bits as u32).unwrap_or(0)
        }))
    }

    /// Whether `event` is in the set.
    pub fn contains(&self, event: EventType) -> bool {
        let (word, bit) = position(event);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Adds `event`.
    pub fn insert(&mut self, event: EventType) {
        let (word, bit) = position(event);
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= bit;
        }
    }

    /// What is in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    /// Every type that is not in this set.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self::full().difference(self)
    }

    /// How many types are in the set.
    pub fn len(&self) -> usize {
        self.0.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Whether no type is in the set.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// The types in the set, in the order of [`EventType::all`].
    pub fn iter(&self) -> impl Iterator<Item = EventType> + '_ {
        EventType::all().filter(|event| self.contains(*event))
    }

    fn zip(&self, other: &Self, operation: impl Fn(u64, u64) -> u64) -> Self {
        let mut result = *self;
        for (bits, other) in result.0.iter_mut().zip(other.0) {
            *bits = operation(*bits, other);
        }
        result
    }
}

fn position(event: EventType) -> (usize, u64) {
    (event.index() / 64, 1 << (event.index() % 64))
}

impl FromIterator<EventType> for EventSet {
    fn from_iter<I: IntoIterator<Item = EventType>>(events: I) -> Self {
        let mut set = Self::EMPTY;
        for event in events {
            set.insert(event);
        }
        set
    }
}

impl fmt::Debug for EventSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> EventSet {
        names
            .iter()
            .map(|name| EventType::from_name(name).unwrap())
            .collect()
    }

    #[test]
    fn algebra() {
        assert!(EventType::count() <= WORDS * 64);
        let (a, b) = (set(&["open", "openat"]), set(&["openat", "connect"]));
        assert_eq!(a.union(&b), set(&["open", "openat", "connect"]));
        assert_eq!(a.intersection(&b), set(&["openat"]));
        assert_eq!(a.difference(&b), set(&["open"]));
        assert_eq!(a.complement().complement(), a);
        assert_eq!(a.complement().len(), EventType::count() - 2);
        assert!(a.intersection(&a.complement()).is_empty());
        assert_eq!(EventSet::full(), EventType::all().collect());
    }
}
