//! Facts about a task.

use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_probe_read_kernel_str};
use monitor_common::{Flags, Task};

use crate::layout::*;
use crate::read::{Pointer, Probed, Read, Typed, current};
use crate::scratch::cpu;

/// `PF_IO_WORKER` of `include/linux/sched.h`.
const PF_IO_WORKER: u32 = 0x10;
/// `enum pid_type`
const PIDTYPE_TGID: u32 = 1;
const PIDTYPE_PGID: u32 = 2;
const PIDTYPE_SID: u32 = 3;
const POINTER: u32 = 8;

/// Whose facts are told.
#[derive(Clone, Copy)]
pub enum Whose {
    /// The current task's.
    Current,
    /// Those of another one, which is in this cgroup.
    Other { cgroup: u64 },
}

/// What facts about a task are read from.
struct Sources {
    leader: Pointer,
    parent: Pointer,
    parent_leader: Pointer,
    parent_signal: Pointer,
    signal: Pointer,
    pid: Pointer,
    cred: Pointer,
    proxy: Pointer,
}

/// Typed reads cost a tenth at run time. But where one gives a pointer, and is from a task itself,
/// the verifier of kernels from 6.2 on searches all of the kernel's types by name, for a quarter of a
/// millisecond, three times at most. It does so each time that a way through the program leads
/// there: so each is read once, and all before the first branch. What is behind another structure
/// than a task costs nothing, and programs that seldom run use probed reads.
///
/// # Safety
/// As for [`describe`].
#[inline(always)]
unsafe fn sources<R: Read>(task: Pointer) -> Sources {
    // SAFETY: the caller's.
    unsafe {
        let parent: Pointer = R::get(task, &TASK_PARENT);
        Sources {
            leader: R::get(task, &TASK_LEADER),
            parent,
            parent_leader: R::get(parent, &TASK_LEADER),
            parent_signal: R::get(parent, &TASK_SIGNAL),
            signal: R::get(task, &TASK_SIGNAL),
            pid: R::get(task, &TASK_THREAD_PID),
            cred: R::get(task, &TASK_CRED),
            proxy: R::get(task, &TASK_NSPROXY),
        }
    }
}

/// Fills all of `out`; returns the [`Flags`] that hold for the task, and its mount namespace.
///
/// # Safety
/// `task` is a `struct task_struct *`, as for [`Read::at`], and the current one if `whose` says so;
/// `out` is memory for a `Task`.
#[inline(always)]
pub unsafe fn describe<R: Read>(out: *mut Task, task: Pointer, whose: Whose) -> (u16, u64) {
    // SAFETY: the caller's; all pointers below come from `task` by typed loads.
    unsafe {
        let from = sources::<R>(task);
        let worker = R::get::<u32>(task, &TASK_FLAGS) & PF_IO_WORKER != 0;
        (*out).start = R::get(from.leader, &TASK_START);
        (*out).pid = R::get(task, &TASK_TGID);
        (*out).tid = R::get(task, &TASK_PID);
        (*out).cpu = cpu();
        (*out).cgroup = match whose {
            Whose::Current => own_cgroup::<R>(task),
            Whose::Other { cgroup } => cgroup,
        };
        credentials::<R>(out, from.cred);
        let home = namespaces::<R>(out, from.proxy);
        audit::<R>(out, task);
        family::<R>(out, &from);
        session::<R>(out, from.signal);
        // A worker's own name says nothing about the program it works for.
        comm(
            &raw mut (*out).comm,
            if worker { from.leader } else { task },
        );
        (if worker { Flags::IO_WORKER } else { 0 }, home)
    }
}

/// Start of a task's group leader: with the pid, the identity of the process.
///
/// # Safety
/// As for [`Read::at`].
#[inline(always)]
pub unsafe fn process_start<R: Read>(task: Pointer) -> u64 {
    // SAFETY: the caller's.
    unsafe { R::get(R::get(task, &TASK_LEADER), &TASK_START) }
}

