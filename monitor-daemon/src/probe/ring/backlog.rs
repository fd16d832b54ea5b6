//! Records taken out of a ring before their turn, oldest first, within a budget.

use std::collections::VecDeque;

/// Most bytes kept of one ring: with records of half a kilobyte, 60,000, or a minute of starting
/// programs as fast as one processor can.
const BUDGET: usize = 32 << 20;

#[derive(Debug, Default)]
pub(super) struct Backlog {
    records: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl Backlog {
    /// Whether another record may be put here: what is beyond the budget stays in the ring.
    pub(super) const fn has_room(&self) -> bool {
        self.bytes < BUDGET
    }

    pub(super) fn push(&mut self, record: &[u8]) {
        self.bytes += cost(record);
        self.records.push_back(record.into());
    }

    pub(super) fn pop(&mut self) -> Option<Box<[u8]>> {
        let record = self.records.pop_front()?;
        self.bytes = self.bytes.saturating_sub(cost(&record));
        if self.records.is_empty() {
            // Floods are rare, and what one needed is much.
            self.records = VecDeque::new();
        }
        Some(record)
    }
}

const fn cost(record: &[u8]) -> usize {
    record.len() + size_of::<Box<[u8]>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_first_goes_first_and_the_budget_is_kept() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.pop(), None);
        let mut pushed: u32 = 0;
        while backlog.has_room() {
            let mut record = [0; 1024];
            record[..4].copy_from_slice(&pushed.to_ne_bytes());
            backlog.push(&record);
            pushed += 1;
        }
        assert!((30_000..=32_768).contains(&pushed), "{pushed}");
        for number in 0..pushed {
            let record = backlog.pop().expect("as many as were pushed");
            assert_eq!(record[..4], number.to_ne_bytes());
            assert!(backlog.has_room(), "what was taken makes room");
        }
        assert_eq!(backlog.pop(), None);
        assert_eq!((backlog.bytes, backlog.records.capacity()), (0, 0));
    }
}
