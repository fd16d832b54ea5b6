//! The syscall tier: one look at the end of every system call, and what to do with the wanted.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::helpers::generated::{bpf_probe_read_user, bpf_task_pt_regs};
use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::syscall::{self, Form, NUMBERS, Operation, SOCKETCALL, SOCKETCALLS, X32_BIT};
use monitor_common::{Flags, Kind};

use crate::again;
use crate::call;
use crate::emit::settle_number;
use crate::file::{self, AT_FDCWD, LinkArguments, OpenArguments};
use crate::layout::*;
use crate::memory;
use crate::name::NOBODY;
use crate::numbers;
use crate::part;
use crate::read::{Pointer, Probed, Read, Typed, current};
use crate::record::{self, Origin, Record};
use crate::scratch::COMMON;

/// What to do at the end of each call; see `monitor_common::syscall`.
#[map]
pub static OPERATIONS: Array<u64> =
    Array::with_max_entries(2 * NUMBERS + SOCKETCALLS, BPF_F_MMAPABLE);

/// What `creat` opens with: `O_CREAT | O_WRONLY | O_TRUNC`.
const CREAT_FLAGS: u32 = 0o1101;
/// `PF_IO_WORKER` and `PF_KTHREAD` of `include/linux/sched.h`.
const WORKERS: u32 = 0x10 | 0x20_0000;
/// Kernel-internal results "begin again", which programs see as `EINTR` if at all.
const ERESTARTSYS: i64 = -512;
const ERESTART_RESTARTBLOCK: i64 = -516;
const EINTR: i64 = -4;
const EBADF: i64 = -9;

/// A finished call, or an operation of `io_uring` in the form of the call that does the same.
#[derive(Clone, Copy)]
pub struct Call {
    /// Number in the x86-64 ABI; before [`Call::is`], of [`current_call`], in that of the call.
    pub number: u32,
    pub ret: i64,
    /// In the order of the call. For `io_uring` ([`Flags::URING`]) see `crate::uring`.
    pub args: [u64; 6],
    /// [`Flags`] for the record.
    pub flags: u16,
}

/// `sys_exit(struct pt_regs *regs, long ret)`, 5.10 and later: goes on in the program for the call's
/// operation (`crate::part`), if the call is wanted. The registers still hold the arguments.
#[btf_tracepoint(function = "sys_exit")]
pub fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let regs = registers_at(&ctx);
    if is_unwanted(regs) {
        return 0;
    }
    let Some(entry) = entry_of(regs, is_compat(current())) else {
        return 0;
    };
    // SAFETY: a checked map value.
    let found = unsafe { entry.read_volatile() };
    if found == 0 || found & syscall::Call::APART != 0 {
        return 0;
    }
    if found & syscall::Call::FAILURES != 0 && result_at(&ctx) >= 0 {
        return 0;
    }
    if found & syscall::Call::UNTOLD != 0 && again::was_call_told(regs) {
        return 0;
    }
    if found & syscall::Call::PASSES != 0 {
        part::passed(&ctx, entry);
    }
    part::told(&ctx, entry)
}

/// The registers with which the call came that a program at its start or end is asked about.
#[inline(always)]
pub fn registers_at(ctx: &BtfTracePointContext) -> Pointer {
    if BARE_CALLS.load() != 0 {
        return registers_of(current());
    }
    ctx.arg(0)
}

/// The call's result, at its end.
#[inline(always)]
pub fn result_at(ctx: &BtfTracePointContext) -> i64 {
    if BARE_CALLS.load() == 0 {
        return ctx.arg(1);
    }
    let task = current();
    // SAFETY: the current task and its registers are typed.
    let result: i64 = unsafe { Typed::get(registers_of(task), &CALL_RESULT) };
    // Where 32-bit programs share the functions (aarch64), they share what leaves the upper half 0.
    if COMPAT_SHARES_FUNCTIONS.load() != 0 && is_compat(task) {
        return i64::from(result as i32);
    }
    result
}

