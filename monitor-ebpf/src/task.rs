//! Facts about a task.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use monitor_common::{Flags, Task};

use crate::layout::*;
use crate::read::{Pointer, Probed, Read, Typed};
use crate::scratch::cpu;

/// `PF_IO_WORKER` of `include/linux/sched.h`.
const PF_IO_WORKER: u32 = 0x10;
/// `enum pid_type`
const PIDTYPE_PGID: u32 = 2;
const PIDTYPE_SID: u32 = 3;
const POINTER: u32 = 8;

/// Fills all of `out`; returns the [`Flags`] that hold for the task.
///
/// # Safety
/// `task` is a typed `struct task_struct *`; `out` is memory for a `Task`.
#[inline(always)]
pub unsafe fn describe(out: *mut Task, task: Pointer) -> u16 {
    // SAFETY: the caller's; all pointers below come from `task` by typed loads.
    unsafe {
        let leader: Pointer = Typed::get(task, &TASK_LEADER);
        let worker = Typed::get::<u32>(task, &TASK_FLAGS) & PF_IO_WORKER != 0;
        (*out).start = Typed::get(leader, &TASK_START);
        (*out).pid = Typed::get(task, &TASK_TGID);
        (*out).tid = Typed::get(task, &TASK_PID);
        (*out).cgroup = cgroup(task);
        (*out).cpu = cpu();
        credentials(out, task);
        family(out, task, leader);
        namespaces(out, task);
        session(out, task);
        audit(out, task);
        // A worker's own name says nothing about the program it works for.
        comm(out, if worker { leader } else { task });
        if worker { Flags::IO_WORKER } else { 0 }
    }
}

/// Start of a task's group leader: with the pid, the identity of the process.
///
/// # Safety
/// `task` is a typed `struct task_struct *`.
#[inline(always)]
pub unsafe fn process_start(task: Pointer) -> u64 {
    // SAFETY: the caller's.
    unsafe { Typed::get(Typed::get(task, &TASK_LEADER), &TASK_START) }
}

#[inline(always)]
unsafe fn cgroup(task: Pointer) -> u64 {
    // SAFETY: as for `describe`.
    unsafe {
        let set: Pointer = Typed::get(task, &TASK_CGROUPS);
        let cgroup: Pointer = Typed::get(set, &CSS_SET_CGROUP);
        let node: Pointer = Typed::get(cgroup, &CGROUP_KN);
        Typed::get(node, &KERNFS_ID)
    }
}

#[inline(always)]
unsafe fn credentials(out: *mut Task, task: Pointer) {
    // SAFETY: as for `describe`.
    unsafe {
        let cred: Pointer = Typed::get(task, &TASK_CRED);
        (*out).uid = Typed::get(cred, &CRED_UID);
        (*out).gid = Typed::get(cred, &CRED_GID);
        (*out).euid = Typed::get(cred, &CRED_EUID);
        (*out).egid = Typed::get(cred, &CRED_EGID);
        (*out).cap_permitted = Typed::get(cred, &CRED_CAP_PERMITTED);
        (*out).cap_effective = Typed::get(cred, &CRED_CAP_EFFECTIVE);
        (*out).cap_inheritable = Typed::get(cred, &CRED_CAP_INHERITABLE);
        (*out).user_ns = Typed::get(Typed::get(cred, &CRED_USER_NS), &USER_NS_INUM);
    }
}

