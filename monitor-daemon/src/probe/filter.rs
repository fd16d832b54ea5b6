//! Filters in the kernel. The one not in force is written, then put in force by one store; programs
//! that are in the middle of the other go on with that.

use aya::Ebpf;
use aya::maps::MapError;
use monitor_common::filter::{FOUND, Head, PIECE, PIECES, SLOTS};
use zerocopy::transmute;

use super::dispatch::{Dispatch, array};
use crate::filter::Filter;

/// [`Head`] as the map takes it.
type HeadWords = [u64; size_of::<Head>() / 8];

/// Which filter is in force.
pub(super) struct Filters {
    in_force: Dispatch,
    /// The number that the next one gets.
    next: u32,
}

impl Filters {
    pub(super) fn new() -> Self {
        Self {
            in_force: Dispatch::of_filters(),
            next: 0,
        }
    }

    /// Puts a filter in force, or none.
    pub(super) fn set(&mut self, ebpf: &mut Ebpf, filter: Option<&Filter>) -> Result<(), String> {
        let Some(filter) = filter else {
            return self.in_force.set(ebpf, 0, 0);
        };
        let number = self.next;
        if self.in_force.due(0) == u64::from(number) + 1 {
            self.in_force.set(ebpf, 0, 0)?;
        }
        write(ebpf, number, filter)?;
        self.in_force.set(ebpf, 0, u64::from(number) + 1)?;
        self.next = (number + 1) % SLOTS as u32;
        Ok(())
    }

    /// Sets right which one is in force, if somebody else changed it.
    pub(super) const fn in_force(&self) -> &Dispatch {
        &self.in_force
    }
}

fn write(ebpf: &mut Ebpf, number: u32, filter: &Filter) -> Result<(), String> {
    let failed = |error: MapError| error.to_string();
    let words: HeadWords = transmute!(filter.head);
    let mut heads = array::<HeadWords>(ebpf, "FILTER_HEADS")?;
    heads.set(number, words, 0).map_err(failed)?;
    let mut steps = array::<[u16; PIECE]>(ebpf, "FILTER_STEPS")?;
    for (place, some) in filter.steps.chunks(PIECE).enumerate() {
        let mut piece = [0; PIECE];
        for (to, step) in piece.iter_mut().zip(some) {
            *to = *step;
        }
        let place = number * PIECES as u32 + place as u32;
        steps.set(place, piece, 0).map_err(failed)?;
    }
    let mut found = array::<[u64; 5]>(ebpf, "FILTER_FOUND")?;
    for (state, one) in filter.found.iter().enumerate() {
        let place = number * FOUND as u32 + state as u32;
        let words: [u64; 5] = transmute!(*one);
        found.set(place, words, 0).map_err(failed)?;
    }
    Ok(())
}