/// `sys_exit(struct pt_regs *regs, long ret)` for calls on memory, with the file behind that: a
/// program of its own, since kernels before 5.13 refuse all that could call back.
#[btf_tracepoint(function = "sys_exit")]
pub fn memory_exit(ctx: BtfTracePointContext) -> i32 {
    mapped(&ctx, memory::mapped)
}

/// The same for kernels before 5.17, which cannot be asked for the file.
#[btf_tracepoint(function = "sys_exit")]
pub fn memory_exit_tree(ctx: BtfTracePointContext) -> i32 {
    mapped(&ctx, memory::mapped_in_tree)
}

#[inline(always)]
fn mapped(ctx: &BtfTracePointContext, file: impl FnOnce(&Call) -> Pointer) -> i32 {
    let Some((entry, call)) = apart(registers_at(ctx), result_at(ctx)) else {
        return 0;
    };
    let kind = Kind::Memory as u32;
    // SAFETY: a checked map value, read anew at each use as above.
    let entry = || unsafe { entry.read_volatile() };
    if (entry() >> 8) as u8 as u32 != kind || !memory::matters(&call) {
        return 0;
    }
    let file = file(&call);
    let report = |record: &Record<COMMON>| {
        call::report_on(record, &call, kind, || (entry() >> 32) as u32, NOBODY, file)
    };
    settle_number(kind, record::with::<Typed>(kind, call.flags, report))
}

/// `sys_enter(struct pt_regs *regs, long id)` for `close`, whose descriptor is gone at its end.
#[btf_tracepoint(function = "sys_enter")]
pub fn close_begin(ctx: BtfTracePointContext) -> i32 {
    let Some((entry, mut call)) = apart(registers_at(&ctx), 0) else {
        return 0;
    };
    let kind = Kind::Call as u32;
    // SAFETY: a checked map value, read anew at each use as above.
    let entry = || unsafe { entry.read_volatile() };
    if (entry() >> 8) as u8 as u32 != kind || own() {
        return 0;
    }
    if call.file().is_null() {
        call.ret = EBADF;
    }
    if numbers::refuses(kind, &call) {
        return 0;
    }
    let report = |record: &Record<COMMON>| {
        call::report(record, &call, kind, || (entry() >> 32) as u32, NOBODY)
    };
    settle_number(kind, record::with::<Typed>(kind, call.flags, report))
}

/// Whether nobody wants the current task's call, whatever its ABI: most calls end here, which is what
/// all programs of a host pay for. To ask the task for the ABI costs as much again.
#[inline(always)]
fn is_unwanted(regs: Pointer) -> bool {
    // SAFETY: the argument of the hook is typed.
    let number = unsafe { Typed::get::<u32>(regs, &CALL_NUMBER) } & !X32_BIT;
    if number >= NUMBERS {
        // Neither has those of the ABI for 32-bit programs, in which the bit means nothing.
        return true;
    }
    // What that call is, its arguments say.
    if number == SOCKETCALL {
        return false;
    }
    let both = [number, number + NUMBERS].map(|index| OPERATIONS.get_ptr(index));
    match both {
        // SAFETY: checked map values.
        [Some(own), Some(compat)] => unsafe { own.read_volatile() | compat.read_volatile() == 0 },
        _ => true,
    }
}

/// Where the table of calls says what to do with the current task's call: a number means nothing before
/// the ABI is known.
#[inline(always)]
fn entry_of(regs: Pointer, compat: bool) -> Option<*const u64> {
    // SAFETY: the argument of the hook is typed.
    let number: u32 = unsafe { Typed::get(regs, &CALL_NUMBER) };
    let number = if compat { number } else { number & !X32_BIT };
    if number >= NUMBERS {
        return None;
    }
    let index = if compat && number == SOCKETCALL {
        // SAFETY: the argument of the hook is typed.
        let which: u32 = unsafe { Typed::get(regs, &COMPAT_ARGUMENT_0) };
        if which >= SOCKETCALLS {
            return None;
        }
        which + 2 * NUMBERS
    } else if compat {
        number + NUMBERS
    } else {
        number
    };
    OPERATIONS.get_ptr(index)
}