/// Thread id of a task in the pid namespace of the current one.
///
/// # Safety
/// `task` is typed.
#[inline(always)]
pub unsafe fn id_for_current(task: Pointer) -> u32 {
    // SAFETY: the caller's; the current task is typed.
    unsafe {
        let own: Pointer = Typed::get(current(), &TASK_THREAD_PID);
        number::<Probed>(
            Typed::get(task, &TASK_THREAD_PID),
            Typed::get(own, &PID_LEVEL),
        )
    }
}

/// The task's cgroup in the hierarchy that tells containers apart.
///
/// # Safety
/// As for [`Read::at`].
#[inline(always)]
pub unsafe fn cgroup<R: Read>(task: Pointer) -> u64 {
    // SAFETY: the caller's.
    unsafe {
        let set: Pointer = R::get(task, &TASK_CGROUPS);
        let cgroup: Pointer = if present(&CGROUP_STATE) {
            R::get(R::get(set, &CGROUP_STATE), &CSS_CGROUP)
        } else {
            R::get(set, &CSS_SET_CGROUP)
        };
        let node: Pointer = R::get(cgroup, &CGROUP_KN);
        R::get(node, &KERNFS_ID)
    }
}

/// [`cgroup`] of the current task, which has to be `task`.
///
/// # Safety
/// As for [`Read::at`].
#[inline(always)]
pub unsafe fn own_cgroup<R: Read>(task: Pointer) -> u64 {
    // SAFETY: the caller's; the helper has no precondition.
    unsafe {
        // Programs of all kinds that read with types have the helper, on all kernels.
        if R::TYPED && !present(&CGROUP_STATE) {
            return bpf_get_current_cgroup_id();
        }
        cgroup::<R>(task)
    }
}

#[inline(always)]
unsafe fn credentials<R: Read>(out: *mut Task, cred: Pointer) {
    // SAFETY: as for `describe`.
    unsafe {
        (*out).uid = R::get(cred, &CRED_UID);
        (*out).gid = R::get(cred, &CRED_GID);
        (*out).euid = R::get(cred, &CRED_EUID);
        (*out).egid = R::get(cred, &CRED_EGID);
        (*out).cap_permitted = R::get(cred, &CRED_CAP_PERMITTED);
        (*out).cap_effective = R::get(cred, &CRED_CAP_EFFECTIVE);
        (*out).cap_inheritable = R::get(cred, &CRED_CAP_INHERITABLE);
        (*out).user_ns = R::get(R::get(cred, &CRED_USER_NS), &USER_NS_INUM);
    }
}

/// Ids of the task's relations, in the initial pid namespace and in its own.
#[inline(always)]
unsafe fn family<R: Read>(out: *mut Task, from: &Sources) {
    // SAFETY: as for `describe`.
    unsafe {
        (*out).ppid = R::get(from.parent, &TASK_TGID);
        (*out).parent_start = R::get(from.parent_leader, &TASK_START);

        // That of the leader, by way of what all threads share.
        let process = pid_of::<R>(from.signal, PIDTYPE_TGID);
        let parent = pid_of::<R>(from.parent_signal, PIDTYPE_TGID);
        let group = pid_of::<R>(from.signal, PIDTYPE_PGID);
        let session = pid_of::<R>(from.signal, PIDTYPE_SID);
        (*out).pgid = R::get(group, &PID_NUMBERS);
        (*out).sid = R::get(session, &PID_NUMBERS);

        let level: u32 = R::get(from.pid, &PID_LEVEL);
        (*out).vtid = number::<R>(from.pid, level);
        (*out).vpid = number::<R>(process, level);
        (*out).vpgid = number::<R>(group, level);
        (*out).vsid = number::<R>(session, level);
        (*out).vppid = number::<R>(parent, R::get(parent, &PID_LEVEL));

        let ns: Pointer = Probed::at(from.pid, upid(level) + UPID_NS.load());
        (*out).pid_ns = Probed::get(ns, &PID_NS_INUM);
        let reaper: Pointer = Probed::get(ns, &PID_NS_REAPER);
        (*out).pid_ns_start = Probed::get(reaper, &TASK_START);
    }
}

