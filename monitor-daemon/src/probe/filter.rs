//! Filters in the kernel. The one not in force is written, then put in force by one store; programs
//! that are in the middle of the other go on with that.

use aya::Ebpf;
use monitor_common::filter::{FOUND, Head, PIECE, PIECES, SLOTS};
use monitor_common::numbers::{self, KINDS, Pieces, TABLES};
use zerocopy::transmute;

use super::dispatch::{Dispatch, hold, told};
use crate::filter::{self, Filter, Numbers};

/// [`Head`] as the map takes it.
type HeadWords = [u64; size_of::<Head>() / 8];
/// [`numbers::Head`], likewise.
type NumberHead = [u64; size_of::<numbers::Head>() / 8];
/// [`Pieces`], likewise.
type Table = [u64; size_of::<Pieces>() / 8];

/// What a map is made to hold, and whether it did not.
type Held = (&'static str, Result<bool, String>);

/// Which filters are in force.
pub(super) struct Filters {
    in_force: Dispatch,
    opens: Side<Written>,
    numbers: Side<WrittenNumbers>,
}

/// One of two filters side by side.
struct Side<W> {
    /// Where the number of the one in force stands.
    index: u32,
    /// The number that the next one gets.
    next: u32,
    /// The one in force, as the maps have to hold it.
    written: Option<W>,
}

/// A filter in the maps' own form.
trait Hold {
    /// Makes the maps hold it; whether they did not, of each.
    fn hold(&self, ebpf: &Ebpf) -> Vec<Held>;
}

/// A filter of opens.
struct Written {
    number: u32,
    head: HeadWords,
    steps: Vec<[u16; PIECE]>,
    found: Vec<[u64; 5]>,
}

/// Filters of other kinds.
struct WrittenNumbers {
    number: u32,
    heads: Vec<NumberHead>,
    tables: Vec<Table>,
}

impl Filters {
    pub(super) fn new() -> Self {
        Self {
            in_force: Dispatch::of_filters(),
            opens: Side::new(0),
            numbers: Side::new(1),
        }
    }

    /// Puts filters in force, or none.
    pub(super) fn set(
        &mut self,
        ebpf: &Ebpf,
        filters: Option<&filter::Filters>,
    ) -> Result<(), String> {
        let in_force = &mut self.in_force;
        let opens = filters.and_then(|filters| filters.opens.as_ref());
        let opens = opens.map(|filter| |number| Written::new(number, filter));
        self.opens.set(ebpf, in_force, opens)?;
        let numbers = filters.and_then(|filters| filters.numbers.as_ref());
        let numbers = numbers.map(|filter| |number| WrittenNumbers::new(number, filter));
        self.numbers.set(ebpf, in_force, numbers)
    }

    /// Sets right which ones are in force and what they say, if somebody else changed that; in words
    /// what that was, one for each map.
    pub(super) fn repair(&mut self, ebpf: &Ebpf) -> Vec<String> {
        let in_force = self.in_force.repair(ebpf);
        let opens = self.opens.written.iter().flat_map(|one| one.hold(ebpf));
        let mut held: Vec<Held> = opens.collect();
        let numbers = self.numbers.written.iter().flat_map(|one| one.hold(ebpf));
        held.extend(numbers);
        let changed = held.into_iter().filter_map(|(map, held)| told(map, held));
        in_force.into_iter().chain(changed).collect()
    }
}

impl<W: Hold> Side<W> {
    const fn new(index: u32) -> Self {
        Self {
            index,
            next: 0,
            written: None,
        }
    }

    /// Writes a filter under the number it is given, and puts it in force; or none.
    fn set(
        &mut self,
        ebpf: &Ebpf,
        in_force: &mut Dispatch,
        filter: Option<impl FnOnce(u32) -> W>,
    ) -> Result<(), String> {
        let number = self.next;
        let due = in_force.due(self.index);
        if filter.is_none() || due == u64::from(number) + 1 {
            in_force.set(ebpf, self.index, 0)?;
        }
        self.written = None;
        let Some(filter) = filter else {
            return Ok(());
        };
        let written = filter(number);
        for (_, held) in written.hold(ebpf) {
            held?;
        }
        in_force.set(ebpf, self.index, u64::from(number) + 1)?;
        self.written = Some(written);
        self.next = (number + 1) % SLOTS as u32;
        Ok(())
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
}

impl Hold for Written {
    fn hold(&self, ebpf: &Ebpf) -> Vec<Held> {
        let from = |entries: usize| self.number * entries as u32;
        let [head, steps, found] = ["FILTER_HEADS", "FILTER_STEPS", "FILTER_FOUND"];
        vec![
            (head, hold(ebpf, head, from(1), &[self.head])),
            (steps, hold(ebpf, steps, from(PIECES), &self.steps)),
            (found, hold(ebpf, found, from(FOUND), &self.found)),
        ]
    }
}

impl WrittenNumbers {
    fn new(number: u32, filter: &Numbers) -> Self {
        let mut written = Self {
            number,
            heads: vec![NumberHead::default(); KINDS],
            tables: Vec::new(),
        };
        for of_kind in &filter.kinds {
            let first = number * TABLES as u32 + written.tables.len() as u32;
            let mut head = of_kind.head;
            head.tables.iter_mut().for_each(|table| *table += first);
            if let Some(place) = written.heads.get_mut(of_kind.kind as usize) {
                *place = transmute!(head);
            }
            let tables = of_kind
                .tables
                .iter()
                .map(|pieces| -> Table { transmute!(*pieces) });
            written.tables.extend(tables);
        }
        written
    }
}

impl Hold for WrittenNumbers {
    fn hold(&self, ebpf: &Ebpf) -> Vec<Held> {
        let from = |entries: usize| self.number * entries as u32;
        let [heads, tables] = ["NUMBER_HEADS", "NUMBER_TABLES"];
        vec![
            (heads, hold(ebpf, heads, from(KINDS), &self.heads)),
            (tables, hold(ebpf, tables, from(TABLES), &self.tables)),
        ]
    }
}
