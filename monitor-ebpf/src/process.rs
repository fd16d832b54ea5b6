//! Processes: exec, fork, exit, ptrace.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use aya_ebpf::macros::{btf_tracepoint, map, tracepoint};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::{BtfTracePointContext, TracePointContext};
use monitor_common::filter::host_key;
use monitor_common::loss::LossReason;
use monitor_common::process::{ExeFlags, Exec, Exit, Fork, Ptrace};
use monitor_common::syscall::Operation;
use monitor_common::{ARGS_MAX, ENV_MAX, Flags, Kind, Slot};

use crate::address;
use crate::again;
use crate::call;
use crate::emit::{Lane, Outcome, settle};
use crate::file::{self, AT_FDCWD};
use crate::layout::*;
use crate::name::{self, NOBODY};
use crate::numbers;
use crate::object::link;
use crate::read::{Pointer, Probed, Read, Typed, current};
use crate::record::{self, Origin, Record};
use crate::scope;
use crate::scratch::{self, COMMON, Turn};
use crate::serve;
use crate::syscall::{self, Call, current_call};
use crate::task::{self, Whose};
use crate::walk;

const SYS_EXECVE: u32 = 59;
const SYS_EXECVEAT: u32 = 322;
/// `SIGNAL_GROUP_EXIT` of `include/linux/sched/signal.h`.
const SIGNAL_GROUP_EXIT: u32 = 4;
/// `CLONE_NEW*` of `include/uapi/linux/sched.h`: time, mount, cgroup, uts, ipc, user, pid, net.
const NAMESPACES: u64 = 0x7e02_0080;

/// What the daemon changes while the programs run: 1 if the environment goes into exec records.
#[map]
static SWITCHES: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

type LargeRecord = Record<{ scratch::LARGE }>;

/// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, 5.10
/// and later: the new program is in place and has not run yet.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn exec(ctx: BtfTracePointContext) -> i32 {
    if again::was_told(Kind::Exec, ctx.arg(0)) {
        return 0;
    }
    let outcome = exec_by_binary(ctx.arg(0), ctx.arg(2), Turn::First);
    again::told(Kind::Exec, ctx.arg(0));
    settle(Kind::Exec, outcome)
}

/// The second at the same place, where the next is not to be had: [`again`].
#[btf_tracepoint(function = "sched_process_exec")]
pub fn exec_again(ctx: BtfTracePointContext) -> i32 {
    if again::was_told(Kind::Exec, ctx.arg(0)) {
        return 0;
    }
    let outcome = exec_by_binary(ctx.arg(0), ctx.arg(2), Turn::Again);
    settle(Kind::Exec, outcome)
}

/// The second at the same place, which cannot be preempted: [`again`].
#[tracepoint(category = "sched", name = "sched_process_exec")]
pub fn exec_bare(ctx: TracePointContext) -> u32 {
    let task = current();
    if again::was_told(Kind::Exec, task) {
        return 0;
    }
    let outcome = exec_by_task(&ctx, task);
    again::told(Kind::Exec, task);
    settle(Kind::Exec, outcome);
    0
}

/// What an exec is told by, besides its task.
struct New {
    /// The executable.
    file: Pointer,
    /// Its name, as the kernel has it.
    name: Pointer,
    /// x86-64 number of the call.
    call: u32,
}

#[inline(always)]
fn exec_by_binary(task: Pointer, bprm: Pointer, turn: Turn) -> Outcome {
    // SAFETY: an argument of the hook is typed.
    let new = unsafe {
        // `execveat` on a descriptor makes up a path; otherwise the two calls leave no difference.
        let by_descriptor =
            present(&BPRM_FDPATH) && !Typed::get::<Pointer>(bprm, &BPRM_FDPATH).is_null();
        New {
            file: Typed::get(bprm, &BPRM_FILE),
            name: Typed::get(bprm, &BPRM_FILENAME),
            call: exec_number(by_descriptor),
        }
    };
    exec_record::<Typed>(task, &new, turn)
}

