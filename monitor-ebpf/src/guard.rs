//! Refusing what would blind the daemon, where BPF programs are a security module (`protect`).
//!
//! Signals to the daemon, tracing it, and descriptors of its maps, programs and links are for
//! itself and the first process of the host (systemd) only. What the kernel does of itself (the
//! terminal's Ctrl-C, the killer of processes when memory is out) passes by these hooks. A refusal
//! is told through a ring of its own. The kernel asks the next program only where the one before
//! did not refuse (`invoke_bpf_mod_ret` of `arch/x86/net/bpf_jit_comp.c`).

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::{lsm, map};
use aya_ebpf::maps::{HashMap, PerCpuArray, RingBuf};
use aya_ebpf::programs::LsmContext;
use monitor_common::guard::{OBJECTS_MAX, Refusal, What, object};

use crate::layout::*;
use crate::read::{Pointer, Probed, Read, Typed, current};
use crate::task;

/// Signal number, argument of `kill(2)`, that only asks whether the process is there.
const NO_SIGNAL: i32 = 0;
/// `PTRACE_MODE_ATTACH` of `include/linux/ptrace.h`; without it, `/proc` is read.
const ATTACH: u32 = 2;
/// `BPF_LINK_GET_FD_BY_ID` of `include/uapi/linux/bpf.h`.
const LINK_BY_ID: i32 = 30;
const EPERM: i32 = -1;

/// The daemon's maps, programs and links: filled by it before the programs here are attached.
#[map]
static OWN_OBJECTS: HashMap<u64, u8> = HashMap::with_max_entries(OBJECTS_MAX, 0);
/// What was refused: sixty-four refusals between two looks of the daemon, which are a quarter of a
/// second apart at most unless it is behind.
#[map]
static REFUSALS: RingBuf = RingBuf::with_byte_size(4096, 0);
/// Refusals that had no room in the ring: one counter.
#[map]
static REFUSALS_LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// `task_kill(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred *cred)`,
/// 5.10 and later.
#[lsm(hook = "task_kill")]
pub fn guard_signal(ctx: LsmContext) -> i32 {
    let signal: i32 = ctx.arg(2);
    // SAFETY: the argument of the hook is typed.
    let target = unsafe { Typed::get::<u32>(ctx.arg(0), &TASK_TGID) };
    if signal == NO_SIGNAL || target != SELF_PID.load() {
        return 0;
    }
    judge(What::Signal, signal as u32)
}

/// `ptrace_access_check(struct task_struct *child, unsigned int mode)`, 5.10 and later.
#[lsm(hook = "ptrace_access_check")]
pub fn guard_trace(ctx: LsmContext) -> i32 {
    let mode = ctx.arg::<u32>(1);
    // SAFETY: the argument of the hook is typed.
    let target = unsafe { Typed::get::<u32>(ctx.arg(0), &TASK_TGID) };
    if mode & ATTACH == 0 || target != SELF_PID.load() {
        return 0;
    }
    judge(What::Trace, 0)
}

/// `bpf_map(struct bpf_map *map, fmode_t fmode)`, 5.10 and later: a new descriptor of a map.
#[lsm(hook = "bpf_map")]
pub fn guard_map(ctx: LsmContext) -> i32 {
    let map: Pointer = ctx.arg(0);
    // SAFETY: the argument of the hook is typed.
    let id = unsafe { Typed::get::<u32>(map, &BPF_MAP_ID) };
    own_object(What::Map, id)
}

/// `bpf_prog(struct bpf_prog *prog)`, 5.10 and later: a new descriptor of a program.
#[lsm(hook = "bpf_prog")]
pub fn guard_program(ctx: LsmContext) -> i32 {
    let program: Pointer = ctx.arg(0);
    // SAFETY: the argument of the hook is typed, and so is what its member points to.
    let id = unsafe {
        let aux: Pointer = Typed::get(program, &BPF_PROG_AUX);
        Typed::get::<u32>(aux, &BPF_AUX_ID)
    };
    own_object(What::Program, id)
}

/// `bpf(int cmd, union bpf_attr *attr, unsigned int size)`, 5.10 and later.
#[lsm(hook = "bpf")]
pub fn guard_link(ctx: LsmContext) -> i32 {
    if ctx.arg::<i32>(0) != LINK_BY_ID {
        return 0;
    }
    // SAFETY: probed; the kernel's own copy, which begins with the id.
    let id = unsafe { Probed::at::<u32>(ctx.arg(1), 0) };
    own_object(What::Link, id)
}

#[inline(always)]
fn own_object(what: What, id: u32) -> i32 {
    if OWN_OBJECTS.get_ptr(object(what, id)).is_none() {
        return 0;
    }
    judge(what, id)
}

/// Refuses, unless the daemon itself or the first process asks.
#[inline(always)]
fn judge(what: What, number: u32) -> i32 {
    // SAFETY: the current task is typed.
    let (task, pid) = unsafe {
        let task = current();
        (task, Typed::get::<u32>(task, &TASK_TGID))
    };
    if pid == 1 || pid == SELF_PID.load() {
        return 0;
    }
    let Some(mut entry) = REFUSALS.reserve::<Refusal>(0) else {
        if let Some(lost) = REFUSALS_LOST.get_ptr_mut(0) {
            // SAFETY: a checked map value of this CPU.
            unsafe { *lost += 1 };
        }
        return EPERM;
    };
    // SAFETY: as above; what the task points to is typed as well, and the entry is memory for a
    // refusal, all of which is written.
    unsafe {
        let refusal = entry.as_mut_ptr();
        (*refusal).time = bpf_ktime_get_boot_ns();
        (*refusal).start = task::process_start::<Typed>(task);
        (*refusal).cgroup = task::own_cgroup::<Typed>(task);
        (*refusal).pid = pid;
        (*refusal).uid = Typed::get(Typed::get(task, &TASK_CRED), &CRED_UID);
        (*refusal).what = what as u32;
        (*refusal).number = number;
        task::comm(&raw mut (*refusal).comm, task);
    }
    entry.submit(0);
    EPERM
}
