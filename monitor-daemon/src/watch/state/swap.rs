//! Other rules take the place of those in force, between two events.

use super::super::judge::Judge;
use super::super::reload::{Reads, Step, Swap};
use super::State;
use crate::clock;
use monitor_common::Kind;

/// What an event may wait longer than it should, ns: time between two looks.
const LATE_NS: u64 = 1_000_000_000;

impl State {
    /// Does what the reload asks for.
    pub(in crate::watch) fn step(&mut self, step: Step) {
        match step {
            Step::Prepare(reads, done) => {
                self.read_for_rules(reads);
                // Who asked may have been ended by the daemon's end.
                let _gone = done.send(());
            }
            Step::Swap(swap) => self.swap = Some(swap),
            Step::Settle(reads) => self.read_for_rules(reads),
        }
    }

    /// All rings were empty at some time after `since`: nothing is left that happened before that, or
    /// before the moment of the swap.
    pub(in crate::watch) fn drained(&mut self, since: u64) {
        self.reached(self.reached.max(since));
        self.swap_before(u64::MAX);
    }

    /// Puts other rules in force, if a record of this time is one for them.
    pub(super) fn swap_before(&mut self, time: u64) {
        let due = self.swap.as_ref().is_some_and(|swap| swap.at < time);
        if !due || !self.judges.has_room() {
            return;
        }
        if let Some(swap) = self.swap.take() {
            self.swap(*swap);
        }
    }

    fn swap(&mut self, swap: Swap) {
        let Swap {
            judge,
            at: _,
            changed,
            served,
            done,
        } = swap;
        let until = clock::boot_ns() + self.metadata_wait_ns + LATE_NS;
        let until = (!self.waiting.is_empty()).then_some(until);
        self.moves_matter = judge.needs(Kind::CgroupAttach);
        let old: Option<Box<Judge>> = self.judges.replace(judge, self.number, until);
        self.guard.programs_changed(&changed, &served);
        let _gone = done.send(old);
    }

    fn read_for_rules(&mut self, reads: Reads) {
        let Reads {
            environment,
            host_names,
        } = reads;
        self.host.keep_environment(environment);
        self.services.resolve(host_names);
    }
}