/// The tracepoint's own record has the name, the task has the executable.
#[inline(always)]
fn exec_by_task(ctx: &TracePointContext, task: Pointer) -> Outcome {
    if !present(&MM_EXE_FILE) || !present(&EXEC_NAME_PLACE) {
        return Err(LossReason::NoProgram);
    }
    let record: Pointer = ctx.as_ptr().cast_const().cast();
    // SAFETY: the current task is typed; the rest is probed.
    let new = unsafe {
        let mm: Pointer = Typed::get(task, &TASK_MM);
        // How far into the record it is, below its length.
        let place: u32 = Probed::get(record, &EXEC_NAME_PLACE);
        New {
            file: Probed::get(mm, &MM_EXE_FILE),
            name: record.wrapping_add(place as usize & 0xffff),
            call: exec_number(current_call(0).is(Operation::ExecveAt)),
        }
    };
    exec_record::<Probed>(task, &new, Turn::Again)
}

#[inline(always)]
fn exec_number(is_at: bool) -> u32 {
    if is_at { SYS_EXECVEAT } else { SYS_EXECVE }
}

/// `R` reads the executable.
#[inline(always)]
fn exec_record<R: Read>(task: Pointer, new: &New, turn: Turn) -> Outcome {
    let slot = scratch::large(turn)?;
    // SAFETY: the task is typed, and the file as `R` wants it; the slot is exec's own.
    unsafe {
        let record: LargeRecord = Record::new::<Typed>(slot, Kind::Exec as u32, task);
        let body = record.body::<Exec>();
        executable::<R>(body, new.file, task);
        let place = walk::place_at::<R>(new.file, FILE_PATH.load());
        let end = record.place_here(Slot::Resolved, place);
        if end != walk::End::PSEUDO {
            reach(body, place.mnt as Pointer, record.walk());
        } else if file::is_memfd(record.walk()) {
            (*body).exe_flags |= ExeFlags::MEMFD;
        }
        record.string_here(Slot::Passed as u32, Origin::Kernel, new.name);
        record.place_here(Slot::Cwd, walk::cwd());
        (*body).syscall = new.call;
        (*body).dirfd = AT_FDCWD;
        (*body).ret = 0;
        vectors(&record, body, task);
        record.original_here(place);
        record.emit(Kind::Exec)
    }
}

/// Whose tree of mounts the executable's path is one in, right after the walk to it.
#[inline(always)]
unsafe fn reach(body: *mut Exec, mnt: Pointer, walk: *const walk::Walk) {
    /// `MNT_NS_ANON_INO` of `include/linux/nsfs.h`, since 6.18; before, such namespaces have none.
    const ANONYMOUS: u32 = 0xefff_fff7;
    // SAFETY: probed; the caller's for the rest.
    unsafe {
        let namespace: Pointer =
            Probed::get(mnt.wrapping_sub(MOUNT_MNT.load() as usize), &MOUNT_NS);
        let tree: u32 = Probed::get(namespace, &MNT_NS_INUM);
        if tree == 0 || tree == ANONYMOUS {
            (*body).exe_flags |= ExeFlags::UNREACHABLE;
            return;
        }
        (*body).tree = tree;
        let owner: Pointer = Probed::get(namespace, &MNT_NS_USER_NS);
        (*body).tree_owner = Probed::get(owner, &USER_NS_INUM);
        if walk::is_of_file_system(walk) {
            (*body).exe_flags |= ExeFlags::PLAIN;
        }
    }
}

/// Facts about the file of a new program, which `R` reads.
#[inline(always)]
unsafe fn executable<R: Read>(body: *mut Exec, file: Pointer, task: Pointer) {
    // SAFETY: `file` is as `R` wants it, and `task` typed.
    unsafe {
        let inode: Pointer = R::get(file, &FILE_INODE);
        let (number, dev) = file::identity::<R>(inode);
        (*body).inode = number;
        (*body).dev = dev;
        // The upper bit of the nanoseconds is the kernel's own since 6.13.
        let ns = |sec: u64, nsec: u32| sec * 1_000_000_000 + u64::from(nsec & 0x7fff_ffff);
        (*body).ctime = ns(
            R::get(inode, &INODE_CTIME_SEC),
            R::get(inode, &INODE_CTIME_NSEC),
        );
        (*body).mtime = ns(
            R::get(inode, &INODE_MTIME_SEC),
            R::get(inode, &INODE_MTIME_NSEC),
        );
        let mut flags = file::layer::<R>(inode);
        if writable::<R>(inode, task) {
            flags |= ExeFlags::WRITABLE;
        }
        (*body).exe_flags = flags;
        (*body).tree = 0;
        (*body).tree_owner = 0;
    }
}

