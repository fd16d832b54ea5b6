//! Whose an event is, the host's or a container's, for the filter (ADR 15).
//!
//! The daemon tells which cgroups are whose. What is in a container's cgroup is the container's. What
//! is in one of the host's is the host's only if it never was anywhere else: a process of a container
//! that moves itself stays the container's. That is known for processes that the daemon found, and
//! handed on at fork; whoever is put into another cgroup takes it along out of a cgroup of the host's
//! only. All that is not known may be either.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use monitor_common::filter::{
    CGROUPS, CGROUPS_PIECE, HOSTS, Scope, cgroup_place, host_key, host_place, scope_of,
};

use crate::layout::*;
use crate::read::{Pointer, Probed, Read, Typed, current, masked};
use crate::task;

/// What cgroups are, each at its place.
#[map]
static SCOPES: Array<[u64; CGROUPS_PIECE]> =
    Array::with_max_entries(CGROUPS / CGROUPS_PIECE as u32, BPF_F_MMAPABLE);
/// Processes that were the host's at all times, each at its place: which, and the cgroup that it was
/// last put into.
#[map]
static HOST_PROCESSES: Array<[u64; 2]> = Array::with_max_entries(HOSTS, BPF_F_MMAPABLE);
/// How often somebody was put into a cgroup. The daemon only reads it, so that nobody else writes.
#[map]
static ATTACHES: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);
/// Whether processes may be taken for the host's, which they may not while the daemon tells of some.
#[map]
static HOSTS_BELIEVED: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Whose the current task is; `R` reads its cgroup.
#[inline(always)]
pub fn scope<R: Read>() -> Scope {
    let task = current();
    // SAFETY: the current task is typed.
    unsafe {
        let cgroup = task::own_cgroup::<R>(task);
        let found = of_cgroup(cgroup);
        if !matches!(found, Scope::Host) {
            return found;
        }
        let key = key::<Typed>(task);
        let Some(entry) = HOST_PROCESSES.get_ptr(host_place(key as u32)) else {
            return Scope::Either;
        };
        let entry = entry.cast::<u64>();
        let first = entry.read_volatile();
        let last = entry.add(1).read_volatile();
        // The place may have been given to another process in between.
        if first != key || last != cgroup || entry.read_volatile() != key {
            return Scope::Either;
        }
        match HOSTS_BELIEVED.get_ptr(0) {
            Some(allowed) if allowed.read_volatile() != 0 => Scope::Host,
            _ => Scope::Either,
        }
    }
}

/// Hands on, to a new process in a cgroup, that its maker is the host's; both by their [`host_key`].
#[inline(always)]
pub fn forked(maker: u64, child: u64, cgroup: u64) {
    // SAFETY: entries are checked map values.
    unsafe {
        let Some(known) = HOST_PROCESSES.get_ptr(host_place(maker as u32)) else {
            return;
        };
        let known = known.cast::<u64>();
        if known.read_volatile() != maker || known.add(1).read_volatile() != cgroup {
            return;
        }
        let Some(entry) = HOST_PROCESSES.get_ptr_mut(host_place(child as u32)) else {
            return;
        };
        let entry = entry.cast::<u64>();
        // Whoever reads meanwhile finds nobody here.
        entry.write_volatile(0);
        entry.add(1).write_volatile(cgroup);
        entry.write_volatile(child);
    }
}

/// Takes note that a process was put into a cgroup: it is in there already. One at a time does that
/// in the whole system (`cgroup_mutex`), and the next waits for this.
#[inline(always)]
pub fn attached(target: Pointer, cgroup: u64) {
    // SAFETY: probed; entries are checked map values.
    unsafe {
        if let Some(count) = ATTACHES.get_ptr_mut(0) {
            *count += 1;
        }
        let key = key::<Probed>(target);
        let Some(entry) = HOST_PROCESSES.get_ptr_mut(host_place(key as u32)) else {
            return;
        };
        let entry = entry.cast::<u64>();
        if entry.read_volatile() != key {
            return;
        }
        if matches!(of_cgroup(entry.add(1).read_volatile()), Scope::Host) {
            entry.add(1).write_volatile(cgroup);
        } else {
            entry.write_volatile(0);
        }
    }
}

#[inline(always)]
fn of_cgroup(cgroup: u64) -> Scope {
    let place = cgroup_place(cgroup);
    let Some(piece) = SCOPES.get_ptr(place / CGROUPS_PIECE as u32) else {
        return Scope::Either;
    };
    let within = masked::<{ CGROUPS_PIECE as i32 - 1 }>(place);
    // SAFETY: a checked map value, of which the mask leaves no more.
    let entry = unsafe { piece.cast::<u64>().add(within as usize).read_volatile() };
    scope_of(entry, cgroup)
}

/// What tells a task's process from all others.
///
/// # Safety
/// As for [`Read::at`].
#[inline(always)]
unsafe fn key<R: Read>(task: Pointer) -> u64 {
    // SAFETY: the caller's.
    unsafe { host_key(R::get(task, &TASK_TGID), task::process_start::<R>(task)) }
}