/// The `struct pid` of a process, by its `signal_struct`, for one of its roles.
#[inline(always)]
unsafe fn pid_of<R: Read>(signal: Pointer, role: u32) -> Pointer {
    // SAFETY: as for `describe`.
    unsafe { R::at(signal, SIGNAL_PIDS.load() + role * POINTER) }
}

/// Id of a `struct pid` at a level of nesting; 0 where it is not visible.
#[inline(always)]
unsafe fn number<R: Read>(pid: Pointer, level: u32) -> u32 {
    // SAFETY: typed at the constant offset, probed at others.
    unsafe {
        if level == 0 {
            return R::get(pid, &PID_NUMBERS);
        }
        if level > R::get(pid, &PID_LEVEL) {
            return 0;
        }
        Probed::at(pid, upid(level))
    }
}

/// Offset of the `struct upid` of a level.
#[inline(always)]
fn upid(level: u32) -> u32 {
    // `MAX_PID_NS_LEVEL` of `include/linux/pid_namespace.h` is 32.
    PID_NUMBERS.load() + (level & 0x3f) * UPID_SIZE.load()
}

#[inline(always)]
unsafe fn namespaces<R: Read>(out: *mut Task, proxy: Pointer) -> u64 {
    // SAFETY: as for `describe`; of an exiting task the proxy may be null, and all read 0.
    unsafe {
        let home: Pointer = R::get(proxy, &NSPROXY_MNT);
        (*out).mnt_ns = Probed::get(home, &MNT_NS_INUM);
        (*out).net_ns = R::get(R::get(proxy, &NSPROXY_NET), &NET_NS_INUM);
        home as u64
    }
}

/// The controlling terminal, encoded as in `/proc/pid/stat` (`new_encode_dev`).
#[inline(always)]
unsafe fn session<R: Read>(out: *mut Task, signal: Pointer) {
    // SAFETY: as for `describe`; without a terminal all read 0.
    unsafe {
        (*out).tty = 0;
        if !present(&TTY_DRIVER_MINOR) || !present(&TTY_DRIVER) {
            return;
        }
        let tty: Pointer = R::get(signal, &SIGNAL_TTY);
        if tty.is_null() {
            return;
        }
        let driver: Pointer = R::get(tty, &TTY_DRIVER);
        let major: u32 = R::get(driver, &TTY_DRIVER_MAJOR);
        let first: u32 = R::get(driver, &TTY_DRIVER_MINOR);
        let minor = first + R::get::<u32>(tty, &TTY_INDEX);
        (*out).tty = minor & 0xff | major << 8 | (minor & !0xff) << 12;
    }
}

#[inline(always)]
unsafe fn audit<R: Read>(out: *mut Task, task: Pointer) {
    // SAFETY: as for `describe`.
    unsafe {
        (*out).loginuid = if present(&TASK_LOGINUID) {
            R::get(task, &TASK_LOGINUID)
        } else {
            u32::MAX
        };
        (*out).audit_session = if present(&TASK_SESSIONID) {
            R::get(task, &TASK_SESSIONID)
        } else {
            u32::MAX
        };
    }
}

/// The kernel's name of a task.
///
/// # Safety
/// `task` is a `struct task_struct *`; `out` is memory of eight bytes' alignment.
#[inline(always)]
pub unsafe fn comm(out: *mut [u8; 16], task: Pointer) {
    // SAFETY: 16 bytes of the record; the helper leaves what is behind the NUL, so zero first.
    unsafe {
        let comm = out.cast::<u64>();
        comm.write_volatile(0);
        comm.add(1).write_volatile(0);
        let from = task.wrapping_add(TASK_COMM.load() as usize);
        bpf_probe_read_kernel_str(comm.cast(), 16, from.cast());
    }
}
