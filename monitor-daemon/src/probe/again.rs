//! Making up for programs that the kernel leaves out, on those on which a task can be preempted amid a
//! program: it leaves that one out for whoever runs there meanwhile. See the kernel side's `again`.
//!
//! Whether it is such a kernel is found by running a program. On others there is none of this, which
//! would cost something at every call.

use aya::maps::Array;
use monitor_common::again::{CALLS, YES};

use super::layout::Layout;
use super::object::Object;
use super::provider::{Hook, Part};
use super::{ProbeError, Request};

/// The program that finds it out, until the others are there.
const PROGRAM: &str = "preempted";
const FOUND: &str = "PREEMPTED";
/// Looks at what it has found, each of which is a call at whose end it runs.
const LOOKS: u32 = 4;

/// The tracepoint at the end of all calls.
const ENDS: &str = "sys_exit";
/// How the sections of programs at the starts and ends of calls begin, and where in that a slash makes
/// their programs ones of the older kind.
const CALLS_SECTION: &[u8] = b"tp_btf/sys_";
const KIND_ENDS: usize = 2;

/// How many programs an event at a tracepoint is told to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turns {
    One,
    Two,
    /// And those at calls are of the older kind, which is not preempted.
    TwoAndBare,
}

impl Turns {
    /// Entries of the map of calls that were told.
    pub(super) const fn places(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two | Self::TwoAndBare => CALLS,
        }
    }

    /// The hook of a part, as people are told.
    pub(super) fn name(self, part: &Part) -> String {
        let name = part.name();
        match (self, name.strip_prefix("tp_btf/sys_")) {
            (Self::TwoAndBare, Some(which)) => format!("tracepoint/raw_syscalls/sys_{which}"),
            _ => name,
        }
    }

    /// Whether a part is of use.
    pub(super) fn has(self, part: &Part) -> bool {
        match part.hook {
            Hook::Bare(_) => self == Self::TwoAndBare,
            // Forks have no such program.
            _ if part.is_again() && matches!(part.program, "exec_again" | "exit_again") => {
                self == Self::Two
            }
            _ => self != Self::One || !part.is_again(),
        }
    }
}

/// Makes the programs at the starts and ends of calls of the older kind, by the names of their
/// sections, and of those with their relocations, which end as these do.
pub(super) fn make_bare(object: &mut [u8]) {
    let windows = object.windows(CALLS_SECTION.len()).enumerate();
    let found = windows.filter(|(_, window)| *window == CALLS_SECTION);
    let found: Vec<usize> = found.map(|(at, _)| at + KIND_ENDS).collect();
    for at in found {
        if let Some(byte) = object.get_mut(at) {
            *byte = b'/';
        }
    }
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
        let Some(btf) = self.take_types() else {
            return Ok(self);
        };
        // Its maps are as large as the next one's.
        drop(self);
        let mut bare = Self::load(request, layout, btf, Turns::TwoAndBare)?;
        // It may take what a service is not allowed, or tracefs, which is not mounted everywhere.
        let Err(reason) = bare.attach(PROGRAM, Hook::Tracepoint(ENDS)) else {
            return Ok(bare);
        };
        tracing::warn!(
            reason,
            "some calls will be missed on a busy CPU: this kernel lets tasks be preempted amid programs, \
             and the kind of program by which that is made up for cannot be attached; it takes tracefs at \
             /sys/kernel/tracing, perf_event_open(2), and CAP_SYS_ADMIN where \
             kernel.perf_event_paranoid is more than 2"
        );
        let Some(btf) = bare.take_types() else {
            return Ok(bare);
        };
        drop(bare);
        Self::load(request, layout, btf, Turns::Two)
    }

    fn is_preempted(&mut self) -> bool {
        let Some(Ok(found)) = self.ebpf.map(FOUND).map(Array::try_from) else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_at_calls_are_of_the_older_kind_and_keep_their_names() {
        let mut names =
            *b"\0.reltp_btf/sys_exit\0tp_btf/sys_enter\0tp_btf/sched_process_exec\0sys_exit\0";
        make_bare(&mut names);
        let expected =
            b"\0.reltp/btf/sys_exit\0tp/btf/sys_enter\0tp_btf/sched_process_exec\0sys_exit\0";
        assert_eq!(&names, expected);
    }
}
