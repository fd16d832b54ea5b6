//! What the end of a wanted call goes on in: a program for each family of operations, which the
//! program at the end of all calls jumps to.
//!
//! In one program, the verifier would follow all that records have in common once for each way in
//! which the families differ. Only the parts that are of use are loaded.

use core::arch::asm;

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::ProgramArray;
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::Kind;
use monitor_common::loss::LossReason;
use monitor_common::syscall::{self, Operation, PARTS, PASSED_PART};

use crate::address;
use crate::emit::{settle_code, settle_number};
use crate::filter::{self, Asked};
use crate::memory;
use crate::message;
use crate::name;
use crate::network;
use crate::numbers;
use crate::passed;
use crate::process;
use crate::read::{Read, Typed};
use crate::record;
use crate::serve;
use crate::syscall::{Call, finished, open_arguments, own, registers_at, result_at, thread};
use crate::tell;

/// The parts, by [`Operation`]; and at [`PASSED_PART`] what looks for open files that come.
#[map]
static CALL_PARTS: ProgramArray = ProgramArray::with_max_entries(PARTS, 0);

/// `bpf` of x86-64.
const BPF: u32 = 321;

/// Goes on in the part for the call's operation. Comes back only if there is none: a loss, unless
/// nobody wants the call any more.
#[inline(always)]
pub fn told(ctx: &BtfTracePointContext, entry: *const u64) -> i32 {
    // SAFETY: a checked map value.
    let operation = || u32::from(unsafe { entry.read_volatile() } as u8);
    if operation() == OPEN_AT.into() {
        jump_there::<{ OPEN_AT as i32 }>(ctx);
    }
    jump(ctx, operation());
    if operation() != 0 {
        // SAFETY: as above.
        let kind = (unsafe { entry.read_volatile() } >> 8) as u8;
        settle_number(kind.into(), Err(LossReason::NoProgram));
    }
    0
}

/// Looks for open files that come by the call, then goes on as [`told`].
#[inline(always)]
pub fn passed(ctx: &BtfTracePointContext, entry: *const u64) {
    jump(ctx, PASSED_PART);
    // SAFETY: a checked map value.
    if unsafe { entry.read_volatile() } & syscall::Call::PASSES != 0 {
        settle_number(Kind::Passed as u32, Err(LossReason::NoProgram));
    }
}

/// Ends this program, unless there is no part.
#[inline(always)]
fn jump(ctx: &BtfTracePointContext, part: u32) {
    // SAFETY: nothing of this program is to be dropped.
    unsafe { CALL_PARTS.tail_call(ctx, part) };
}

/// The same for one part: by a number that is written in the instruction the kernel makes it a jump
/// like any other, where one by a register costs as much as 20 ns on processors that guess.
#[inline(always)]
fn jump_there<const PART: i32>(ctx: &BtfTracePointContext) {
    /// `bpf_tail_call`.
    const TAIL_CALL: i32 = 12;
    // SAFETY: as above.
    unsafe {
        asm!(
            "r1 = {ctx}",
            "r2 = {parts}",
            "r3 = {part}",
            "call {jump}",
            ctx = in(reg) ctx.as_ptr(),
            parts = in(reg) &raw const CALL_PARTS,
            part = const PART,
            jump = const TAIL_CALL,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
        );
    }
}