/// What to do with the current task's call, at its end, and the call.
#[inline(always)]
pub fn finished(regs: Pointer, ret: i64) -> Option<(*const u64, Call)> {
    let compat = is_compat(current());
    let entry = entry_of(regs, compat)?;
    // SAFETY: a checked map value. It is read anew at each use: the verifier would follow the
    // program once for each value that it was compared with.
    let read = || unsafe { entry.read_volatile() };
    let number = (read() >> 16) as u16;
    // SAFETY: as for `entry_of`.
    let mut call = unsafe { read_call(regs, number.into(), ret, compat) };
    // SAFETY: as for `entry_of`.
    let own: u32 = unsafe { Typed::get(regs, &CALL_NUMBER) };
    let socketcall = compat && own == SOCKETCALL;
    if socketcall || Form::of_entry(read()) == Form::Packed as u8 {
        let packed = call.args[usize::from(socketcall)];
        unpack(&mut call, packed);
    }
    reshape(&mut call, read);
    Some((entry, call))
}

/// [`finished`], if a program apart records the call ([`syscall::Call::APART`]).
#[inline(always)]
fn apart(regs: Pointer, ret: i64) -> Option<(*const u64, Call)> {
    let (entry, call) = finished(regs, ret)?;
    // SAFETY: a checked map value.
    let found = unsafe { entry.read_volatile() };
    (found & syscall::Call::APART != 0).then_some((entry, call))
}

const SHORT: u8 = Form::Short as u8;
const ALONE: u8 = Form::Alone as u8;
const PAGES: u8 = Form::Pages as u8;

/// Gives arguments of older forms of a call the form that they have today.
#[inline(always)]
fn reshape(call: &mut Call, entry: impl Fn() -> u64) {
    match Form::of_entry(entry()) {
        SHORT => shorten(call, (entry() >> 8) as u8 == Kind::Identity as u8),
        ALONE => call.args[1] = 0,
        PAGES => call.args[5] <<= 12,
        _ => {}
    }
}

/// Makes ids of 16 bits what they mean; `all` the arguments are ids, or the second and third one.
#[inline(always)]
fn shorten(call: &mut Call, all: bool) {
    let id = |argument: u64| {
        let id = argument & 0xffff;
        // "No id".
        if id == 0xffff { 0xffff_ffff } else { id }
    };
    if all {
        call.args[0] = id(call.args[0]);
    }
    call.args[1] = id(call.args[1]);
    call.args[2] = id(call.args[2]);
}

/// Replaces the arguments of a call by those in memory.
#[inline(always)]
fn unpack(call: &mut Call, packed: u64) {
    let mut index = 0;
    while index < call.args.len() {
        let mut word = 0u32;
        let from = packed.wrapping_add(4 * index as u64);
        // One by one: there are no more than the call has. SAFETY: the helper fills the bytes or
        // fails, which leaves what is there.
        unsafe { bpf_probe_read_user((&raw mut word).cast(), 4, from as *const _) };
        call.args[index] = word.into();
        index += 1;
    }
}

/// Number, result and arguments of a call.
///
/// # Safety
/// `regs` is as for [`Typed`].
#[inline(always)]
pub unsafe fn read_call(regs: Pointer, number: u32, ret: i64, compat: bool) -> Call {
    let ret = if (ERESTART_RESTARTBLOCK..=ERESTARTSYS).contains(&ret) {
        EINTR
    } else {
        ret
    };
    // SAFETY: the caller's.
    let register = |member| unsafe { Typed::get::<u64>(regs, member) };
    if compat {
        let low = |member| register(member) & 0xffff_ffff;
        let args = [
            low(&COMPAT_ARGUMENT_0),
            low(&COMPAT_ARGUMENT_1),
            low(&COMPAT_ARGUMENT_2),
            low(&COMPAT_ARGUMENT_3),
            low(&COMPAT_ARGUMENT_4),
            low(&COMPAT_ARGUMENT_5),
        ];
        return Call {
            number,
            ret,
            args,
            flags: Flags::COMPAT,
        };
    }
    let args = [
        register(&ARGUMENT_0),
        register(&ARGUMENT_1),
        register(&ARGUMENT_2),
        register(&ARGUMENT_3),
        register(&ARGUMENT_4),
        register(&ARGUMENT_5),
    ];
    Call {
        number,
        ret,
        args,
        flags: 0,
    }
}