/// Ids of the task's relations, in the initial pid namespace and in its own.
#[inline(always)]
unsafe fn family(out: *mut Task, task: Pointer, leader: Pointer) {
    // SAFETY: as for `describe`.
    unsafe {
        let parent: Pointer = Typed::get(task, &TASK_PARENT);
        let parent_leader: Pointer = Typed::get(parent, &TASK_LEADER);
        (*out).ppid = Typed::get(parent, &TASK_TGID);
        (*out).parent_start = Typed::get(parent_leader, &TASK_START);

        let signal: Pointer = Typed::get(task, &TASK_SIGNAL);
        let pids = SIGNAL_PIDS.load();
        let group: Pointer = Typed::at(signal, pids + PIDTYPE_PGID * POINTER);
        let session: Pointer = Typed::at(signal, pids + PIDTYPE_SID * POINTER);
        (*out).pgid = Typed::get(group, &PID_NUMBERS);
        (*out).sid = Typed::get(session, &PID_NUMBERS);

        let own: Pointer = Typed::get(task, &TASK_THREAD_PID);
        let level: u32 = Typed::get(own, &PID_LEVEL);
        (*out).vtid = number(own, level);
        (*out).vpid = number(Typed::get(leader, &TASK_THREAD_PID), level);
        (*out).vpgid = number(group, level);
        (*out).vsid = number(session, level);
        let parent_pid: Pointer = Typed::get(parent_leader, &TASK_THREAD_PID);
        (*out).vppid = number(parent_pid, Typed::get(parent_pid, &PID_LEVEL));

        let ns: Pointer = Probed::at(own, upid(level) + UPID_NS.load());
        (*out).pid_ns = Probed::get(ns, &PID_NS_INUM);
        let reaper: Pointer = Probed::get(ns, &PID_NS_REAPER);
        (*out).pid_ns_start = Probed::get(reaper, &TASK_START);
    }
}

/// Id of a `struct pid` at a level of nesting; 0 where it is not visible.
#[inline(always)]
unsafe fn number(pid: Pointer, level: u32) -> u32 {
    // SAFETY: typed at the constant offset, probed at others.
    unsafe {
        if level == 0 {
            return Typed::get(pid, &PID_NUMBERS);
        }
        if level > Typed::get(pid, &PID_LEVEL) {
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
unsafe fn namespaces(out: *mut Task, task: Pointer) {
    // SAFETY: as for `describe`; of an exiting task the proxy may be null, and all read 0.
    unsafe {
        let proxy: Pointer = Typed::get(task, &TASK_NSPROXY);
        (*out).mnt_ns = Probed::get(Typed::get(proxy, &NSPROXY_MNT), &MNT_NS_INUM);
        (*out).net_ns = Typed::get(Typed::get(proxy, &NSPROXY_NET), &NET_NS_INUM);
    }
}

/// The controlling terminal, encoded as in `/proc/pid/stat` (`new_encode_dev`).
#[inline(always)]
unsafe fn session(out: *mut Task, task: Pointer) {
    // SAFETY: as for `describe`; without a terminal all read 0.
    unsafe {
        (*out).tty = 0;
        if !present(&TTY_DRIVER_MINOR) || !present(&TTY_DRIVER) {
            return;
        }
        let tty: Pointer = Typed::get(Typed::get(task, &TASK_SIGNAL), &SIGNAL_TTY);
        if tty.is_null() {
            return;
        }
        let driver: Pointer = Typed::get(tty, &TTY_DRIVER);
        let major: u32 = Typed::get(driver, &TTY_DRIVER_MAJOR);
        let first: u32 = Typed::get(driver, &TTY_DRIVER_MINOR);
        let minor = first + Typed::get::<u32>(tty, &TTY_INDEX);
        (*out).tty = minor & 0xff | major << 8 | (minor & !0xff) << 12;
    }
}

#[inline(always)]
unsafe fn audit(out: *mut Task, task: Pointer) {
    // SAFETY: as for `describe`.
    unsafe {
        (*out).loginuid = if present(&TASK_LOGINUID) {
            Typed::get(task, &TASK_LOGINUID)
        } else {
            u32::MAX
        };
        (*out).audit_session = if present(&TASK_SESSIONID) {
            Typed::get(task, &TASK_SESSIONID)
        } else {
            u32::MAX
        };
    }
}

#[inline(always)]
unsafe fn comm(out: *mut Task, task: Pointer) {
    // SAFETY: 16 bytes of the record; the helper leaves what is behind the NUL, so zero first.
    unsafe {
        let comm = (&raw mut (*out).comm).cast::<u64>();
        comm.write_volatile(0);
        comm.add(1).write_volatile(0);
        let from = task.wrapping_add(TASK_COMM.load() as usize);
        bpf_probe_read_kernel_str(comm.cast(), 16, from.cast());
    }
}