macro_rules! parts {
    ($($(#[doc = $doc:literal])* $program:ident $family:ident;)*) => {
        $($(#[doc = $doc])*
        #[btf_tracepoint(function = "sys_exit")]
        pub fn $program(ctx: BtfTracePointContext) -> i32 {
            let Some((entry, call)) = finished(registers_at(&ctx), result_at(&ctx)) else {
                return 0;
            };
            // SAFETY: a checked map value, read anew at each use as in `syscall`.
            $family::<Typed>(|| unsafe { entry.read_volatile() }, &call)
        })*
    };
}

parts! {
    /// Opens.
    call_open opens;
    /// `connect`, `socket`, and second descriptors.
    call_socket sockets;
    /// `accept`, `listen`, `bind`.
    call_serve serves;
    /// Messages to an address.
    call_send sends;
    /// Messages that come.
    call_receive receives;
    /// Links.
    call_link links;
    /// Execs and clones that fail, `ptrace`.
    call_process processes;
    /// All calls that their registers tell.
    call_registers registers;
}

/// Open files that come.
#[btf_tracepoint(function = "sys_exit")]
pub fn call_passed(ctx: BtfTracePointContext) -> i32 {
    let Some((entry, call)) = finished(registers_at(&ctx), result_at(&ctx)) else {
        return 0;
    };
    passed::look(&call);
    // The call may be wanted for nothing else.
    told(&ctx, entry)
}

const OPEN: u8 = Operation::Open as u8;
const OPEN_AT: u8 = Operation::OpenAt as u8;
const OPEN_AT2: u8 = Operation::OpenAt2 as u8;
const CREAT: u8 = Operation::Creat as u8;
const OPEN_BY_HANDLE: u8 = Operation::OpenByHandle as u8;
const CONNECT: u8 = Operation::Connect as u8;
const SOCKET: u8 = Operation::Socket as u8;
const SYMLINK: u8 = Operation::Symlink as u8;
const SYMLINK_AT: u8 = Operation::SymlinkAt as u8;
const LINK: u8 = Operation::Link as u8;
const LINK_AT: u8 = Operation::LinkAt as u8;
const PTRACE: u8 = Operation::Ptrace as u8;
const EXECVE: u8 = Operation::Execve as u8;
const EXECVE_AT: u8 = Operation::ExecveAt as u8;
const DUP: u8 = Operation::Dup as u8;
const DUP2: u8 = Operation::Dup2 as u8;
const DUP3: u8 = Operation::Dup3 as u8;
const FCNTL: u8 = Operation::Fcntl as u8;
const SEND_TO: u8 = Operation::SendTo as u8;
const SEND_MSG: u8 = Operation::SendMsg as u8;
const SEND_MMSG: u8 = Operation::SendMmsg as u8;
const ACCEPT: u8 = Operation::Accept as u8;
const ACCEPT4: u8 = Operation::Accept4 as u8;
const LISTEN: u8 = Operation::Listen as u8;
const BIND: u8 = Operation::Bind as u8;
const RECV_FROM: u8 = Operation::RecvFrom as u8;
const RECV_MSG: u8 = Operation::RecvMsg as u8;
const RECV_MMSG: u8 = Operation::RecvMmsg as u8;
const CLONE: u8 = Operation::Clone as u8;
const CLONE3: u8 = Operation::Clone3 as u8;
const REGISTERS: u8 = Operation::Registers as u8;

/// Reports a finished call of any family, if there is something to report; `R` reads the task, and
/// `entry` is what `monitor_common::syscall::Call::entry` tells of the call.
#[inline(always)]
pub fn dispatch<R: Read>(entry: impl Fn() -> u64, call: &Call) -> i32 {
    match entry() as u8 {
        OPEN | OPEN_AT | OPEN_AT2 | CREAT | OPEN_BY_HANDLE => opens::<R>(entry, call),
        CONNECT | SOCKET | DUP | DUP2 | DUP3 | FCNTL => sockets::<R>(entry, call),
        ACCEPT | ACCEPT4 | LISTEN | BIND => serves::<R>(entry, call),
        SEND_TO | SEND_MSG | SEND_MMSG => sends::<R>(entry, call),
        RECV_FROM | RECV_MSG | RECV_MMSG => receives::<R>(entry, call),
        SYMLINK | SYMLINK_AT | LINK | LINK_AT => links::<R>(entry, call),
        PTRACE | EXECVE | EXECVE_AT | CLONE | CLONE3 => processes::<R>(entry, call),
        _ => registers::<R>(entry, call),
    }
}

#[inline(always)]
fn opens<R: Read>(entry: impl Fn() -> u64, call: &Call) -> i32 {
    let operation = || entry() as u8;
    // What this says besides its paths is in memory yet.
    let asked = if operation() == OPEN_AT2 {
        Asked::LATER
    } else {
        let asked = filter::ask(call, &open_arguments(operation(), call));
        if asked.refuses() {
            return 0;
        }
        asked
    };
    let told = record::tell_unstarted(call, |number| {
        tell::open(number, operation().into(), asked.filter, asked.left)
    });
    settle_code(Kind::Open as u32, told)
}

#[inline(always)]
fn sockets<R: Read>(entry: impl Fn() -> u64, call: &Call) -> i32 {
    let operation = || entry() as u8;
    let nothing = match operation() {
        CONNECT => {
            let refused = own() || refuses(&entry, call, address::drop_all);
            refused || forgetting(network::refuses_connect(call), address::drop_all)
        }
        SOCKET => refuses(&entry, call, || ()),
        FCNTL if !network::is_dup(call) => true,
        _ => !network::has_second(call) || refuses(&entry, call, || ()),
    };
    if nothing {
        return 0;
    }
    let look = |number| match operation() {
        CONNECT => 1,
        SOCKET => tell::look_socket(number),
        _ => tell::look_dup(number),
    };
    record_if::<R>(&entry, call, look, |number| match operation() {
        CONNECT => tell::connect(number),
        SOCKET => tell::socket(number),
        _ => tell::dup(number),
    })
}

#[inline(always)]
fn serves<R: Read>(entry: impl Fn() -> u64, call: &Call) -> i32 {
    if own() || refuses(&entry, call, serve::forget) {
        return 0;
    }
    if matches!(entry() as u8, ACCEPT | ACCEPT4)
        && forgetting(serve::refuses_accept(call), serve::forget)
    {
        return 0;
    }
    record::<R>(&entry, call, |number| match entry() as u8 {
        LISTEN => tell::listen(number),
        BIND => tell::bind(number),
        _ => tell::accept(number),
    })
}

#[inline(always)]
fn sends<R: Read>(entry: impl Fn() -> u64, call: &Call) -> i32 {
    if own() {
        return 0;
    }
    if entry() as u8 == SEND_MMSG {
        message::many_sent(call);
        return 0;
    }
    if !message::has_destination(call) {
        if call.ret < 0 {
            address::drop_all();
        }
        return 0;
    }
    if refuses(&entry, call, address::drop_all) {
        return 0;
    }
    record::<R>(entry, call, |number| tell::send(number))
}

#[inline(always)]
fn receives<R: Read>(entry: impl Fn() -> u64, call: &Call) -> i32 {
    if own() {
        return 0;
    }
    if entry() as u8 == RECV_MMSG {
        message::many_received(call);
        return 0;
    }
    if !message::was_on_socket(call) {
        address::drop_all();
        return 0;
    }
    if refuses(&entry, call, address::drop_all) {
        return 0;
    }
    record::<R>(entry, call, |number| tell::receive(number))
}

#[inline(always)]
fn links<R: Read>(entry: impl Fn() -> u64, call: &Call) -> i32 {
    if refuses(&entry, call, || ()) {
        return 0;
    }
    record::<R>(&entry, call, |number| {
        tell::link(number, entry() as u8 as u32)
    })
}

#[inline(always)]
fn processes<R: Read>(entry: impl Fn() -> u64, call: &Call) -> i32 {
    let operation = || entry() as u8;
    if matches!(operation(), CLONE | CLONE3) {
        let mut whole = *call;
        if !process::has_namespaces(&mut whole, operation() == CLONE3) {
            return 0;
        }
        return registers::<R>(entry, &whole);
    }
    if operation() == PTRACE && refuses(&entry, call, || ()) {
        return 0;
    }
    record::<R>(&entry, call, |number| match operation() {
        PTRACE => tell::ptrace(number),
        _ => tell::exec(number, u32::from(operation() == EXECVE)),
    })
}

#[inline(always)]
fn registers<R: Read>(entry: impl Fn() -> u64, call: &Call) -> i32 {
    let kind = || (entry() >> 8) as u8 as u32;
    // It reads its counters and looks after its maps by hundreds of calls.
    let nothing =
        call.number == BPF && own() || kind() == Kind::Memory as u32 && !memory::matters(call);
    if nothing || refuses(&entry, call, || forget_names(&entry)) {
        return 0;
    }
    let done = record::<R>(&entry, call, |number| {
        tell::registers(number, kind(), (entry() >> 32) as u32, thread())
    });
    forget_names(entry);
    done
}

/// Forgets the names that were noted for a call, if it is one for which some may have been.
#[inline(always)]
fn forget_names(entry: impl Fn() -> u64) {
    if entry() as u8 == REGISTERS {
        name::forget(thread());
    }
}

/// Whether no rule can match a call, by what it tells itself; `forget` is done then.
#[inline(always)]
fn refuses(entry: impl Fn() -> u64, call: &Call, forget: impl FnOnce()) -> bool {
    forgetting(numbers::refuses((entry() >> 8) as u8 as u32, call), forget)
}

/// Does `forget` if a call is refused; whether it is.
#[inline(always)]
fn forgetting(refused: bool, forget: impl FnOnce()) -> bool {
    if refused {
        forget();
    }
    refused
}

/// Makes a record about a call.
#[inline(always)]
fn record<R: Read>(entry: impl Fn() -> u64, call: &Call, tell: impl FnOnce(u32) -> u32) -> i32 {
    let kind = || (entry() >> 8) as u8 as u32;
    settle_code(kind(), record::tell::<R>(kind(), call, tell))
}

/// Makes a record about a call, if a look at it says so.
#[inline(always)]
fn record_if<R: Read>(
    entry: impl Fn() -> u64,
    call: &Call,
    look: impl FnOnce(u32) -> u32,
    tell: impl FnOnce(u32) -> u32,
) -> i32 {
    let kind = || (entry() >> 8) as u8 as u32;
    settle_code(kind(), record::tell_if::<R>(kind(), call, look, tell))
}
