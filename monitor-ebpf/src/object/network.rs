//! Sockets: the functions below the system calls, which `io_uring` uses too.

use aya_ebpf::macros::{fentry, fexit};
use aya_ebpf::programs::{FEntryContext, FExitContext};
use monitor_common::syscall::Operation;
use monitor_common::syscall::uring::operation;
use monitor_common::{Flags, Kind};

use crate::address;
use crate::again;
use crate::emit::settle;
use crate::layout::*;
use crate::network::{self, Passed};
use crate::read::{Pointer, Probed, Read, Typed};
use crate::record::{self, Origin};
use crate::serve;
use crate::syscall::{Call, current_call, is_in, own};
use crate::uring;

/// In both ABIs; workers are in no call.
const IO_URING_ENTER: u32 = 426;

/// `__sys_connect_file(struct file *file, struct sockaddr_storage *address, int addrlen, int
/// file_flags)`, 5.10 to 7.2. The address is the kernel's copy.
#[fexit(function = "__sys_connect_file")]
pub fn connect_done(ctx: FExitContext) -> i32 {
    if own() {
        return 0;
    }
    let mut call = current_call(i64::from(ctx.arg::<u64>(4) as i32));
    // One request may connect twice: to begin with, and to hear what came of it.
    if matches!(call.number, 0 | IO_URING_ENTER) && uring::serves(operation::CONNECT) {
        return 0;
    }
    again::tells_call();
    let fd = if call.is(Operation::Connect) {
        call.args[0] as i32
    } else {
        call.number = 0;
        -1
    };
    let passed = Passed {
        origin: Origin::Kernel,
        address: ctx.arg(1),
        len: ctx.arg::<u64>(2) as u32,
    };
    let file = ctx.arg(0);
    let report = |record: &_| network::connect(record, &call, fd, file, &passed);
    settle(
        Kind::Connect,
        record::with::<Typed>(Kind::Connect as u32, call.flags, report),
    )
}

/// `security_socket_bind(struct socket *sock, struct sockaddr *address, int addrlen)`, 5.10 to 7.2.
#[fentry(function = "security_socket_bind")]
pub fn bind_begin(ctx: FEntryContext) -> i32 {
    address::copy(Kind::Bind, ctx.arg(1), ctx.arg::<u64>(2) as u32);
    0
}

/// `security_socket_listen(struct socket *sock, int backlog)`, 5.10 to 7.2.
#[fentry(function = "security_socket_listen")]
pub fn listen_begin(ctx: FEntryContext) -> i32 {
    if is_in([Operation::Listen]) {
        serve::hold(Kind::Listen, file_of(ctx.arg(0)), core::ptr::null());
    }
    0
}

/// `security_socket_accept(struct socket *sock, struct socket *newsock)`, 5.10 to 7.2: the new
/// socket has its file already.
#[fentry(function = "security_socket_accept")]
pub fn accept_begin(ctx: FEntryContext) -> i32 {
    if is_in([Operation::Accept, Operation::Accept4]) {
        serve::hold(Kind::Accept, file_of(ctx.arg(0)), file_of(ctx.arg(1)));
    }
    0
}

/// The open file of a `struct socket *`.
#[inline(always)]
fn file_of(socket: Pointer) -> Pointer {
    // SAFETY: probed.
    unsafe { Probed::get(socket, &SOCKET_FILE) }
}

/// `security_socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`, 5.10 to 7.2.
#[fentry(function = "security_socket_sendmsg")]
pub fn send_begin(ctx: FEntryContext) -> i32 {
    let message: Pointer = ctx.arg(1);
    // SAFETY: probed.
    let (name, len): (Pointer, u32) = unsafe {
        (
            Probed::get(message, &MESSAGE_NAME),
            Probed::get(message, &MESSAGE_NAME_LEN),
        )
    };
    if !name.is_null() && len > 0 {
        address::copy(Kind::Send, name, len);
    }
    0
}

/// `__sys_socket(int family, int type, int protocol)`, 5.10 to 7.2.
#[fexit(function = "__sys_socket")]
pub fn socket_done(ctx: FExitContext) -> i32 {
    again::tells_call();
    let call = Call {
        number: 0,
        ret: i64::from(ctx.arg::<u64>(3) as i32),
        args: [ctx.arg(0), ctx.arg(1), ctx.arg(2), 0, 0, 0],
        flags: Flags::OBJECT_TIER,
    };
    let report = |record: &_| network::socket(record, &call);
    settle(
        Kind::Socket,
        record::with::<Typed>(Kind::Socket as u32, call.flags, report),
    )
}