/// Whether the task may write the file, by mode bits, owner and capability: what
/// `inode_permission` decides for most files, leaving out ACLs and read-only mounts.
#[inline(always)]
unsafe fn writable<R: Read>(inode: Pointer, task: Pointer) -> bool {
    const S_IMMUTABLE: u32 = 1 << 3;
    const CAP_DAC_OVERRIDE: u64 = 1 << 1;
    // SAFETY: as for `executable`.
    unsafe {
        if R::get::<u32>(inode, &INODE_FLAGS) & S_IMMUTABLE != 0 {
            return false;
        }
        let cred: Pointer = Typed::get(task, &TASK_CRED);
        let mode: u16 = R::get(inode, &INODE_MODE);
        let bit = if R::get::<u32>(inode, &INODE_UID) == Typed::get(cred, &CRED_FSUID) {
            0o200
        } else if R::get::<u32>(inode, &INODE_GID) == Typed::get(cred, &CRED_FSGID) {
            0o020
        } else {
            0o002
        };
        mode & bit != 0 || Typed::get::<u64>(cred, &CRED_CAP_EFFECTIVE) & CAP_DAC_OVERRIDE != 0
    }
}

/// Arguments and, if wanted, environment: from the new stack, which no program has touched yet.
#[inline(always)]
unsafe fn vectors(record: &LargeRecord, body: *mut Exec, task: Pointer) {
    // SAFETY: `task` is typed.
    unsafe {
        let mm: Pointer = Typed::get(task, &TASK_MM);
        let start: u64 = Typed::get(mm, &MM_ARG_START);
        let len = Typed::get::<u64>(mm, &MM_ARG_END).wrapping_sub(start);
        (*body).args_len = len as u32;
        let read = if len <= ARGS_MAX as u64 {
            record.bytes::<ARGS_MAX>(Slot::Args, start, len)
        } else {
            const HALF: usize = ARGS_MAX / 2;
            record.flag(Flags::ARGS_TRUNCATED);
            let tail = start + len - HALF as u64;
            record
                .bytes::<HALF>(Slot::Args, start, HALF as u64)
                .and_then(|()| record.bytes::<HALF>(Slot::Args, tail, HALF as u64))
        };
        if read.is_err() {
            record.flag(Flags::ARGS_TRUNCATED);
        }
        let start: u64 = Typed::get(mm, &MM_ENV_START);
        let len = Typed::get::<u64>(mm, &MM_ENV_END).wrapping_sub(start);
        (*body).env_len = len as u32;
        if wants_environment() {
            let read = record.bytes::<ENV_MAX>(Slot::Env, start, len);
            if read.is_err() || len > ENV_MAX as u64 {
                record.flag(Flags::ENV_TRUNCATED);
            }
        }
    }
}

/// Whether the environment goes into exec records.
#[inline(always)]
fn wants_environment() -> bool {
    // SAFETY: a checked map value.
    SWITCHES
        .get_ptr(0)
        .is_some_and(|wanted| unsafe { wanted.read_volatile() } != 0)
}

/// A failed `execve` or `execveat`, at its exit.
#[inline(always)]
pub fn exec_failed(record: &Record<COMMON>, call: &Call, dirfd: i32, path: u64) -> Outcome {
    let body = record.body::<Exec>();
    // SAFETY: memory of the record.
    unsafe {
        (*body).ret = call.ret;
        (*body).inode = 0;
        (*body).ctime = 0;
        (*body).mtime = 0;
        (*body).dev = 0;
        (*body).exe_flags = 0;
        (*body).syscall = call.number;
        (*body).dirfd = dirfd;
        (*body).args_len = 0;
        (*body).env_len = 0;
        (*body).tree = 0;
        (*body).tree_owner = 0;
    }
    file::passed(record, Origin::User, path as Pointer, dirfd);
    // Trying names that are not there is cheap, and must not push out programs that do run.
    record.emit_into(Lane::Control, Kind::Exec as u32)
}

