//! Second programs, for kernels on which a task can be preempted amid a program at a tracepoint: the
//! kernel leaves that one out for whoever runs there meanwhile.
//!
//! Whether it is such a kernel is found by running a program. Others have no second ones, which would
//! cost them something at every call.

use aya::maps::Array;
use monitor_common::again::{CALLS, YES};

use super::dispatch::array;
use super::layout::Layout;
use super::object::Object;
use super::provider::{Hook, Part};
use super::{ProbeError, Request};

/// The program that finds it out, until the others are there.
const PROGRAM: &str = "preempted";
const FOUND: &str = "PREEMPTED";
/// Looks at what it has found, each of which is a call at whose end it runs.
const LOOKS: u32 = 4;

/// The program at the end of all calls, and the second there.
const ENDS: &str = "sys_exit";
const ENDS_AGAIN: &str = "sys_exit_again";

/// How many programs an event at a tracepoint is told to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turns {
    One,
    Two,
}

impl Turns {
    /// What the programs are told of it.
    pub(super) const fn number(self) -> u32 {
        matches!(self, Self::Two) as u32
    }

    /// Entries of the map of calls that were told.
    pub(super) const fn places(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => CALLS,
        }
    }

    /// Whether a part is of use.
    pub(super) fn has(self, part: &Part) -> bool {
        self == Self::Two || !part.is_again()
    }

    /// The program that comes after another at the same place, where parts do not say so.
    pub(super) fn after(self, program: &str) -> Option<&'static str> {
        (self == Self::Two && program == ENDS).then_some(ENDS_AGAIN)
    }
}

/// The programs to be kept beside this one.
pub(super) fn kept_with(program: &str) -> Option<&'static str> {
    Turns::Two.after(program)
}

impl Object {
    /// The object for as many turns as this kernel needs. What finds that out stays until
    /// [`Object::finish`], since to come and go at a tracepoint twice takes the kernel long.
    pub(super) fn with_turns(
        mut self,
        request: &Request,
        layout: &Layout,
    ) -> Result<Self, ProbeError> {
        if let Err(reason) = self.attach(PROGRAM, Hook::Tracepoint(ENDS)) {
            tracing::debug!(reason, "nobody knows whether programs can be preempted");
            return Ok(self);
        }
        if !self.is_preempted() {
            return Ok(self);
        }
        tracing::debug!("programs at tracepoints can be preempted here");
        let btf = self.take_types();
        // Its maps are as large as the next one's.
        drop(self);
        Self::load(request, layout, btf, Turns::Two)
    }

    fn is_preempted(&mut self) -> bool {
        let Ok(found) = array::<u64>(&mut self.ebpf, FOUND) else {
            return false;
        };
        let look = |found: &Array<_, u64>| found.get(&0, 0).unwrap_or_default();
        let mut looks = (0..LOOKS).map(|_| look(&found));
        looks.find(|found| *found != 0) == Some(YES)
    }

    /// Takes the program that found it out away.
    pub(super) fn end_search(&mut self) {
        self.detach(PROGRAM);
    }
}