/// Whether the call that a task is in is of the ABI for 32-bit programs.
#[inline(always)]
pub fn is_compat(task: Pointer) -> bool {
    // SAFETY: callers have the current task, which is typed.
    unsafe { Typed::get::<u32>(task, &TASK_STATUS) & COMPAT_BITS.load() != 0 }
}

/// The registers with which a task came into the kernel; as for [`Typed`].
#[inline(always)]
pub fn registers_of(task: Pointer) -> Pointer {
    /// `THREAD_SIZE` of `arch/x86/include/asm/page_64_types.h`, and of aarch64 with pages of 4 KiB;
    /// `task_pt_regs` finds them at the end of the stack.
    const STACK: usize = 16 << 10;
    // SAFETY: probed; and the helper takes the current task.
    unsafe {
        if HAVE_TASK_BTF.load() == 0 {
            let stack: Pointer = Probed::get(task, &TASK_STACK);
            return stack.wrapping_add(STACK - REGISTERS_SIZE.load() as usize);
        }
        bpf_task_pt_regs(task.cast_mut().cast()) as Pointer
    }
}

/// For the object tier: the call that the current task is in, unless it works for the kernel or for
/// `io_uring`: number and arguments are 0 then. Only register values: nothing a program could
/// change.
#[inline(always)]
pub fn current_call(ret: i64) -> Call {
    let task = current();
    // SAFETY: the current task is typed, and so are its registers.
    unsafe {
        if Typed::get::<u32>(task, &TASK_FLAGS) & WORKERS != 0 {
            return Call {
                number: 0,
                ret,
                args: [0; 6],
                flags: Flags::OBJECT_TIER,
            };
        }
        let regs = registers_of(task);
        let number = Typed::get::<u32>(regs, &CALL_NUMBER) & !X32_BIT;
        let mut call = read_call(regs, number, ret, is_compat(task));
        call.flags |= Flags::OBJECT_TIER;
        call
    }
}

/// Whether the end of the call that the current task is in makes a record of this kind, of what its
/// registers tell.
#[inline(always)]
pub fn is_told(kind: Kind) -> bool {
    told(kind).is_some()
}

/// The x86-64 number of that call, if its end does.
#[inline(always)]
pub fn told(kind: Kind) -> Option<u32> {
    let task = current();
    let compat = is_compat(task);
    // SAFETY: the current task is typed, and so are its registers.
    let number: u32 = unsafe { Typed::get(registers_of(task), &CALL_NUMBER) };
    let number = if compat { number } else { number & !X32_BIT };
    if number >= NUMBERS {
        return None;
    }
    let index = if compat { number + NUMBERS } else { number };
    let entry = OPERATIONS.get_ptr(index)?;
    // SAFETY: a checked map value.
    let entry = unsafe { entry.read_volatile() };
    let ours = entry & 0xffff == Operation::Registers as u64 | (kind as u64) << 8;
    ours.then_some((entry >> 16) as u16 as u32)
}

/// The current thread, `tgid << 32 | tid`.
#[inline(always)]
pub fn thread() -> u64 {
    aya_ebpf::helpers::bpf_get_current_pid_tgid()
}

impl Call {
    /// Whether `io_uring` was asked.
    #[inline(always)]
    pub fn is_uring(&self) -> bool {
        self.flags & Flags::URING != 0
    }

    /// Whose memory strings and addresses are in.
    #[inline(always)]
    pub fn origin(&self) -> Origin {
        if self.is_uring() {
            Origin::Kernel
        } else {
            Origin::User
        }
    }

    /// The open file that the first argument names; null if there is none.
    #[inline(always)]
    pub fn file(&self) -> Pointer {
        if self.is_uring() {
            self.args[5] as Pointer
        } else {
            file::of_descriptor(self.args[0] as i32)
        }
    }

    /// The open file that the result names; null if there is none.
    #[inline(always)]
    pub fn made(&self) -> Pointer {
        if self.is_uring() {
            self.args[4] as Pointer
        } else {
            file::of_descriptor(self.ret as i32)
        }
    }

