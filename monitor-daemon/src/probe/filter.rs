//! Filters in the kernel. The one not in force is written, then put in force by one store; programs
//! that are in the middle of the other go on with that.

use aya::Ebpf;
use monitor_common::filter::{FOUND, Head, PIECE, PIECES, SLOTS};
use zerocopy::transmute;

use super::dispatch::{Dispatch, hold, told};
use crate::filter::Filter;

/// [`Head`] as the map takes it.
type HeadWords = [u64; size_of::<Head>() / 8];

/// Which filter is in force.
pub(super) struct Filters {
    in_force: Dispatch,
    /// The number that the next one gets.
    next: u32,
    /// The one in force, as the maps have to hold it.
    written: Option<Written>,
}

/// A filter in the maps' own form.
struct Written {
    number: u32,
    head: HeadWords,
    steps: Vec<[u16; PIECE]>,
    found: Vec<[u64; 5]>,
}

impl Filters {
    pub(super) fn new() -> Self {
        Self {
            in_force: Dispatch::of_filters(),
            next: 0,
            written: None,
        }
    }

    /// Puts a filter in force, or none.
    pub(super) fn set(&mut self, ebpf: &mut Ebpf, filter: Option<&Filter>) -> Result<(), String> {
        let Some(filter) = filter else {
            self.in_force.set(ebpf, 0, 0)?;
            self.written = None;
            return Ok(());
        };
        let number = self.next;
        if self.in_force.due(0) == u64::from(number) + 1 {
            self.in_force.set(ebpf, 0, 0)?;
        }
        self.written = None;
        let written = Written::new(number, filter);
        for (_, held) in written.hold(ebpf) {
            held?;
        }
        self.in_force.set(ebpf, 0, u64::from(number) + 1)?;
        self.written = Some(written);
        self.next = (number + 1) % SLOTS as u32;
        Ok(())
    }

    /// Sets right which one is in force and what it says, if somebody else changed that; in words
    /// what that was, one for each map.
    pub(super) fn repair(&self, ebpf: &mut Ebpf) -> Vec<String> {
        let in_force = self.in_force.repair(ebpf);
        let written = self.written.iter().flat_map(|written| written.hold(ebpf));
        let changed = written.filter_map(|(map, held)| told(map, held));
        in_force.into_iter().chain(changed).collect()
    }
}

impl Written {
    fn new(number: u32, filter: &Filter) -> Self {
        let steps = filter.steps.chunks(PIECE).map(|some| {
            let mut piece = [0; PIECE];
            for (to, step) in piece.iter_mut().zip(some) {
                *to = *step;
            }
            piece
        });
        Self {
            number,
            head: transmute!(filter.head),
            steps: steps.collect(),
            found: filter.found.iter().map(|one| transmute!(*one)).collect(),
        }
    }

    /// Makes the maps hold it; whether they did not, of each.
    fn hold(&self, ebpf: &mut Ebpf) -> [(&'static str, Result<bool, String>); 3] {
        let from = |entries: usize| self.number * entries as u32;
        let [head, steps, found] = ["FILTER_HEADS", "FILTER_STEPS", "FILTER_FOUND"];
        [
            (head, hold(ebpf, head, from(1), &[self.head])),
            (steps, hold(ebpf, steps, from(PIECES), &self.steps)),
            (found, hold(ebpf, found, from(FOUND), &self.found)),
        ]
    }
}