/// `sched_process_fork(struct task_struct *parent, struct task_struct *child)`, 5.10 and later:
/// the child is complete and has not run yet.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn fork(ctx: BtfTracePointContext) -> i32 {
    if is_thread(ctx.arg(1)) {
        return 0;
    }
    let outcome = fork_record(ctx.arg(0), ctx.arg(1));
    again::told(Kind::Fork, ctx.arg(1));
    settle(Kind::Fork, outcome)
}

/// The second at the same place: [`again`].
#[btf_tracepoint(function = "sched_process_fork")]
pub fn fork_again(ctx: BtfTracePointContext) -> i32 {
    if is_thread(ctx.arg(1)) || again::was_told(Kind::Fork, ctx.arg(1)) {
        return 0;
    }
    settle(Kind::Fork, fork_record(ctx.arg(0), ctx.arg(1)))
}

/// Whether a task is not the first of its process.
#[inline(always)]
fn is_thread(task: Pointer) -> bool {
    // SAFETY: an argument of a hook is typed.
    unsafe { Typed::get::<u32>(task, &TASK_PID) != Typed::get::<u32>(task, &TASK_TGID) }
}

#[inline(always)]
fn fork_record(caller: Pointer, child: Pointer) -> Outcome {
    // SAFETY: arguments of the hook are typed.
    unsafe {
        let caller_pid: u32 = Typed::get(caller, &TASK_TGID);
        let caller_start = task::process_start::<Typed>(caller);
        let cgroup = task::cgroup::<Typed>(child);
        // The first of its process is its leader.
        let key = host_key(
            Typed::get(child, &TASK_TGID),
            Typed::get(child, &TASK_START),
        );
        scope::forked(host_key(caller_pid, caller_start), key, cgroup);
        let child = (child, Whose::Other { cgroup });
        record::fixed(Kind::Fork, child, |body: *mut Fork| {
            (*body).caller_pid = caller_pid;
            (*body).caller_tid = Typed::get(caller, &TASK_PID);
            (*body).caller_start = caller_start;
        })
    }
}

/// `task_newtask(struct task_struct *task, u64 clone_flags)`, 5.10 and later: what follows cannot
/// fail.
#[btf_tracepoint(function = "task_newtask")]
pub fn clone(ctx: BtfTracePointContext) -> i32 {
    let flags: u64 = ctx.arg(1);
    if flags & NAMESPACES == 0 {
        return 0;
    }
    // SAFETY: the argument of the hook is typed.
    let id = unsafe { task::id_for_current(ctx.arg(0)) };
    let mut call = current_call(i64::from(id));
    if !call.is(Operation::Clone) && !call.is(Operation::Clone3) {
        call.number = 0;
    }
    call.args = [flags, 0, 0, 0, 0, 0];
    call.flags &= !Flags::OBJECT_TIER;
    let report = |record: &_| call::report(record, &call, Kind::Clone as u32, || 0, NOBODY);
    let outcome = record::with::<Probed>(Kind::Clone as u32, call.flags, report);
    settle(Kind::Clone, outcome)
}

/// Whether a finished `clone` or `clone3` asked for new namespaces, and this is the caller's end of
/// it. The arguments become what the record has of them.
#[inline(always)]
pub fn has_namespaces(call: &mut Call, by_structure: bool) -> bool {
    /// `CSIGNAL`: the first byte of the flags of `clone` is a signal.
    const SIGNAL: u64 = 0xff;
    let mut flags = call.args[0] & !SIGNAL;
    if by_structure {
        // `struct clone_args` begins with the flags.
        let from = call.args[0] as *const _;
        // SAFETY: the helper fills the bytes or fails, which leaves what is there.
        unsafe { bpf_probe_read_user((&raw mut flags).cast(), 8, from) };
    }
    call.args = [flags, 0, 0, 0, 0, 0];
    call.ret != 0 && flags & NAMESPACES != 0
}

