//! A set of rules of a class, by their position in it.

const BITS: usize = u64::BITS as usize;

/// A set of positions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct RuleSet(Vec<u64>);

impl RuleSet {
    /// The empty set, with room for positions below `len`.
    pub(crate) fn with_len(len: usize) -> Self {
        Self(vec![0; len.div_ceil(BITS)])
    }

    /// Becomes the same as another set, in the memory it has.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.0.clear();
        self.0.extend_from_slice(&other.0);
    }

    /// Adds a position that there is room for.
    pub(crate) fn insert(&mut self, position: usize) {
        if let Some(word) = self.0.get_mut(position / BITS) {
            *word |= 1 << (position % BITS);
        }
    }

    /// Whether a position is in the set.
    pub(crate) fn contains(&self, position: usize) -> bool {
        let word = self.0.get(position / BITS).copied().unwrap_or_default();
        word >> (position % BITS) & 1 == 1
    }

    /// The least position from `start` that is in one of the sets.
    pub(crate) fn next_in_any<'s>(
        sets: &(impl Iterator<Item = &'s Self> + Clone),
        start: usize,
    ) -> Option<usize> {
        let words = sets.clone().map(|set| set.0.len()).max()?;
        let mut below = !0 << (start % BITS);
        for index in start / BITS..words {
            let word = |set: &Self| set.0.get(index).copied().unwrap_or_default();
            let found = sets.clone().map(word).fold(0, |all, word| all | word) & below;
            if found != 0 {
                return Some(index * BITS + found.trailing_zeros() as usize);
            }
            below = !0;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_all_sets_in_order() {
        let (mut a, mut b) = (RuleSet::with_len(200), RuleSet::with_len(70));
        for position in [0, 63, 130] {
            a.insert(position);
        }
        for position in [63, 64, 900] {
            b.insert(position);
        }
        let mut found = Vec::new();
        let mut start = 0;
        while let Some(next) = RuleSet::next_in_any(&[&a, &b].into_iter(), start) {
            found.push(next);
            start = next + 1;
        }
        assert_eq!(found, [0, 63, 64, 130]);
        assert!(a.contains(130) && !a.contains(131) && !b.contains(900));
        b.copy_from(&a);
        assert_eq!(a, b);
    }
}