    /// Whether the call is `operation`, under the number it has in its ABI; if so `number` becomes
    /// the one of x86-64.
    #[inline(always)]
    pub fn is(&mut self, operation: Operation) -> bool {
        if !is_number_of(operation, self.number, self.flags & Flags::COMPAT != 0) {
            return false;
        }
        self.number = operation.call().number;
        true
    }
}

/// Whether the current task is in one of these calls, on its own account.
#[inline(always)]
pub fn is_in<const COUNT: usize>(operations: [Operation; COUNT]) -> bool {
    let task = current();
    // SAFETY: the current task and its registers are typed.
    let (flags, number) = unsafe {
        (
            Typed::get::<u32>(task, &TASK_FLAGS),
            Typed::get::<u32>(registers_of(task), &CALL_NUMBER) & !X32_BIT,
        )
    };
    let compat = is_compat(task);
    let is = |operation: &Operation| is_number_of(*operation, number, compat);
    flags & WORKERS == 0 && operations.iter().any(is)
}

/// Whether a call has this number, in the ABI for 32-bit programs or in the machine's own.
#[inline(always)]
pub fn is_number_of(operation: Operation, number: u32, compat: bool) -> bool {
    let numbers = if compat {
        &COMPAT_NUMBERS
    } else {
        &OWN_NUMBERS
    };
    let known = numbers.get(operation as usize - 1);
    known.is_some_and(|known| known.load() == number)
}

/// Whether the caller is the daemon.
#[inline(always)]
pub fn own() -> bool {
    is_own(current())
}

/// The same, by the current task.
#[inline(always)]
pub fn is_own(task: Pointer) -> bool {
    // SAFETY: the current task is typed.
    unsafe { Typed::get::<u32>(task, &TASK_TGID) == SELF_PID.load() }
}

const OPEN: u8 = Operation::Open as u8;
const OPEN_AT: u8 = Operation::OpenAt as u8;
const CREAT: u8 = Operation::Creat as u8;
const OPEN_BY_HANDLE: u8 = Operation::OpenByHandle as u8;
const SYMLINK_AT: u8 = Operation::SymlinkAt as u8;
const LINK_AT: u8 = Operation::LinkAt as u8;

#[inline(always)]
pub fn open_arguments(operation: u8, call: &Call) -> OpenArguments {
    let [a, b, c, d, _, _] = call.args;
    match operation {
        OPEN => OpenArguments {
            dirfd: AT_FDCWD,
            path: a,
            flags: b as u32,
            mode: c as u32,
        },
        OPEN_AT => OpenArguments {
            dirfd: a as i32,
            path: b,
            flags: c as u32,
            mode: d as u32,
        },
        CREAT => OpenArguments {
            dirfd: AT_FDCWD,
            path: a,
            flags: CREAT_FLAGS,
            mode: b as u32,
        },
        OPEN_BY_HANDLE => OpenArguments {
            dirfd: a as i32,
            path: 0,
            flags: c as u32,
            mode: 0,
        },
        _ => {
            // `struct open_how` begins with flags and mode, 64 bits each.
            let mut how = [0u64; 2];
            // SAFETY: the helper fills 16 bytes or none.
            unsafe { bpf_probe_read_user((&raw mut how).cast(), 16, c as *const _) };
            OpenArguments {
                dirfd: a as i32,
                path: b,
                flags: how[0] as u32,
                mode: how[1] as u32,
            }
        }
    }
}

#[inline(always)]
pub fn link_arguments(operation: u8, call: &Call) -> LinkArguments {
    let [a, b, c, d, e, _] = call.args;
    let plain = |target, dirfd, path| LinkArguments {
        dirfd,
        path,
        target_dirfd: AT_FDCWD,
        target,
        flags: 0,
    };
    match operation {
        SYMLINK_AT => plain(a, b as i32, c),
        LINK_AT => LinkArguments {
            dirfd: c as i32,
            path: d,
            target_dirfd: a as i32,
            target: b,
            flags: e as u32,
        },
        _ => plain(a, AT_FDCWD, b),
    }
}