/// `sched_process_exit(struct task_struct *p)`, 5.10 and later; since 6.16 `bool group_dead` too.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn exit(ctx: BtfTracePointContext) -> i32 {
    if again::was_told(Kind::Exit, ctx.arg(0)) {
        return 0;
    }
    forget();
    // The second need not ask what the kernel says of it here.
    if is_alive(&ctx) {
        again::told(Kind::Exit, ctx.arg(0));
        return 0;
    }
    let outcome = exit_record(ctx.arg(0));
    again::told(Kind::Exit, ctx.arg(0));
    settle(Kind::Exit, outcome)
}

/// The second at the same place, where the next is not to be had: [`again`].
#[btf_tracepoint(function = "sched_process_exit")]
pub fn exit_again(ctx: BtfTracePointContext) -> i32 {
    forget();
    if again::was_told(Kind::Exit, ctx.arg(0)) || is_alive(&ctx) {
        return 0;
    }
    settle(Kind::Exit, exit_record(ctx.arg(0)))
}

/// The second at the same place, which cannot be preempted: [`again`].
#[tracepoint(category = "sched", name = "sched_process_exit")]
pub fn exit_bare(_ctx: TracePointContext) -> u32 {
    let task = current();
    if again::was_told(Kind::Exit, task) {
        return 0;
    }
    forget();
    let is_process = !has_live(task);
    let outcome = is_process.then(|| exit_record(task));
    again::told(Kind::Exit, task);
    if let Some(outcome) = outcome {
        settle(Kind::Exit, outcome);
    }
    0
}

/// Forgets what is noted for calls of the thread that ends: each call's end takes its notes out, but
/// its program may have been left out then.
#[inline(always)]
fn forget() {
    address::drop_all();
    serve::forget();
    link::forget();
    name::forget(syscall::thread());
}

/// Whether the process goes on without the task that ends.
#[inline(always)]
fn is_alive(ctx: &BtfTracePointContext) -> bool {
    if EXIT_SAYS_GROUP_DEAD.load() != 0 {
        return ctx.arg::<u64>(1) & 0xff == 0;
    }
    has_live(ctx.arg(0))
}

/// The same by the count of the process's tasks, which was counted down before the hook: two that end
/// at once may both see that none is left.
#[inline(always)]
fn has_live(task: Pointer) -> bool {
    // SAFETY: an argument of the hook or the current task is typed.
    unsafe { Typed::get::<u32>(Typed::get(task, &TASK_SIGNAL), &SIGNAL_LIVE) != 0 }
}

#[inline(always)]
fn exit_record(task: Pointer) -> Outcome {
    // SAFETY: the argument of the hook is typed, and the task that ends itself.
    unsafe {
        record::fixed(Kind::Exit, (task, Whose::Current), |body: *mut Exit| {
            // As `wait_task_zombie` of `kernel/exit.c` reports it.
            let signal: Pointer = Typed::get(task, &TASK_SIGNAL);
            (*body).status = if Typed::get::<u32>(signal, &SIGNAL_FLAGS) & SIGNAL_GROUP_EXIT != 0 {
                Typed::get(signal, &SIGNAL_GROUP_EXIT_CODE)
            } else {
                Typed::get(Typed::get(task, &TASK_LEADER), &TASK_EXIT_CODE)
            };
            (*body).reserved = 0;
        })
    }
}

/// A `ptrace`, at its exit.
#[inline(always)]
pub fn ptrace(record: &Record<COMMON>, call: &Call) -> Outcome {
    let body = record.body::<Ptrace>();
    // SAFETY: memory of the record.
    unsafe {
        (*body).ret = call.ret;
        (*body).request = call.args[0];
        (*body).target = call.args[1] as i32;
        (*body).addr = call.args[2];
        (*body).data = call.args[3];
        (*body).reserved = 0;
    }
    if numbers::leaves_out(record, Kind::Ptrace, call) {
        return Ok(());
    }
    record.emit(Kind::Ptrace)
}
